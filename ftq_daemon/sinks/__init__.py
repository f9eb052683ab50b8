"""Listeners of events: logs and metrics."""
