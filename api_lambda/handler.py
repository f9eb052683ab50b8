"""What Lambda calls: one HTTP request as an event of payload format 2.0, one answer."""

from __future__ import annotations

import logging
import uuid

from api_lambda.bootstrap import api
from api_lambda.http import Answer, answer
from api_lambda.log import ensure, log, log_bug
from api_lambda.problems import BUG, Problem
from ftq.errors import RegistryError, SettingsError


def handler(event: object, context: object) -> Answer:
    """Answer one request. Never raises: a raise would be API Gateway's bare 500.

    Args:
        event: The request, as API Gateway's HTTP API sends it.
        context: The runtime's; not used.
    """
    try:
        return api().handle(event)
    except (SettingsError, RegistryError) as error:
        ensure()
        log(logging.ERROR, "api.misconfigured", problems=[*str(error).splitlines()])
    except Exception as error:  # whatever it is, the client gets JSON
        ensure()
        log_bug("api.bug", error)
    return answer(Problem(BUG, "The request could not be served.").response(), uuid.uuid4().hex)
