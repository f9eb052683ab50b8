"""Secrets that stand beside their names in a text.

`password=…`, `"token": "…"`, the same escaped within JSON, `Authorization: Bearer …`,
`('cookie', '…')`, `--password …`, `?X-Amz-Signature=…`, `<secret>…</secret>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ftq.redaction.forms import MARK

# A name is a whole run of its characters, looked at once.
_PAIR: Final = re.compile(
    r"<(?P<tag>[\w:.-]++)[^<>]{0,200}+>"
    r"|(?<![\w.-])(?:(?P<flag>--?[A-Za-z][\w-]*+)[ \t]{1,8}(?=[^\s=:-])"
    r"|(?P<name>[\w.-]++)(?:\\*+[\"'`]\]?\s{0,8}(?::|=>?|,)"
    r"|(?:\]|%22|%5[Dd]|&quot;)?(?:\[\d{0,6}\])?\s{0,8}"
    r"(?::=|=[=>]?|->|:(?!//)|%3[DdAa]|\\u003[Dd])"
    # name="password" value="…"
    r"|[\"'`]?\s{1,8}(?=[Vv]alue\s{0,8}[=:]))"
    r"\s{0,8})"
)
# {"name": "password", "value": "…"}: what comes after the name is not the value yet.
_VALUE_OF: Final = re.compile(r"\\*+[\"'`]?(?=[Vv]alue\\*+[\"'`]?\s{0,8}[=:])")
_QUOTE: Final = re.compile(r"(?:[BbFfRrUu]{1,2}(?=[\"']))?(\\*+(?:\"\"\"|'''|[\"'`]))")
# An object by its `repr`: SecretBytes(b'…').
_CALL: Final = re.compile(r"[\w.]{1,80}(?=[(\[{])")
_BRACKET: Final = re.compile(r"[\[\](){}]")
_BARE: Final = re.compile(
    r"(?:(?:apikey|aws4-hmac-sha256|basic|bearer|digest|negotiate|token)\s{1,4})?"
    # A comma within a value is one that no further pair follows.
    r"(?:[^\s,;&\"'`<>)}\]]|[,;&](?!\s|[\w.\[\]-]*+[=:]|\Z))+",
    re.IGNORECASE,
)
_LINE: Final = re.compile(r"[^\r\n]+")
_TAGGED: Final = re.compile(r"(?:<!\[CDATA\[)?[^<]+")
# Headers whose value is the rest of their line.
_WHOLE_LINE: Final = re.compile(r"(?:authorization|cookie)\Z", re.IGNORECASE)
# Names of two words, as people write them: the first is looked for before the second.
_SECOND: Final = frozenset({"id", "key", "keys", "string"})
_FIRST: Final = re.compile(r"[A-Za-z-]+ \Z")
# What says nothing.
_NOTHING: Final = frozenset({"", "None", "null", "nil", "True", "False", "true", "false"})


def redact_pairs(text: str, secret: Callable[[str], bool]) -> str:
    """A text without the values that stand beside a secret name."""
    parts: list[str] = []
    done = at = 0
    while found := _PAIR.search(text, at):
        at = found.end()
        if not secret(_name(text, found)):
            if found["tag"]:
                at = found.end("tag")  # its attributes are pairs
            # The separator of this pair may be within the next one's reach, its name is not.
            continue
        if (to := _VALUE_OF.match(text, at)) and (named := _PAIR.match(text, to.end())):
            found = named
        start, end = _value(text, found)
        value = text[start:end]
        if value in _NOTHING or is_tally(found["name"] or "", value):
            continue
        parts += (text[done:start], MARK)
        done = at = end
    return "".join((*parts, text[done:])) if parts else text


def is_tally(name: str, value: object) -> bool:
    """Whether a number of tokens is told: `max_tokens=4096`."""
    digits = isinstance(value, int) or (isinstance(value, str) and value.isdigit())
    return digits and name.lower().endswith("tokens")


def _name(text: str, found: re.Match[str]) -> str:
    name = found["name"] or found["flag"] or found["tag"]
    if name.lower() in _SECOND:
        at = found.start()
        first = _FIRST.search(text[max(0, at - 24) : at])
        return f"{first[0]}{name}" if first else name
    return name


def _value(text: str, found: re.Match[str]) -> tuple[int, int]:
    """Where the value begins and ends; a quotation or bracket that stays open takes all."""
    at = found.end()
    if found["tag"]:
        tagged = _TAGGED.match(text, at)
        return (at, tagged.end()) if tagged else (at, at)
    if quote := _QUOTE.match(text, at):
        return quote.end(), _closed(text, quote.end(), quote[1])
    if text[at : at + 1] in ("(", "[", "{"):
        return at, _balanced(text, at)
    if call := _CALL.match(text, at):
        return at, _balanced(text, call.end())
    if found["name"] and found[0].rstrip()[-1:] == ":" and _WHOLE_LINE.search(found["name"]):
        line = _LINE.match(text, at)
        before = text[found.start() - 1 : found.start()]
        if before in ('"', "'"):
            return at, min(_closed(text, at, before), line.end() if line else at)
        return (at, line.end()) if line else (at, at)
    bare = _BARE.match(text, at)
    return (at, bare.end()) if bare else (at, at)


def _closed(text: str, at: int, quote: str) -> int:
    while (end := text.find(quote, at)) > 0 and text[end - 1] == "\\":
        at = end + 1
    return end if end >= 0 else len(text)


def _balanced(text: str, at: int) -> int:
    depth = 0
    for bracket in _BRACKET.finditer(text, at):
        depth += 1 if bracket[0] in "([{" else -1
        if depth <= 0:
            return bracket.end()
    return len(text)
