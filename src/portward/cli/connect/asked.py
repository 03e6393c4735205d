"""What was asked for on the command line, and who asks."""

from pathlib import Path

import msgspec

from portward.cli.connect.memory import fingerprint
from portward.cli.minting import Bearer, mint
from portward.cli.reading import read, ready
from portward.client import TokenSource
from portward.security.jws import TokenRefused, parse_compact, strict_object


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The command line, understood. `credential` tells two ways to prove oneself apart."""

    url: str
    user: str
    token: str | TokenSource | None
    credential: str
    rooms: list[str]
    profile: str
    as_json: bool
    origin: str | None
    cookie: str | None = None

    def __repr__(self) -> str:
        return f"Asked({self.url!r})"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the handshake."""
        given = {"Origin": self.origin, "Cookie": self.cookie}
        return {name: value for name, value in given.items() if value}


def source_of(config: Path | None, bearer: Bearer) -> TokenSource:
    """What makes tokens for somebody, each time anew.

    Raises:
        Refusal: it cannot be done here.
    """
    settings = ready(read(config)).settings
    mint(settings, bearer)  # so that a refusal comes before the connection

    async def fresh() -> str:
        return mint(settings, bearer)

    return fresh


def credential_of(
    sub: str | None, role: list[str] | None, token: str | None, workspace: str | None
) -> str:
    """What tells two ways to prove oneself apart, without a secret in it."""
    if sub is None:
        return fingerprint(token or "")
    return fingerprint("sub", sub, *(role or ()), *(["\0", workspace] if workspace else ()))


def subject_of(token: str | None) -> str:
    """Whom a token is for, unverified: enough to tell what is kept for whom."""
    if token is None:
        return ""
    try:
        return str(strict_object(parse_compact(token).payload).get("sub"))
    except TokenRefused:
        return fingerprint(token)
