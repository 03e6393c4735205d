"""Rules about what pages in browsers may send."""

import re
from collections.abc import Iterator
from typing import Final

from portward.settings.checks.rule import Context, Level, Problem, Rule

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""The name of a header (RFC 9110 section 5.1)."""


def _allowed_headers(context: Context) -> Iterator[Problem]:
    for name, endpoint in context.served.items():
        for header in endpoint.allowed_headers:
            if not _HEADER.fullmatch(header) or header == "*":
                key = f"endpoints.{name}.allowed_headers"
                what = f"{key}: {header!r} is no name of a header"
                yield Problem(Level.FAIL, what, f'{key} = ["x-request-id"]')


PAGE_RULES: Final = (
    Rule("allowed-headers", "every allowed header is one", _allowed_headers, always=True),
)
