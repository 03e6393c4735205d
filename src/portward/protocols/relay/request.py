"""The relay part of a handshake: the model, and parameters passed to the upstream."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.security.credentials import GivenCredential, query_pairs
from portward.settings.endpoint import CredentialSource
from portward.settings.resolve import Endpoint

_MODEL: Final = "model"
_TRANSPARENT: Final = frozenset({CredentialSource.HEADER, CredentialSource.SUBPROTOCOL})
"""Credential places of SDKs that do not know the gateway."""
_CREDENTIALS: Final = {"token": CredentialSource.QUERY, "ticket": CredentialSource.TICKET}
_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f]{0,512}")
_SHOWN: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
"""Parameter names that may appear in the log."""


class RequestedRelay(msgspec.Struct, frozen=True):
    """What a client requests in its URL. `parameters` are names and values for the upstream's URL."""

    model: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    transparent: bool = False
    """Whether the client knows only messages of the upstream, so that the gateway sends none of its own."""


def read_request(
    head: RequestHead, credential: GivenCredential | None, rules: Endpoint
) -> RequestedRelay:
    """Read the model and the parameters that a client requests.

    A client whose credential is in a header or a subprotocol is connected to the upstream at once.

    Raises:
        HandshakeRejected: BAD_REQUEST, for a parameter that is not passed on, for one that appears twice,
            and for a value that cannot be passed on.
    """
    pairs = query_pairs(head.query)
    chosen = [value for name, value in pairs if name == _MODEL]
    if len(chosen) > 1:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "several models")
    return RequestedRelay(
        model=chosen[0] if chosen else None,
        parameters=_passed(pairs, rules),
        transparent=credential is not None and credential.kind in _TRANSPARENT,
    )


def _passed(pairs: Iterable[tuple[str, str]], rules: Endpoint) -> tuple[tuple[str, str], ...]:
    passed: dict[str, str] = {}
    for name, value in pairs:
        if name == _MODEL or _CREDENTIALS.get(name) in rules.credentials:
            continue
        shown = name if _SHOWN.fullmatch(name) else "with an odd name"
        if name not in rules.parameters:
            raise HandshakeRejected(
                HandshakeRejection.BAD_REQUEST, f"parameter {shown} is not passed on"
            )
        if name in passed or not _VALUE.fullmatch(value):
            raise HandshakeRejected(
                HandshakeRejection.BAD_REQUEST, f"parameter {shown} is there twice, or malformed"
            )
        passed[name] = value
    return tuple(passed.items())
