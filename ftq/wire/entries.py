"""What became of the entries of an SQS batch call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftq.ports import Reply


@dataclass(frozen=True, slots=True)
class EntryFault:
    """An entry of a batch that was not done.

    Attributes:
        code: The service's code.
        message: Its words.
        transient: Whether the same entry may pass later: the fault was not the sender's.
    """

    code: str
    message: str
    transient: bool

    @property
    def over_limit(self) -> bool:
        """Whether too many messages are in flight (120,000 a queue)."""
        return self.code.endswith("OverLimit")


def read_batch(reply: Reply, sent: int) -> list[EntryFault | None]:
    """What became of each entry: None where it was done. Never raises.

    Entries are believed, not the call: one in neither list counts as not done (DESIGN §6).
    """
    unknown = EntryFault("MissingEntry", "the reply does not mention this entry", True)
    results: list[EntryFault | None] = [unknown] * sent
    for entry in _entries(reply, "Failed"):
        fault = EntryFault(
            code=_text(entry.get("Code")),
            message=_text(entry.get("Message")),
            transient=entry.get("SenderFault") is not True,
        )
        _place(results, entry, fault)
    for entry in _entries(reply, "Successful"):
        _place(results, entry, None)
    return results


def _entries(reply: Reply, name: str) -> list[Mapping[str, object]]:
    entries = reply.get(name)
    return (
        [each for each in entries if isinstance(each, Mapping)] if isinstance(entries, list) else []
    )


def _place(
    results: list[EntryFault | None], entry: Mapping[str, object], value: EntryFault | None
) -> None:
    index = _text(entry.get("Id"))
    # Ids are the positions that we sent; an endless row of digits is not one of them.
    if index.isdecimal() and len(index) <= 4 and int(index) < len(results):
        results[int(index)] = value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
