"""Values that give themselves away by their form, wherever they stand in a text.

Every pattern begins where a run of its characters begins, or has a bound: no text takes more than
a time that grows with its length.
"""

from __future__ import annotations

import base64
import re
from itertools import pairwise
from typing import Final

MARK: Final = "[redacted]"
"""What stands where something was."""

_PEM: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?!-----END).)*+(?:-----END [A-Z0-9 ]{1,80}-----)?",
    re.DOTALL,
)
# Up to the path. A password that holds a slash is known by what stands before it being no port.
_AUTHORITY: Final = re.compile(r"://([^\s/?#\"'<>\\`]*+)")
_PORT: Final = re.compile(r"[^:]*(?::\d{0,5})?|\[[0-9a-fA-F:.]*\](?::\d{0,5})?")
_REST: Final = re.compile(r"(?:(?!://)[^\s\"'<>`@])*+@")
_SCHEME: Final = re.compile(
    r"\b(bearer|basic)((?:\s|%20|\+){1,4})([\w.~+/=:-]++)", re.IGNORECASE | re.ASCII
)
# What may follow the word where people write about it.
_PROSE: Final = frozenset(
    {
        *("and", "auth", "authentication", "authorization", "credential", "credentials", "error"),
        *("header", "in", "is", "missing", "not", "or", "realm", "required", "scheme", "the", "to"),
        *("token", "tokens", "was", "with"),
    }
)
_DOTTED: Final = re.compile(r"(?<![\w.-])[\w.-]{20,}+", re.ASCII)
_KEY_ID: Final = re.compile(r"(?<![A-Za-z0-9])A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}(?![A-Za-z0-9])")
_SECRET_KEY: Final = re.compile(r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])")
_HEX: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")
# Tokens that their issuers begin with a mark, so that they are found where they leaked.
_ISSUED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{20,}+|github_pat_\w{20,}+|glpat-[\w-]{20,}+"
    r"|xox[a-z]-[\w-]{10,}+|[rs]k_(?:live|test)_\w{10,}+|sk-[\w-]{20,}+|AIza[\w-]{35}"
    r"|npm_[A-Za-z0-9]{30,}+|pypi-[\w-]{30,}+|hv[bs]\.[\w-]{20,}+)",
    re.ASCII,
)
_CARD: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:\d{4}([ .-])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ .-])\d{6}\2\d{5}"
    r"|\d{13,19})(?![A-Za-z0-9])",
    re.ASCII,
)
# Who issues cards (ISO/IEC 7812): Visa, Mastercard, American Express, Discover, JCB, Diners Club,
# UnionPay, each with its lengths.
_ISSUER: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12,15}|35(?:2[89]|[3-8]\d)\d{12,15}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)


def redact_forms(text: str) -> str:
    """A text without credentials, keys and card numbers that are known by their form."""
    if "-----BEGIN" in text:
        text = _PEM.sub(MARK, text)
    if "://" in text:
        text = _urls(text)
    text = _SCHEME.sub(_credential, text)
    if "eyJ" in text:
        text = _DOTTED.sub(_jwt, text)
    if has_key_id(text):
        text = _KEY_ID.sub(MARK, redact_secret_keys(text))
    text = _ISSUED.sub(MARK, text)
    return _CARD.sub(_card, text)


def has_key_id(text: str) -> bool:
    """Whether an AWS access key id is in the text."""
    return _KEY_ID.search(text) is not None


def redact_secret_keys(text: str) -> str:
    """A text without what looks like an AWS secret key.

    Its form alone, 40 characters of base64, is that of many an id: for texts near a key id.
    """
    return _SECRET_KEY.sub(lambda found: found[0] if _HEX.fullmatch(found[0]) else MARK, text)


def _urls(text: str) -> str:
    parts: list[str] = []
    done = 0
    for found in _AUTHORITY.finditer(text):
        at, end = found.span(1)
        if at < done:
            continue
        _, sign, _ = found[1].rpartition("@")
        if sign:
            end = at + found[1].rindex("@")
        elif not _PORT.fullmatch(found[1]) and (rest := _REST.match(text, end)):
            end = rest.end() - 1
        else:
            continue
        parts += (text[done:at], MARK)
        done = end
    return "".join((*parts, text[done:]))


def _credential(found: re.Match[str]) -> str:
    scheme, space, value = found.groups()
    if value.lower().rstrip(".:=") in _PROSE:
        return found[0]
    if scheme.lower() == "basic" and b":" not in _decoded(value):
        return found[0]
    return f"{scheme}{space}{MARK}"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(f"{text[:400].rstrip('=')}===", altchars=b"-_")
    except ValueError:
        return b""


def _jwt(found: re.Match[str]) -> str:
    """The run up to its first part that begins as a JSON object in base64 does."""
    parts = found[0].split(".")
    at = 0
    for part, after in pairwise(parts):
        start = part.find("eyJ")
        if start >= 0 and len(part) - start >= 10 and len(after) >= 4:
            return found[0][: at + start] + MARK
        at += len(part) + 1
    return found[0]


def _card(found: re.Match[str]) -> str:
    text = found[0]
    if _is_card(text):
        return MARK
    # Sixteen digits in fours, and the three from the back of the card.
    if found[1] and len(text) > 19 and _is_card(text[:19]):
        return MARK
    return text


def _is_card(text: str) -> bool:
    digits = [int(each) for each in text if each.isdigit()]
    if not _ISSUER.fullmatch("".join(map(str, digits))):
        return False
    digits.reverse()
    doubled = (sum(divmod(2 * each, 10)) for each in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
