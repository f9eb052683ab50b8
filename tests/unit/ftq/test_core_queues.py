"""FTQ_QUEUES names queues, and a bad one is refused with a line that says why."""

from __future__ import annotations

import pytest

from ftq import SettingsError
from ftq.settings import NamedQueue, queues_of, read
from ftq_daemon.settings import DaemonSettings
from tests.unit.daemon.test_settings import GOOD

URL = "https://sqs.eu-west-1.amazonaws.com/1"


def test_queues_are_named_with_their_weights_in_order() -> None:
    given = f"urgent={URL}/urgent*8, default*4 bulk={URL}/bulk"
    settings = read(DaemonSettings, {**GOOD, "FTQ_QUEUES": given})
    assert queues_of(settings.queue_url, settings.queues) == [
        NamedQueue("urgent", f"{URL}/urgent", 8),
        NamedQueue("default", GOOD["FTQ_QUEUE_URL"], 4),
        NamedQueue("bulk", f"{URL}/bulk", 1),
    ]


def test_the_default_queue_is_there_unsaid_and_comes_last() -> None:
    settings = read(DaemonSettings, {**GOOD, "FTQ_QUEUES": f"urgent={URL}/urgent"})
    names = [each.name for each in queues_of(settings.queue_url, settings.queues)]
    assert names == ["urgent", "default"]
    assert queues_of(GOOD["FTQ_QUEUE_URL"], ()) == [NamedQueue("default", GOOD["FTQ_QUEUE_URL"])]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("urgent", "needs no URL; others need one"),
        (f"default={URL}/x", "needs no URL"),
        (f"Urgent={URL}/x", "is not NAME=URL"),
        (f"urgent={URL}/x*0", "from 1 to 1000"),
        (f"urgent={URL}/x*1001", "from 1 to 1000"),
        (f"a={URL}/x a={URL}/y", "'a' stands twice"),
        (f"a={URL}/x b={URL}/x", "stands twice"),
        ("a=ftp://x", "is not NAME=URL"),
        (f"a={GOOD['FTQ_QUEUE_URL']}", "another queue than FTQ_QUEUE_URL"),
        (f"a={GOOD['FTQ_DLQ_URL']}", "FTQ_DLQ_URL"),
    ],
)
def test_what_names_no_queue_is_refused(given: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(DaemonSettings, {**GOOD, "FTQ_QUEUES": given})
    (line,) = refused.value.problems
    assert line.startswith("FTQ_QUEUES")
    assert why in line
