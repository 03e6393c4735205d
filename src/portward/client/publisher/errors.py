"""The errors of the publishers.

ClientError
`-- PublisherError          the root: `code` for programs, `temporary`, `retry_after`
    +-- GatewayUnreachable  no connection, or it broke before the answer
    +-- CallTimedOut        no answer in time
    +-- CallRefused         the admin API answered with an error: `status`, `number`
    `-- UnexpectedAnswer    the answer is not of an admin API

No text holds an API key, a token, or what was to be published.
"""

from collections.abc import Mapping
from typing import Final

from portward.client.errors import ClientError

_CODES: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthorized",
    403: "permission_denied",
    404: "not_found",
    405: "bad_request",
    409: "limit_exceeded",
    413: "too_large",
    416: "unrecoverable_position",
    429: "rate_limited",
    500: "internal",
    501: "not_available",
    503: "unavailable",
}
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later."""
_TEXT: Final = 300
"""Characters of the gateway's sentence that are shown."""


class PublisherError(ClientError):
    """The root of the errors of a publisher."""

    code = "error"


class GatewayUnreachable(PublisherError):  # noqa: N818 - says what happened; the root has the family name
    """There is no connection to the admin API, or it broke before the answer."""

    code = "unreachable"
    temporary = True

    def __init__(self, kind: str) -> None:
        super().__init__(f"no connection to the admin API ({kind})")


class CallTimedOut(PublisherError):  # noqa: N818 - see above
    """The admin API did not answer in time; the call may have been carried out."""

    code = "timeout"
    temporary = True

    def __init__(self) -> None:
        super().__init__("no answer from the admin API in time")


class CallRefused(PublisherError):  # noqa: N818 - see above
    """The admin API refused the call: `status` is that of HTTP, `number` Centrifugo's, if there was one."""

    def __init__(
        self, status: int, number: int | None, text: str, retry_after: float | None
    ) -> None:
        super().__init__(f"refused with status {status}: {text[:_TEXT]}")
        self.status = status
        self.number = number
        self.code = _CODES.get(status, "unavailable" if status in _RETRIED else "refused")
        self.temporary = status in _RETRIED
        self.retry_after = retry_after


class UnexpectedAnswer(PublisherError):  # noqa: N818 - see above
    """The answer is not of an admin API."""

    code = "unexpected_answer"

    def __init__(self, status: int) -> None:
        super().__init__(f"this is no admin API: it answered with status {status}")
        self.status = status
