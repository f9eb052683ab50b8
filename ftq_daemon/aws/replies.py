"""Replies of one operation: plain ones by orjson, all others by botocore's own parser."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final, cast

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel, Shape
from botocore.parsers import ResponseParserError, create_parser

from ftq.value import value
from ftq_daemon.aws.sdk import Answer

if TYPE_CHECKING:
    from botocore.exceptions import _ClientErrorResponseTypeDef

# Bytes travel as Base64, and botocore's parser knows where they are. Within a JSON text quotes are
# escaped, so only keys, and texts that say just this, look like these.
_BYTES: Final = re.compile(rb'"B(?:S?|inaryValue|inaryListValues)"')
_ERRORS: Final = 300
_CRC32: Final = "x-amz-crc32"


@value(frozen=True, slots=True)
class Tried:
    """What came of sending a request once.

    Attributes:
        answer: The HTTP reply; None if there is none.
        parsed: What it says.
        error: What is wrong with it, or why there is none.
    """

    answer: Answer | None = None
    parsed: Mapping[str, object] = field(default_factory=dict)
    error: BotoCoreError | ClientError | ResponseParserError | None = None


class Replies:
    """Reads the replies of one operation."""

    def __init__(self, model: OperationModel) -> None:
        """Choose the parser of the service's protocol."""
        self._model = model
        self._service = model.service_model
        self._parser = create_parser(self._service.resolved_protocol)

    async def read(self, answer: Answer) -> Tried:
        """What a reply says."""
        content = await answer.content
        if answer.status_code >= _ERRORS:
            said = self._error(answer, content)
            told = cast("_ClientErrorResponseTypeDef", said)
            return Tried(answer, said, ClientError(told, self._model.name))
        if not _whole(answer, content):
            return Tried(answer, {}, ResponseParserError("its CRC-32 is not that of its header"))
        try:
            reply = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            return Tried(answer, {}, ResponseParserError(f"it is not JSON: {error}"))
        if not isinstance(reply, dict):
            return Tried(answer, {}, ResponseParserError("it is no JSON object"))
        if _BYTES.search(content):
            reply = self._parse(answer, content, self._model.output_shape)
        return Tried(answer, reply)

    def _error(self, answer: Answer, content: bytes) -> dict[str, object]:
        parsed = self._parse(answer, content, self._model.output_shape)
        error = parsed.get("Error")
        code = error.get("Code") if isinstance(error, dict) else None
        # The stubs want a number; AWS's codes are names.
        shape = self._service.shape_for_error_code(cast("int", code)) if code else None
        return parsed if shape is None else parsed | self._parse(answer, content, shape)

    def _parse(self, answer: Answer, content: bytes, shape: Shape | None) -> dict[str, object]:
        response = {
            "status_code": answer.status_code,
            "headers": answer.headers,
            "body": content,
            "context": {"operation_name": self._model.name},
        }
        parsed: dict[str, object] = self._parser.parse(response, cast("Shape", shape))
        return parsed


def _whole(answer: Answer, content: bytes) -> bool:
    """Whether it is what the service sent: DynamoDB says its checksum."""
    said = answer.headers.get(_CRC32)
    return said is None or said == str(zlib.crc32(content))
