"""What the handshake at a relay says beside who comes."""

from typing import Final

from msgspec.structs import replace

from portward.model.refusals import Refusal, Refused
from portward.model.request import RequestHead
from portward.node.endpoint import Newcomer
from portward.security.credentials import Credential, CredentialKind, query_pairs

_TRANSPARENT: Final = frozenset({CredentialKind.HEADER, CredentialKind.SUBPROTOCOL})
"""Where SDKs that know nothing of a gateway put their key."""


def relayed(head: RequestHead, newcomer: Newcomer, credential: Credential | None) -> Newcomer:
    """Who brings its credential in the handshake speaks to the upstream from the first message on.

    Raises:
        Refused: several models are named.
    """
    chosen = [value for name, value in query_pairs(head.query) if name == "model"]
    if len(chosen) > 1:
        raise Refused(Refusal.BAD_REQUEST, "several models")
    transparent = credential is not None and credential.kind in _TRANSPARENT
    return replace(newcomer, model=chosen[0] if chosen else None, transparent=transparent)
