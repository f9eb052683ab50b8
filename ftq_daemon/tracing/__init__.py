"""Traces of attempts: what is said of them (`sink`), and the two ways to say it (`port`)."""
