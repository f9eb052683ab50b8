"""The shape of an error's message: what is left of it without names, ids, numbers and places.

Two messages of one shape have one cause, as far as their words can tell. The work grows with the
length of the message and no faster, whatever stands in it.
"""

from __future__ import annotations

import re
from typing import Final

# Quotations are looked for this far, other things in what that leaves, and shapes end somewhere.
# Each is wider than the next, so that the length of a name moves no end.
_READ_CHARS: Final = 16_384
_LOOKED_CHARS: Final = 8_000
_SHAPE_CHARS: Final = 2_000

# An apostrophe within a word ("can't") opens no quotation; the b of b'…' does not hide one.
_OPENS: Final = re.compile(r"(?:(?<!\w)|(?<=\bb))'|[\"`“‘«]")
# How each ends: not by an escaped quote (it\'s), nor by an apostrophe (it's). Possessive, so that
# one that does not end is found out in one pass.
_REST: Final = {
    "'": re.compile(r"(?:[^'\\]|\\.|'(?=\w))*+'", re.DOTALL),
    '"': re.compile(r'(?:[^"\\]|\\.)*+"', re.DOTALL),
    "`": re.compile(r"(?:[^`']|['`](?=\w))*+[`']"),
    "“": re.compile(r"[^”]*+”"),
    "‘": re.compile(r"(?:[^’]|’(?=\w))*+’"),
    "«": re.compile(r"[^»]*+»"),
}

# What stands together: a word, a number with its commas, an id, an address of mail or of the
# network. It ends in no punctuation. Possessive, for the same reason.
_PART: Final = r"[\w@%+-]++(?:(?:[.:]{1,3}+|(?<=\d),(?=\d))[\w@%+-]++)*+"
# A place is an address with its scheme, or a path from a root, a drive, a share, a home or a dot.
_URL: Final = r"[A-Za-z][A-Za-z0-9+.-]{0,30}+://[^\s()<>]*[\w/]"
_ROOT: Final = r"(?<![\w/\\.~])(?:(?:[A-Za-z]:)?/|[A-Za-z]:\\|\\\\|~/|\.{1,2}/)"
_PATH: Final = rf"{_ROOT}(?:[.:@%+~=/\\-]{{0,8}}+\w++)++(?:\?[^\s()<>]*[\w/=])?"
_RUN: Final = re.compile(rf"({_URL}|{_PATH})|{_PART}(?:/{_PART})*+")
# What ends so is a file, with its directory before it.
_EXTENSION: Final = re.compile(r"\.[A-Za-z]\w{0,4}\Z")
# Letters that are no word: all of them hex, or too many consonants in a row. w and y may be vowels.
_ID: Final = re.compile(
    r"""
    (?<![A-Za-z])
    (?: [a-fA-F]{8,}
    | (?= [a-z]*?[b-df-hj-np-tvxz]{6} ) [a-z]{10,}
    | (?= [A-Z]*?[B-DF-HJ-NP-TVXZ]{6} ) [A-Z]{10,}
    )
    (?![A-Za-z])
    """,
    re.VERBOSE,
)


def shape_of(message: str) -> str:
    """The message with a quotation for each quotation, and # for each id, number and place.

    Names are known by their quotes, places by their slashes, ids and addresses by a digit or an
    @ in them, or by letters that make no word.
    """
    looked = _unquoted(message[:_READ_CHARS])[:_LOOKED_CHARS]
    return _RUN.sub(_sign, looked)[:_SHAPE_CHARS]


def _unquoted(message: str) -> str:
    """The message with the same quotation for each; what opens one and ends none stays."""
    kept: list[str] = []
    at, endless = 0, set[str]()
    for opened in _OPENS.finditer(message):
        quote = opened[0]
        if opened.start() < at or quote in endless:
            continue
        rest = _REST[quote].match(message, opened.end())
        if rest is None and len(message) == _READ_CHARS:
            return "".join([*kept, message[at : opened.start()], "'…'"])
        if rest is None:
            # Nor does any later one of its kind: none is looked through twice.
            endless.add(quote)
            continue
        kept += message[at : opened.start()], "'…'"
        at = rest.end()
    return "".join([*kept, message[at:]])


def _sign(run: re.Match[str]) -> str:
    parts = run[0].split("/")
    if run[1] or len(parts) > 2 or (len(parts) == 2 and _EXTENSION.search(parts[1])):
        return "#"
    return "/".join("#" if _varies(part) else part for part in parts)


def _varies(word: str) -> bool:
    return "@" in word or any(map(str.isdigit, word)) or _ID.search(word) is not None
