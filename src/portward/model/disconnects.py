"""Reasons for closing a connection: one table; the documentation and client copies are generated from it.

Codes 3000-3499 allow a reconnect and 3500-3999 forbid it (the convention and numbers of Centrifugo);
1000-2999 are the codes of RFC 6455 section 7.4. Reasons are fixed tokens, never input of a peer.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple


class _Close(NamedTuple):
    code: int
    reason: str
    reconnect: bool
    meaning: str


class Disconnect(Enum):
    """All reasons for which the gateway closes a connection.

    `code` is the close code, `reason` a fixed token (possibly empty), `reconnect` whether the client may
    come back, `meaning` one phrase for the documentation.
    """

    def __init__(self, code: int, reason: str, reconnect: bool, meaning: str) -> None:
        self.code = code
        self.reason = reason
        self.reconnect = reconnect
        self.meaning = meaning

    NORMAL = _Close(1000, "", False, "the client closed")
    GOING_AWAY = _Close(1001, "", True, "the client left, or the link broke")
    PROTOCOL_ERROR = _Close(1002, "", False, "a frame broke RFC 6455")
    WRONG_DATA = _Close(1003, "", False, "a binary message where the dialect speaks text")
    INVALID_UTF8 = _Close(1007, "", False, "a text message was not UTF-8")
    FLOODING = _Close(
        1008, "policy violation", False, "frames or fragments beyond the limits, or too slowly sent"
    )
    TOO_BIG = _Close(1009, "", False, "a message over the size limit")
    INTERNAL = _Close(1011, "", True, "the gateway failed")
    UPSTREAM_CLOSED = _Close(
        1000,
        "upstream closed",
        False,
        "the upstream closed; its own code is passed on where it may be",
    )
    TRY_LATER = _Close(
        1013,
        "try again later",
        True,
        "a handshake was refused by a close: the gateway is full, or a service it needs is away",
    )
    BAD_GATEWAY = _Close(
        1014, "bad gateway", True, "the upstream could not be reached, or was lost"
    )
    SHUTDOWN = _Close(3001, "shutdown", True, "the node is draining")
    EXPIRED = _Close(3005, "expired", True, "the token ran out")
    SLOW = _Close(3008, "slow", True, "the client read too slowly")
    NO_PONG = _Close(3012, "no pong", True, "no answer to a ping in time")
    TOO_MANY_REQUESTS = _Close(3013, "too many requests", True, "ten refusals by a limit in a row")
    IDLE = _Close(3014, "idle", True, "no frame of any kind for the idle time")
    AUTH_FAILED = _Close(3500, "invalid token", False, "the credential was refused")
    TOO_MANY_FAULTS = _Close(3501, "bad request", False, "too many faults in a row")
    AUTH_TIMEOUT = _Close(3502, "stale", False, "not authenticated in time")
    REVOKED = _Close(
        3503, "force disconnect", False, "the credential was revoked, or an operator ended it"
    )
    CONNECTION_LIMIT = _Close(
        3504, "connection limit", False, "over the number of connections allowed"
    )
    QUOTA = _Close(3504, "quota exceeded", False, "a budget of the session or the user is used up")
    PERMISSION_LOST = _Close(
        3507, "permission denied", False, "the right to this endpoint was withdrawn"
    )


PROXIES: Final[Mapping[int, bool]] = {1006: True, 1012: True, 1013: True, 1014: True}
"""Close codes of proxies and other servers (IANA registry); the value is whether to reconnect: always yes."""
