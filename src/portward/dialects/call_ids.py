"""Call ids and the channels behind them. Any text may name a call, and not every text a channel.

What a channel's name cannot hold is percent-encoded, `%` itself included, so that no two ids share a
channel. `*`, encoded, is the combined channel: whoever hears that hears all calls.
"""

from typing import Any, Final
from urllib.parse import quote, unquote

from portward.model.channel import Channel

MAX_LENGTH: Final = 64
ALL: Final = "*"
"""Stands for all calls."""

_KEPT: Final = "!#$&'()+,/:;<=>@^`|"
"""What stands for itself beside what `quote` never touches: letters, digits and `_.-~`."""


def encode(namespace: str, call_id: Any) -> Channel | None:
    """The channel behind a call id, None when it is not one.

    An id is a text of 1 to 64 characters; one that takes too much room encoded has no channel.
    """
    if not isinstance(call_id, str) or not 1 <= len(call_id) <= MAX_LENGTH:
        return None
    try:
        return Channel.parse(f"{namespace}:{quote(call_id, safe=_KEPT)}")
    except ValueError:  # too long, or a lone surrogate
        return None


def decode(channel: Channel) -> str:
    """The call id behind a channel. Of a name that :func:`encode` never made, the nearest text."""
    return unquote(channel.name, errors="replace")
