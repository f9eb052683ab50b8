from __future__ import annotations

import pytest

from benchmarks.promises import Figures, Promise, of_throughput

MEDIANS = {"ftq": 200.0, "ftq-aiobotocore": 400.0, "probe": 100.0, "floor": 300.0, "naive": 1200.0}


def kept(promises: list[Promise]) -> list[bool | None]:
    return [promise.kept for promise in promises]


def test_ratios_are_held_against_their_bounds() -> None:
    rate = {"ftq": 3500.0, "celery": 300.0}

    promises = of_throughput(Figures(MEDIANS | {"celery": 1000.0}, rate, {"ftq": 0.4}))

    assert kept(promises) == [True] * 7
    assert promises[3].figure == pytest.approx(0.2)


def test_a_figure_on_the_wrong_side_of_its_bound_breaks_the_promise() -> None:
    rate = {"ftq": 200.0, "celery": 300.0}

    promises = of_throughput(Figures(MEDIANS | {"celery": 700.0}, rate, {"ftq": 0.6}))

    assert kept(promises) == [True, True, True, False, False, False, False]


def test_what_was_not_measured_is_not_judged() -> None:
    assert kept(of_throughput(Figures({}, {}, {}))) == [None] * 7


def test_peers_with_another_core_than_python_are_not_the_best_of_python() -> None:
    promises = of_throughput(Figures(MEDIANS | {"fanferro": 60.0}, {"fanferro": 9000.0}, {}))

    assert promises[3].figure is None
