"""Where the API of the local mode listens, and by which names it may be called."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from ftq_cli.exits import CommandError, Exit
from ftq_cli.guard import LOCAL

HOST: Final = "127.0.0.1"
# As a Host header has it, without a port; names of containers have underscores too.
_NAME: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)
LONGEST: Final = 253  # RFC 1035, 2.3.4, as text


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen.

    Attributes:
        host: An IP address of this machine; 0.0.0.0 or :: for all of them.
        port: The port; 0 for any that is free.
        allowed: Names that callers may use, beside this machine's own.

    Raises:
        CommandError: One of them is none.
    """

    host: str = HOST
    port: int = 0
    allowed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            ip_address(self.host)
        except ValueError:
            text = f"--host {self.host!r}: no IP address, as {HOST} (this machine) or 0.0.0.0 (all)"
            raise CommandError(text, Exit.USAGE) from None
        for name in self.allowed:
            if len(name) > LONGEST or not _NAME.fullmatch(name):
                text = f"--allowed-host {name!r}: no host name, as `api` or `ftq.example.org`"
                raise CommandError(text, Exit.USAGE)

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach it."""
        return not ip_address(self.host).is_loopback

    @property
    def names(self) -> frozenset[str]:
        """What a request's Host header may say, without its port."""
        return LOCAL | {_in_url(self._near), *map(str.lower, self.allowed)}

    def url(self, port: int) -> str:
        """Where whoever is on this machine finds it."""
        return f"http://{_in_url(self._near)}:{port}"

    @property
    def _near(self) -> str:
        listens = ip_address(self.host)
        if not listens.is_unspecified:
            return str(listens)
        return HOST if listens.version == 4 else "::1"

    def bound(self) -> socket.socket:
        """A socket that listens there.

        Raises:
            CommandError: Nobody can listen there; names host and port.
        """
        family = socket.AF_INET if ip_address(self.host).version == 4 else socket.AF_INET6
        try:
            return socket.create_server((self.host, self.port), family=family, backlog=256)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            where = f"{_in_url(self.host)}:{self.port}"
            text = f"--port {self.port}: cannot listen on {where}: {reason}; 0 takes any free port"
            raise CommandError(text, Exit.USAGE) from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
