"""The check of a token against the settings, for `portward check --token`."""

from typing import Final

from portward.app.build import make_keys
from portward.identity.verifier import TokenVerifier
from portward.model.claim_path import ClaimPath
from portward.model.errors import Unavailable
from portward.node.sessions import LoopClock
from portward.security.jws import TokenRefused, parse_compact, strict_object
from portward.settings import CheckLevel, Finding, Settings
from portward.settings.tokens import token_rules

_ACCEPTED: Final = "token-accepted"
_SEEN: Final = "claim-seen"
_ASK: Final = "portward check --token -  # and a token of your issuer on standard input"


async def token_checks(settings: Settings, token: str) -> list[Finding]:
    """Verify a token as the gateway would, and look for each configured claim in it.

    Without a token nothing is verified, and a configured claim is reported as not checked. No finding
    contains any part of the token.
    """
    watched = token_rules(settings.tokens).watched
    if not token:
        return [_unseen(path) for path in watched]
    try:
        await _verify(settings, token)
    except TokenRefused as refused:
        what = f"the token is refused: {refused.reason.value}" + _of(refused.claim)
        return [Finding(_ACCEPTED, CheckLevel.FAIL, what, "portward inspect -  # says why")]
    except (Unavailable, ValueError):
        what = "the token cannot be verified: there is no key, or the key set cannot be fetched"
        return [Finding(_ACCEPTED, CheckLevel.FAIL, what, 'tokens.jwks_url = "https://…"')]
    claims = strict_object(parse_compact(token, settings.tokens.max_size).payload)
    found = [Finding(_ACCEPTED, CheckLevel.OK, "the token is accepted")]
    return found + [_looked_for(path, claims) for path in watched]


async def _verify(settings: Settings, token: str) -> None:
    clock = LoopClock()
    rules = token_rules(settings.tokens)
    verifier = TokenVerifier(make_keys(settings.tokens, clock), rules, clock, lambda _: None)
    verifier.start()
    try:
        await verifier.identify(token)
    finally:
        await verifier.aclose()


def _looked_for(path: ClaimPath, claims: dict[str, object]) -> Finding:
    if path.find(claims) is None:
        what = f"the token has no claim {path}, which tokens.claims names"
        return Finding(_SEEN, CheckLevel.WARN, what, "tokens.claims  # where the issuer writes it")
    return Finding(_SEEN, CheckLevel.OK, f"the token has the claim {path}")


def _unseen(path: ClaimPath) -> Finding:
    what = f"whether tokens have the claim {path} was not looked at: {_ASK}"
    return Finding(_SEEN, CheckLevel.SKIP, what)


def _of(claim: str) -> str:
    return f" ({claim})" if claim else ""
