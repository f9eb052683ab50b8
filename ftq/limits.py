"""Every limit that a user or the services set, in one place, each with its source.

Sizes are bytes of UTF-8, times are milliseconds unless the name says otherwise.
"""

from __future__ import annotations

import re
from typing import Final

KIB: Final = 1024

# ftq's own promises (CONTRACT: payload over 256 KiB is refused).
PAYLOAD_BYTES: Final = 256 * KIB
# Payloads up to here are kept in the record, larger ones in an item beside it, so that no
# later write of the record pays for them (DynamoDB bills writes by whole KiB of the item).
INLINE_PAYLOAD_BYTES: Final = 1 * KIB
# A result or a progress value is small by intent: it is rewritten with the record.
RESULT_BYTES: Final = 32 * KIB
PROGRESS_BYTES: Final = 1 * KIB
ERROR_MESSAGE_CHARS: Final = 512
CLASS_NAME_CHARS: Final = 200
HISTORY_ENTRIES: Final = 20
JSON_DEPTH: Final = 64

# SQS: "Amazon SQS message quotas" (message size with attributes: 1 MiB on queues made since
# August 2025, 256 KiB on older ones, so a body is kept under the older limit).
BODY_BYTES: Final = 256 * KIB - 4 * KIB
SQS_BATCH_ENTRIES: Final = 10
SQS_BATCH_BYTES: Final = 256 * KIB
SQS_ATTRIBUTES: Final = 10
SQS_DELAY_SECONDS: Final = 900
SQS_WAIT_SECONDS: Final = 20
SQS_VISIBILITY_SECONDS: Final = 43_200
SQS_RECEIVE_COUNT: Final = 1_000
# Hides stay this far below the 12 h after receipt at which SQS takes a message back anyway.
VISIBILITY_MARGIN_SECONDS: Final = 60

# DynamoDB: "Service, account, and table quotas" and the BatchExecuteStatement reference.
STATEMENTS_PER_BATCH: Final = 25
ITEM_BYTES: Final = 400 * KIB

# A delay beyond SQS's own is kept in the table; this bounds it to something a calendar has.
DELAY_SECONDS: Final = 366 * 24 * 3600

SHARDS: Final = 16

# `#` is the separator of keys beside the record (PROTOCOL R11), hence illegal in ids.
ID_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
TYPE_PATTERN: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
TENANT_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")
# Visible ASCII: what an HTTP header carries without surprises. No comma: whoever joins a header
# that came twice, as API Gateway does, joins by it, and two keys are no key.
KEY_PATTERN: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,255}")
QUEUE_PATTERN: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# It is in every line of the task's life: what looks like a JWT or an AWS key id is no id.
CORRELATION_PATTERN: Final = re.compile(
    r"(?!.*(?:eyJ[A-Za-z0-9_-]{7}|A[KS]IA[A-Z2-7]{16}))[A-Za-z0-9][A-Za-z0-9._:/=+-]{0,127}"
)
