"""From settings to the parts of a node."""

import pytest
from msgspec.structs import replace

from portward.app import build
from portward.app.build import make_engine
from portward.engines.memory import MemoryEngine
from portward.identity.jwks import JwksSource
from portward.security.tokens import KeySet, TokenRefused
from portward.settings import Secret, Settings, resolve
from portward.settings.sections import EngineSettings, IdentityProviderSettings
from portward.settings.tokens import Tokens
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.testing import FakeClock
from tests.running_gateway import settings
from tests.security.make_tokens import SECRET, ec_key, make_token, pem

CLOCK = FakeClock()


def test_engines() -> None:
    """The engine is the one the address names, and an unknown address is a mistake."""
    assert isinstance(make_engine(Settings(), CLOCK), MemoryEngine)
    with pytest.raises(ValueError, match="abacus"):
        make_engine(settings(engine=EngineSettings(url="abacus://")), CLOCK)


def test_keys() -> None:
    """Secrets and public keys are held, a key set is fetched, and a bad key is a mistake."""
    assert isinstance(build.make_keys(Tokens(secrets=(Secret(SECRET),)), CLOCK), KeySet)
    public = Tokens(public_keys=(pem(ec_key()).decode(),), issuer="me")
    keys = build.make_keys(public, CLOCK)
    assert isinstance(keys, KeySet)
    assert keys.issuer == "me"
    remote = build.make_keys(Tokens(jwks_url="https://idp.example/keys", issuer="me"), CLOCK)
    assert isinstance(remote, JwksSource)
    with pytest.raises(ValueError, match=r"not a public key in PEM"):
        build.make_keys(Tokens(public_keys=("nonsense",)), CLOCK)


async def test_verifier(telemetry: Telemetry) -> None:
    """A token that brings its own key is told of by the name of the header."""
    given = replace(Settings(), tokens=Tokens(secrets=(Secret(SECRET),)))
    verifier = build.make_verifier(resolve(given), CLOCK, telemetry)
    token = make_token(header={"alg": "HS256", "jku": "https://evil.example"}, exp=4_000_000_000)
    assert (await verifier.identify(token)).subject == "alice"
    [entry] = telemetry.audit.recent()
    assert entry.event == Event.TOKEN_HEADER_IGNORED.value
    assert entry.fields["header"] == "jku"


def test_session_tokens() -> None:
    """Session tokens have a secret of their own, made for the run where none is set."""
    first, second = (build.make_session_tokens(Settings()) for _ in range(2))
    token = first.issue("ann", "s", CLOCK.time(), token_id="j")
    assert first.verify(token, CLOCK.time()).subject == "ann"
    with pytest.raises(TokenRefused):
        second.verify(token, CLOCK.time())
    fixed = replace(Settings(), tokens=Tokens(session_secret=Secret(SECRET)))
    token = build.make_session_tokens(fixed).issue("ann", "s", CLOCK.time(), token_id="j")
    assert build.make_session_tokens(fixed).verify(token, CLOCK.time()).token_id == "j"


def test_identity_provider(telemetry: Telemetry) -> None:
    """There is one where its address is set, and a malformed pattern is a mistake."""
    assert build.make_provider(Settings(), CLOCK, telemetry) is None
    given = IdentityProviderSettings(
        url="http://127.0.0.1:1", cookies=("*",), topics={"a:{id}": "/a/{id}"}
    )
    provider = build.make_provider(settings(identity_provider=given), CLOCK, telemetry)
    assert provider is not None
    named = build.make_provider(
        settings(identity_provider=replace(given, cookies=("a",))), CLOCK, telemetry
    )
    assert named is not None
    assert named._accepts("a=1")
    assert not named._accepts("a=j:1")
    assert provider._accepts("a=j:1")
    broken = replace(given, topics={"a:{id": "/a"})
    with pytest.raises(ValueError, match=r"a:\{id"):
        build.make_provider(settings(identity_provider=broken), CLOCK, telemetry)
