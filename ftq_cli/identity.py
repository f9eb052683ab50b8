"""As whom the command asks the API: a token, a signature of AWS's, or nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ftq.errors import SettingsError

if TYPE_CHECKING:
    from ftq.client import SigV4
    from ftq.client.carriers import Token

AUTH: Final = "FTQ_API_AUTH"
TOKEN: Final = "FTQ_API_TOKEN"  # noqa: S105  # the name of the variable
# What API Gateway calls an API that was given no name of its own.
_GATEWAY: Final = re.compile(
    r"[a-z0-9]+\.execute-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?"
)


def identity(url: str, environ: Mapping[str, str]) -> SigV4 | Token | None:
    """What adds to each request who asks.

    A token in FTQ_API_TOKEN is sent. Without one, requests to an API of API Gateway's are signed
    with the AWS SDK's credentials, for that is how ftq's stack protects it. FTQ_API_AUTH says
    otherwise: `iam` signs for any URL, `none` for none.

    Args:
        url: Where the API answers.
        environ: The command's environment.

    Raises:
        SettingsError: FTQ_API_AUTH is none of these; there are no credentials; or no region.
    """
    if token := environ.get(TOKEN):
        return lambda: token
    auth = environ.get(AUTH) or "auto"
    if auth not in ("auto", "iam", "none"):
        raise SettingsError([f"{AUTH}={auth!r}: must be iam, none or auto"])
    named = _GATEWAY.fullmatch(urlsplit(url).hostname or "")
    if auth == "none" or (auth == "auto" and named is None):
        return None
    region = (
        named["region"] if named else environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    )
    if not region:
        raise SettingsError([f"{AUTH}=iam: signing for {url} needs AWS_REGION"])
    from ftq.client import SigV4

    return SigV4(region=region)
