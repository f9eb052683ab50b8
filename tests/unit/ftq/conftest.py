"""Hypothesis as these tests use it: the same examples every time, few enough to be quick."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ftq",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    # Whether data is drawn slowly depends on the machine, and so would the result.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ftq")
