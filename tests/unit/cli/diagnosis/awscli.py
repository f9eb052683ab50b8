"""The AWS CLI's grammar, by AWS's own models: a command as the call that it makes."""

from __future__ import annotations

import json
import shlex
from functools import cache
from typing import cast

import botocore.session
from botocore import xform_name
from botocore.model import ServiceModel, StructureShape
from botocore.validate import ParamValidator

from ftq.ports import Call, Service


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def calls(mend: str) -> list[Call]:
    """The calls of commands that are joined by `&&`, without what only waits."""
    words = [shlex.split(each) for each in mend.split(" && ")]
    return [call(each) for each in words if each[2] != "wait"]


def call(words: list[str]) -> Call:
    """What a command calls; it must be one that the service takes."""
    program, service, name, *rest = words
    assert program == "aws"
    model = _model(service)
    (operation,) = (each for each in model.operation_names if xform_name(each, "-") == name)
    shape = cast("StructureShape", model.operation_model(operation).input_shape)
    flags = {f"--{xform_name(each, '-')}": each for each in shape.members}
    request: dict[str, object] = {}
    while rest:
        flag = rest.pop(0)
        member = flags[flag.replace("--no-", "--")]
        if shape.members[member].type_name == "boolean":
            request[member] = not flag.startswith("--no-")
            continue
        given = [rest.pop(0)]
        while rest and not rest[0].startswith("--"):
            given.append(rest.pop(0))
        kind = shape.members[member].type_name
        if kind == "string":
            (request[member],) = given
        else:
            # A list of texts may be given word by word.
            request[member] = json.loads(given[0]) if given[0][0] in "[{" else given
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    return Call(cast("Service", service), operation, request)
