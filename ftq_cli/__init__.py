"""The command `ftq`: the one-machine mode, the demo, and the client of the API."""
