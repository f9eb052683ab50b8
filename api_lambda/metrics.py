"""What is told to CloudWatch: lines of metrics in the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api_lambda.log import say
from ftq import emf
from ftq.emf import Value
from ftq.metrics import UNKNOWN, labels

if TYPE_CHECKING:
    from ftq.registry import Registry

_ACCEPTED: Final = {200: "TasksAccepted", 202: "TasksAccepted", 503: "TasksNotStored"}


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells metrics.

    Attributes:
        service: The service's name.
        known: The types that may be named, each with the name under which it is.
        now: Milliseconds since the epoch.
    """

    service: str
    known: Mapping[str, str]
    now: Callable[[], int]

    @classmethod
    def of(cls, service: str, registry: Registry | None, now: Callable[[], int]) -> Teller:
        """One that names the types of a registry; without it all types are unknown."""
        return cls(service, labels(handler.type for handler in registry or ()), now)

    def submissions(self, answered: Iterable[tuple[str, int]]) -> None:
        """Tell of submissions: the type of each, and the status that answered it."""
        counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        for type_, status in answered:
            name = _ACCEPTED.get(status, "TasksRefused")
            counts[self.known.get(type_, UNKNOWN)][name] += 1
        for label, values in counts.items():
            self.tell(values, label)

    def tell(self, values: Mapping[str, Value], type_: str = "") -> None:
        """Tell these values."""
        for document in emf.documents(self.service, self.now(), values, type_):
            say("metrics", **document)
