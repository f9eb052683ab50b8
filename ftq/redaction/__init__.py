"""What must not be read by whoever reads logs is taken out of values and texts here.

One rule for all outputs of all programs: `redact` for values, `redact_text` for texts. What goes:

- values under secret *names*: `password`, `token`, `apiKey`, `X-Api-Key` …, told by their words, so
  that `monkey` and `tokenizer` stay (`names`): in objects, in pairs, and in texts (`pairs`);
- values that give themselves away wherever they stand: credentials, keys, card numbers (`forms`).

Nothing here raises, time grows with the length of what is given, and what was redacted once is
not changed by being redacted again. It is a net, not a proof: a secret in prose that carries
neither a name nor a form of its own passes. Names of one's own are added by FTQ_REDACT.
"""

from ftq.redaction.forms import MARK
from ftq.redaction.names import USUAL, Names, is_secret, read_names
from ftq.redaction.values import DEPTH, NODES, TEXT_CHARS, redact, redact_text

__all__ = [
    "DEPTH",
    "MARK",
    "NODES",
    "TEXT_CHARS",
    "USUAL",
    "Names",
    "is_secret",
    "read_names",
    "redact",
    "redact_text",
]
