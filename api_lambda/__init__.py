"""The Lambda behind the HTTP API: accepts tasks and says what became of them.

Its zip holds this package, `ftq` and pydantic; botocore comes with the runtime. It imports
nothing of the daemon, so that a cold start stays short.
"""
