"""Keeps web pages out of the API on this machine, for it asks nobody who they are.

Any page that a browser shows may send requests to 127.0.0.1, and, once its own name leads there
("DNS rebinding"), read the answers too. The browser says where a request is from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from api_lambda.problems import Kind
from ftq_cli.gateway import HttpResponse, problem

FOREIGN_PAGE: Final = Kind(403, "foreign-page", "Other web pages may not use this API")
# By these names only this machine is meant, whatever a name server says.
LOCAL: Final = frozenset({"127.0.0.1", "localhost"})
_HOST: Final = re.compile(r"(\[[^]@]+\]|[^\][:@]+)(?::\d{1,5})?")


def refusal(
    headers: Iterable[tuple[str, str]],
    origins: Collection[str] = (),
    names: Collection[str] = LOCAL,
) -> HttpResponse | None:
    """The answer to a request that a foreign page made; None if it is no such request.

    Args:
        headers: The request's.
        origins: The origins of pages that may ask (FTQ_CORS_ORIGINS).
        names: What the API may be called, in small letters.
    """
    named: dict[str, list[str]] = {}
    for name, value in headers:
        named.setdefault(name.lower(), []).append(value.strip())
    hosts = named.get("host", [])
    called = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if called is None or called[1].lower() not in names:
        known = ", ".join(sorted(names))
        return _forbidden(f"Host has to be one of: {known} (`ftq up --allowed-host`).")
    origin = named.get("origin", [])
    if len(origin) == 1 and origin[0] in origins:
        return None
    own = f"http://{hosts[0]}".lower()
    if any(each.lower() != own for each in origin):
        return _forbidden("Origin is another one than this API's.")
    if "cross-site" in (site.lower() for site in named.get("sec-fetch-site", ())):
        return _forbidden("Sec-Fetch-Site is cross-site.")
    return None


def _forbidden(detail: str) -> HttpResponse:
    return problem(FOREIGN_PAGE, detail)
