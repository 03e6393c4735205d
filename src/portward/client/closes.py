"""Which close codes invite a client to come back."""

from typing import Final

from portward.model.disconnects import OWN_CLOSES, PROXIES, Disconnect

_TABLE: Final = {**PROXIES, **{ending.code: ending.reconnect for ending in Disconnect}}
_OWN: Final = {
    close: ending.reconnect for closes in OWN_CLOSES.values() for ending, close in closes.items()
}
"""Closes that a protocol words itself, as code and reason."""


def invites_return(code: int | None, reason: str = "") -> bool:
    """Whether to reconnect after a close with this code; None stands for a link that just broke.

    The gateway's own endings are looked up in their tables. Of the other numbers 3000 to 3499 and
    4000 to 4499 invite, 3500 to 3999 and 4500 to 4999 forbid (Centrifugo's rule), and what is left
    forbids.
    """
    if code is None:
        return True
    known = _OWN.get((code, reason), _TABLE.get(code))
    if known is not None:
        return known
    return 3000 <= code < 3500 or 4000 <= code < 4500  # noqa: PLR2004 - the ranges as they are written
