"""Rules about headers from pages in browsers, and about rejections that pages can read."""

import re
from collections.abc import Iterator
from typing import Final

from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.endpoint import Refuse

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""The grammar of a header's name (RFC 9110 section 5.1)."""


def _allowed_headers(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        for header in endpoint.allowed_headers:
            if not _HEADER.fullmatch(header) or header == "*":
                key = f"endpoints.{name}.allowed_headers"
                what = f"{key}: {header!r} is no name of a header"
                yield CheckProblem(CheckLevel.FAIL, what, f'{key} = ["x-request-id"]')


def _refuse(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        key, socketio = f"endpoints.{name}.refuse", endpoint.dialect == "socketio"
        if socketio and endpoint.refuse is Refuse.CLOSE:
            what = f"{key}: clients of Socket.IO know no close codes"
            yield CheckProblem(CheckLevel.FAIL, what, f'{key} = "connect_error"')
        elif not socketio and endpoint.refuse in {Refuse.EVENT, Refuse.CONNECT_ERROR}:
            what = f"{key} = {endpoint.refuse.value!r} is for Socket.IO: here the status is sent"
            yield CheckProblem(CheckLevel.WARN, what, f'{key} = "status"  # or "close"')


PAGE_RULES: Final = (
    CheckRule("refuse", "clients can learn why they are not let in", _refuse, always=True),
    CheckRule("allowed-headers", "every allowed header is one", _allowed_headers, always=True),
)
