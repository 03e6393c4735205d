"""Revocations of credentials."""

from enum import StrEnum

import msgspec

from portward.model.identity import Identity


class RevocationKind(StrEnum):
    """What is revoked: one token by id, one session, all credentials of a subject, or one whole token."""

    TOKEN_ID = "jti"  # noqa: S105 - the name of a claim
    SESSION = "session"
    SUBJECT = "user"
    TOKEN = "token"  # noqa: S105 - the name of a kind


class Revocation(msgspec.Struct, frozen=True):
    """A revocation. `value` is the id, the subject, or the SHA-256 (hexadecimal) of a token.

    Times are Unix seconds. The revocation of a subject covers credentials issued up to `at`; a revocation
    is kept until `until`.
    """

    kind: RevocationKind
    value: str
    at: float
    until: float

    def names(self, identity: Identity, session: str | None) -> bool:
        """Return whether this revokes `identity`, or the session with the id `session`.

        The revocation of a subject does not cover credentials issued after it; a token without an issue time
        is covered.
        """
        if self.kind is RevocationKind.SUBJECT:
            issued = identity.issued_at
            return identity.subject == self.value and (issued is None or issued <= self.at)
        return (self.kind, self.value) in identity_keys(identity, session)


def identity_keys(identity: Identity, session: str | None) -> list[tuple[RevocationKind, str]]:
    """Return every (kind, value) that a revocation of this identity or session would have."""
    named = (
        (RevocationKind.TOKEN_ID, identity.token_id),
        (RevocationKind.SESSION, identity.session_id),
        (RevocationKind.SESSION, session),
        (RevocationKind.SUBJECT, identity.subject),
        (RevocationKind.TOKEN, identity.digest),
    )
    return [(kind, value) for kind, value in named if value]
