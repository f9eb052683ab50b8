"""`ftq.settings`: one clear line for each setting that is wrong."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

from ftq.errors import SettingsError
from ftq.settings import HandlersPath, QueueUrl, Settings, TableName, read


class Example(Settings):
    queue_url: QueueUrl
    table: TableName
    handlers: HandlersPath = "app:registry"
    drain_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    odd: int = 1

    @field_validator("odd")
    @classmethod
    def is_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError
        return value

    @model_validator(mode="after")
    def fits(self) -> Example:
        if self.drain_seconds == 13:
            raise ValueError("FTQ_DRAIN_SECONDS=13 does not fit the rest")
        return self


GOOD = {"FTQ_QUEUE_URL": "https://sqs/1/q", "FTQ_TABLE": "tasks"}


def lines(**given: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(Example, {**GOOD, **given})
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_settings_are_read_from_their_variables() -> None:
    found = read(Example, {**GOOD, "FTQ_DRAIN_SECONDS": "45", "DRAIN_SECONDS": "1", "PATH": "/"})
    assert (found.queue_url, found.table, found.drain_seconds) == ("https://sqs/1/q", "tasks", 45)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read(Example, {**GOOD, "FTQ_DRAIN_SECONDS": ""}).drain_seconds == 30


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read(Example, GOOD).drain_seconds = 5  # type: ignore[misc]  # that it is refused is the test


def test_every_missing_setting_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        read(Example, {})
    assert caught.value.problems == [
        "FTQ_QUEUE_URL is not set: field required",
        "FTQ_TABLE is not set: field required",
    ]


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("FTQ_DRAIN_SECONDS", "0", "greater than or equal to 1"),
        ("FTQ_DRAIN_SECONDS", "601", "less than or equal to 600"),
        ("FTQ_DRAIN_SECONDS", "soon", "valid integer"),
        ("FTQ_QUEUE_URL", "sqs/1/q", "begins with https:// or http://"),
        ("FTQ_TABLE", "a b", "match pattern"),
        ("FTQ_TABLE", "ab", "match pattern"),
        ("FTQ_HANDLERS", "app", "match pattern"),
        ("FTQ_HANDLERS", "app.tasks:", "match pattern"),
        ("FTQ_ODD", "2", "is not valid"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_key_value_and_limit(
    key: str, value: str, limit: str
) -> None:
    [line] = lines(**{key: value})
    assert line.startswith(f"{key}={value!r}: ")
    assert limit in line
    assert "\n" not in line


def test_all_wrong_settings_are_told_at_once() -> None:
    assert len(lines(FTQ_DRAIN_SECONDS="0", FTQ_TABLE="-", FTQ_QUEUE_URL="x")) == 3


def test_what_does_not_fit_together_says_so_in_its_own_words() -> None:
    assert lines(FTQ_DRAIN_SECONDS="13") == ["FTQ_DRAIN_SECONDS=13 does not fit the rest"]


@pytest.mark.parametrize("path", ["app:registry", "my.app_1.tasks:the_registry", "_a:_b"])
def test_a_path_to_handlers_is_a_module_and_a_name(path: str) -> None:
    assert read(Example, {**GOOD, "FTQ_HANDLERS": path}).handlers == path
