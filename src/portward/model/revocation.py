"""A credential or a person that is no longer welcome."""

from enum import StrEnum

import msgspec

from portward.model.identity import Identity


class RevocationKind(StrEnum):
    """What is taken back: one token by id, one session, everything a subject holds, one whole token."""

    TOKEN_ID = "jti"  # noqa: S105 - the name of a claim
    SESSION = "session"
    SUBJECT = "user"
    TOKEN = "token"  # noqa: S105 - the name of a kind


class Revocation(msgspec.Struct, frozen=True):
    """`value` is the id, the subject, or the SHA-256 (hexadecimal) of a token. Times are Unix seconds.

    A subject's revocation takes back what was issued up to `at`; it is kept until `until`.
    """

    kind: RevocationKind
    value: str
    at: float
    until: float

    def names(self, identity: Identity, session: str | None) -> bool:
        """Whether this takes back `identity`, or the session with the id `session`.

        A subject's revocation spares what was issued after it; a token that does not say when it was
        issued is not spared.
        """
        if self.kind is RevocationKind.SUBJECT:
            issued = identity.issued_at
            return identity.subject == self.value and (issued is None or issued <= self.at)
        return (self.kind, self.value) in identity_keys(identity, session)


def identity_keys(identity: Identity, session: str | None) -> list[tuple[RevocationKind, str]]:
    """Every (kind, value) under which a revocation of this identity or session would be kept."""
    named = (
        (RevocationKind.TOKEN_ID, identity.token_id),
        (RevocationKind.SESSION, identity.session_id),
        (RevocationKind.SESSION, session),
        (RevocationKind.SUBJECT, identity.subject),
        (RevocationKind.TOKEN, identity.digest),
    )
    return [(kind, value) for kind, value in named if value]
