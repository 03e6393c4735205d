"""The close codes after which a client reconnects."""

from typing import Final

from portward.model.disconnects import PROXIES, Disconnect

_TABLE: Final = {**PROXIES, **{ending.code: ending.reconnect for ending in Disconnect}}
INVITING: Final = frozenset(
    {(1008, "Connection timeout"), (1008, "back-pressure threshold exceeded")}
)
"""Closes of single protocols, as code and reason, that allow a reconnect although their code does not."""


def invites_return(code: int | None, reason: str = "") -> bool:
    """Whether to reconnect after a close with this code; None stands for a connection that broke.

    The gateway's own codes are looked up in their tables. Of the other codes 3000 to 3499 and 4000 to
    4499 allow to reconnect (Centrifugo's rule), and all others forbid it.
    """
    if code is None:
        return True
    if (code, reason) in INVITING:
        return True
    if code in _TABLE:
        return _TABLE[code]
    return 3000 <= code < 3500 or 4000 <= code < 4500  # noqa: PLR2004 - the ranges as they are written
