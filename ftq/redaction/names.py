"""Which names are secret, told by their words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

MOST_NAMES: Final = 100

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W_a-zA-Z]+")
_NAME: Final = re.compile(r"[^\W\d_][\w .-]{0,63}")
# Longer names are not remembered: somebody might send a million of them.
_REMEMBERED_CHARS: Final = 64

# Any of these words makes a name secret, alone or among others; plurals too.
_WORDS: Final = frozenset(
    {
        *("authorization", "bearer", "cookie", "credential", "cvc", "cvv", "jwt", "otp"),
        *(
            "passcode",
            "passphrase",
            "passwd",
            "password",
            "pin",
            "pw",
            "pwd",
            "secret",
            "signature",
        ),
        *("ssn", "token", "totp"),
    }
)
# The same where words were written together: `PGPASSWORD`, `clientsecret`, `xapikey`.
_TAILS: Final = (
    *("accesskey", "apikey", "authorization", "cookie", "passphrase", "passwd", "password"),
    *("privatekey", "secret", "secretkey", "sessionid", "token"),
)
# Words that are secret only in this company.
_PAIRS: Final = frozenset(
    {
        *(("access", "key"), ("account", "key"), ("api", "key"), ("auth", "key")),
        *(("encryption", "key"), ("license", "key"), ("master", "key"), ("private", "key")),
        *(("secret", "key"), ("service", "key"), ("session", "key"), ("shared", "key")),
        *(("signing", "key"), ("storage", "key"), ("session", "id"), ("connection", "string")),
        *(("admin", "pass"), ("db", "pass"), ("redis", "pass"), ("smtp", "pass"), ("user", "pass")),
        ("pass", "word"),
    }
)
# Secret as a whole name only.
_WHOLE: Final = frozenset(
    {("auth",), ("x", "auth"), ("http", "auth"), ("basic", "auth"), ("pass",), ("sas",), ("sig",)}
)
# A name that ends so tells something about a secret, and not the secret: `token_count`.
_ABOUT: Final = frozenset(
    {
        *("age", "algorithm", "allowed", "arn", "at", "changed", "count", "created", "enabled"),
        *("error", "expired", "expires", "expiry", "failed", "field", "length", "len", "limit"),
        *("max", "method", "min", "missing", "ms", "name", "policy", "present", "required"),
        *("rotated", "second", "size", "status", "ttl", "type", "updated", "used", "valid"),
        "version",
    }
)


@dataclass(frozen=True, slots=True)
class Names:
    """Names that are secret beside the usual ones.

    Attributes:
        phrases: Each as its words in small letters.
    """

    phrases: frozenset[tuple[str, ...]] = frozenset()

    def __str__(self) -> str:
        """As FTQ_REDACT lists them."""
        return ",".join(sorted(" ".join(each) for each in self.phrases))


USUAL: Final = Names()


def read_names(text: str) -> Names:
    """The names that FTQ_REDACT lists, separated by commas.

    Raises:
        ValueError: One is no name, or there are too many.
    """
    found: set[tuple[str, ...]] = set()
    for part in filter(None, map(str.strip, text.split(","))):
        if not _NAME.fullmatch(part):
            raise ValueError(
                f"{part[:70]!r} is no name: a letter, then at most 63 letters, digits, "
                "spaces, '_', '-' or '.'"
            )
        found.add(_words(part))
    if len(found) > MOST_NAMES:
        raise ValueError(f"{len(found)} names are too many: at most {MOST_NAMES}")
    return Names(frozenset(found))


def is_secret(name: str, names: Names = USUAL) -> bool:
    """Whether what goes by this name is not for everybody's eyes.

    The name is split into words at capitals, digits and punctuation. A word such as `token` makes
    it secret, and so do two in company such as `api key`, unless its last word says that it tells
    *about* a secret: `token_count`, `passwordLength`, `secret-arn`. Names of FTQ_REDACT have no
    such exception.
    """
    return _remembered(name, names) if len(name) <= _REMEMBERED_CHARS else _judge(name, names)


@lru_cache(maxsize=4096)
def _remembered(name: str, names: Names) -> bool:
    return _judge(name, names)


def _judge(name: str, names: Names) -> bool:
    words = _words(name)
    if any(_within(phrase, words) for phrase in names.phrases):
        return True
    if not words or words[-1] in _ABOUT:
        return False
    return (
        words in _WHOLE
        or any(each in _WORDS or each.endswith(_TAILS) for each in words)
        or any(pair in _PAIRS for pair in pairwise(words))
    )


def _words(name: str) -> tuple[str, ...]:
    found = (each.lower() for each in _WORD.findall(name))
    return tuple(_singular(each) for each in found)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word


def _within(phrase: tuple[str, ...], words: tuple[str, ...]) -> bool:
    most = len(words) - len(phrase)
    return any(words[at : at + len(phrase)] == phrase for at in range(most + 1))
