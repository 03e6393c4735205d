"""Call ids and their channels. Any text may be a call id, but not every text is a channel name.

Characters that a channel name cannot have are percent-encoded, `%` itself included, so that no two ids
share a channel. `*`, encoded, is the combined channel: its subscribers get the alerts of all calls. An id
that is too long when encoded becomes `%~` and its SHA-256, which cannot be an encoding, nor be decoded.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final, TypeGuard
from urllib.parse import quote, unquote

from portward.model import channel as grammar
from portward.model.channel import Channel

MAX_LENGTH: Final = 64
ALL: Final = "*"
"""Call id that means all calls."""
REMEMBERED: Final = 10_000
"""Most ids that are stored because they cannot be decoded from their channels."""

_KEPT: Final = "!#$&'()+,/:;<=>@^`|"
"""Characters that are not encoded, in addition to those of `quote`: letters, digits and `_.-~`."""
_DIGEST: Final = "%~"


def is_text(call_id: Any) -> TypeGuard[str]:
    """Whether it is a text of a call id's length."""
    return isinstance(call_id, str) and 1 <= len(call_id) <= MAX_LENGTH


def encode(namespace: str, call_id: Any) -> Channel | None:
    """The channel of a call id, None when it is no call id.

    An id is a text of 1 to 64 characters, without lone surrogates.
    """
    if not is_text(call_id):
        return None
    try:
        name = quote(call_id, safe=_KEPT)
        if len(namespace) + 1 + len(name) > grammar.MAX_LENGTH:
            name = _digest(call_id)
        return Channel.parse(f"{namespace}:{name}")
    except ValueError:  # a lone surrogate, or the namespace is too long for any name
        return None


def _digest(call_id: str) -> str:
    digest = urlsafe_b64encode(sha256(call_id.encode()).digest())
    return _DIGEST + digest.decode().rstrip("=")


def decode(channel: Channel) -> str:
    """The call id of a channel; an approximate text for a name that cannot be decoded."""
    return unquote(channel.name, errors="replace")


class CallIds:
    """Encodes and decodes the call ids of one namespace.

    Ids that cannot be decoded from their channels are stored, the most recently used ones.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._remembered: dict[Channel, str] = {}

    def encode(self, call_id: Any) -> Channel | None:
        """The channel of a call id; see :func:`encode`."""
        channel = encode(self._namespace, call_id)
        if channel is not None and channel.name.startswith(_DIGEST):
            self._remember(channel, call_id)
        return channel

    def decode(self, channel: Channel) -> str:
        """The call id of a channel; see :func:`decode`."""
        known = self._remembered.get(channel)
        return decode(channel) if known is None else self._remember(channel, known)

    def _remember(self, channel: Channel, call_id: str) -> str:
        self._remembered.pop(channel, None)
        self._remembered[channel] = call_id
        if len(self._remembered) > REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        return call_id
