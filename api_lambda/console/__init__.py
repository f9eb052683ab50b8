"""GET /console: a page for people, over the routes that all clients use.

It is one document: style and script stand in it, and its policy allows these two alone, by their
hashes. So it works behind any stage or path, wherever the page itself can be reached, and nothing
that a task carries can run there. What may be done is decided by who may call the API's other
routes, not by this page.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Final

from api_lambda.http import Request, Response
from api_lambda.params import read_query
from api_lambda.problems import NO_ROUTE, Problem
from api_lambda.service import Service

HERE: Final = Path(__file__).parent


def console(service: Service, request: Request) -> Response:
    """The page.

    Raises:
        Problem: 404, there is to be none (FTQ_CONSOLE=off).
    """
    if service.console == "off":
        raise Problem(NO_ROUTE, "There is no console here (FTQ_CONSOLE).")
    read_query(request)
    page, policy = _page(service.console)
    headers = {"content-security-policy": policy}
    return Response(200, text=page, headers=headers, media_type="text/html; charset=utf-8")


@lru_cache(maxsize=2)
def _page(mode: str) -> tuple[str, str]:
    """The document, and the policy that it is shown under."""
    html, style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("index.html", "app.css", "app.js")
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        # The icon is in the document. Text can become neither markup nor script, by anybody's slip.
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return Template(html).substitute(mode=mode, style=style, script=script), policy


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest())
    return f"'sha256-{digest.decode()}'"
