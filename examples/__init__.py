"""Handlers as users write them, each with something to watch: ``python -m examples.email``."""
