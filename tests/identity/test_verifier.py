"""Tokens to identities: with keys at hand, with keys that are fetched, and with others from now on."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from portward.identity.jwks import JwksSource, KeysUnavailable
from portward.identity.verifier import TokenVerifier
from portward.security.keys import KeySet, public_key, secret_key
from portward.security.tokens import TokenReason, TokenRefused, UnknownKey
from portward.settings.tokens import TokenRules, Tokens, token_rules
from portward.testing import FakeClock
from tests.identity.test_jwks import ISSUER, Provider, key_set, response
from tests.security.make_tokens import (
    CLAIMS,
    NOW,
    SECRET,
    ec_key,
    ed_key,
    jwk,
    make_public_token,
    make_token,
    pem,
    rsa_key,
)

OTHER = "another secret of thirty-two byte"


class VerifierSetup:
    """A verifier with what it was told to ignore."""

    def __init__(self, keys: KeySet | JwksSource, rules: TokenRules | None = None) -> None:
        self.clock = FakeClock(NOW)
        self.ignored: list[tuple[str, ...]] = []
        rules = rules or token_rules(Tokens())
        self.verifier = TokenVerifier(keys, rules, self.clock, self.ignored.append)

    async def outcome(self, token: str) -> str:
        """The subject of a token, or why it is refused."""
        try:
            return (await self.verifier.identify(token)).subject
        except TokenRefused as refused:
            return refused.reason.value
        except KeysUnavailable:
            return "unavailable"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """An identity provider with the key `a`."""
    provider = Provider()
    await provider.open()
    yield provider
    await provider.close()


@pytest.fixture
async def remote(provider: Provider) -> AsyncIterator[VerifierSetup]:
    """A verifier whose keys come from there."""
    clock = FakeClock(NOW)
    source = JwksSource(provider.url, clock, issuer=ISSUER)
    setup = VerifierSetup(source, token_rules(Tokens(issuer=ISSUER)))
    setup.clock = setup.verifier._clock = clock
    yield setup
    await setup.verifier.aclose()


def signed(kid: str = "a", **header: object) -> str:
    """A token of the provider."""
    return make_public_token(ec_key(), "ES256", {**CLAIMS, "iss": ISSUER}, kid=kid, **header)


async def test_keys_at_hand() -> None:
    """With keys at hand a token is verified without waiting, by the clock that was given."""
    setup = VerifierSetup(KeySet([secret_key(SECRET)]))
    setup.verifier.start()
    with pytest.raises(StopIteration) as done:
        setup.verifier.identify(make_token()).send(None)
    assert done.value.value.subject == "alice"
    setup.clock.advance(600 + 30)
    assert await setup.outcome(make_token()) == TokenReason.EXPIRED.value
    await setup.verifier.aclose()


async def test_unknown_key_at_hand() -> None:
    """A key that is not among those at hand cannot be fetched: the token is refused."""
    setup = VerifierSetup(KeySet([public_key(pem(ec_key()))], remote=True))
    with pytest.raises(UnknownKey):
        await setup.verifier.identify(make_public_token(ed_key(), "EdDSA", kid="b"))


async def test_headers_that_bring_their_own_key() -> None:
    """The names of such headers are told, whether the token is good or not, and never used."""
    setup = VerifierSetup(KeySet([secret_key(SECRET)]))
    header = {"alg": "HS256", "jku": "https://evil.example/", "x5u": "https://evil.example/"}
    assert await setup.outcome(make_token(header=header)) == "alice"
    assert await setup.outcome(make_token(header=header, secret=OTHER)) == "signature"
    assert await setup.outcome(make_token()) == "alice"
    assert setup.ignored == [("jku", "x5u")] * 2


async def test_fetched_keys(remote: VerifierSetup, provider: Provider) -> None:
    """The keys are fetched once, in the background or when first asked for."""
    remote.verifier.start()
    outcomes = await asyncio.gather(*[remote.outcome(signed()) for _ in range(20)])
    assert outcomes == ["alice"] * 20
    assert len(provider.requests) == 1


async def test_new_key(remote: VerifierSetup, provider: Provider) -> None:
    """A key the provider has begun to use is fetched when a token names it."""
    assert await remote.outcome(signed()) == "alice"
    remote.clock.advance(60)
    provider.answer = response(key_set(a=ec_key(), b=ed_key()))
    token = make_public_token(ed_key(), "EdDSA", {**CLAIMS, "iss": ISSUER}, kid="b")
    assert await remote.outcome(token) == "alice"
    assert len(provider.requests) == 2


async def test_made_up_keys(remote: VerifierSetup, provider: Provider) -> None:
    """A thousand made-up key ids are refused, and cause one fetch at most."""
    assert await remote.outcome(signed()) == "alice"
    remote.clock.advance(60)
    outcomes = {await remote.outcome(signed(kid=f"made-up-{n}")) for n in range(1000)}
    assert outcomes == {TokenReason.KEY.value}
    assert len(provider.requests) <= 2


def by(key: ec.EllipticCurvePrivateKey, kid: str | None) -> str:
    """A token of the provider by another key on the same curve."""
    header = {} if kid is None else {"kid": kid}
    return make_public_token(key, "ES256", {**CLAIMS, "iss": ISSUER}, **header)


def published(key: ec.EllipticCurvePrivateKey, kid: str | None) -> bytes:
    """A key set with this one key, with an id or without."""
    entry = jwk(key) if kid is None else jwk(key, kid=kid)
    return response(json.dumps({"keys": [entry]}).encode())


@pytest.mark.parametrize("kid", ["a", None, "x+y/z=="])
async def test_a_key_that_changed_under_its_id(
    remote: VerifierSetup, provider: Provider, kid: str | None
) -> None:
    """A key that is exchanged with the same id, or without any, is noticed by its first signature."""
    old, new = ec_key(), ec.generate_private_key(ec.SECP256R1())
    provider.answer = published(old, kid)
    assert await remote.outcome(by(old, kid)) == "alice"
    provider.answer = published(new, kid)
    remote.clock.advance(60)
    outcomes = await asyncio.gather(*[remote.outcome(by(new, kid)) for _ in range(20)])
    assert outcomes == ["alice"] * 20
    assert len(provider.requests) == 2
    remote.clock.advance(60)
    assert await remote.outcome(by(old, kid)) == TokenReason.SIGNATURE.value


async def test_a_key_of_another_kind_under_its_id(
    remote: VerifierSetup, provider: Provider
) -> None:
    """A key that is exchanged for one with another algorithm is noticed as well."""
    assert await remote.outcome(signed()) == "alice"
    provider.answer = response(key_set(a=ed_key()))
    remote.clock.advance(60)
    token = make_public_token(ed_key(), "EdDSA", {**CLAIMS, "iss": ISSUER}, kid="a")
    assert await remote.outcome(token) == "alice"


@pytest.mark.parametrize("kid", ["a", None])
async def test_a_young_set_is_not_fetched_again(
    remote: VerifierSetup, provider: Provider, kid: str | None
) -> None:
    """Within half a minute a signature that fits no key is refused without a fetch."""
    assert await remote.outcome(signed()) == "alice"
    forged = by(ec.generate_private_key(ec.SECP256R1()), kid)
    remote.clock.advance(29)
    assert await remote.outcome(forged) == TokenReason.SIGNATURE.value
    assert len(provider.requests) == 1
    remote.clock.advance(1)
    assert await remote.outcome(forged) == TokenReason.SIGNATURE.value
    assert len(provider.requests) == 2


async def test_forged_signatures_fetch_twice_a_minute_at_most(
    remote: VerifierSetup, provider: Provider
) -> None:
    """However many signatures fit no key, and made-up ids beside them, the issuer is asked seldom."""
    assert await remote.outcome(signed()) == "alice"
    other = ec.generate_private_key(ec.SECP256R1())
    provider.answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    for second in range(1, 121):
        remote.clock.advance(1)
        tokens = (by(other, "a"), by(other, None), signed(kid=f"made-up-{second}"))
        outcomes = [await remote.outcome(token) for token in tokens]
        assert outcomes[:2] == [TokenReason.SIGNATURE.value] * 2
        assert await remote.outcome(signed()) == "alice"
    # One in each half minute, and the retries of the background after a failure.
    assert len(provider.requests) <= 1 + 2 * 4


async def test_at_most_eight_keys_are_tried_without_an_id(
    remote: VerifierSetup, provider: Provider
) -> None:
    """A token without a key id is tried with the first eight keys that may fit."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(10)]
    entries = [jwk(key, kid=f"k{n}") for n, key in enumerate(keys)]
    provider.answer = response(json.dumps({"keys": [jwk(rsa_key()), *entries]}).encode())
    outcomes = [await remote.outcome(by(key, None)) for key in keys]
    assert outcomes == ["alice"] * 8 + [TokenReason.SIGNATURE.value] * 2
    assert await remote.outcome(by(keys[9], "k9")) == "alice"


async def test_provider_away(remote: VerifierSetup, provider: Provider) -> None:
    """Without any keys a token cannot be judged now."""
    provider.answer = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    assert await remote.outcome(signed()) == "unavailable"


async def test_foreign_issuer(remote: VerifierSetup) -> None:
    """A token of another issuer is refused with the right key, too."""
    token = make_public_token(
        ec_key(), "ES256", {**CLAIMS, "iss": "https://other.example"}, kid="a"
    )
    assert await remote.outcome(token) == TokenReason.ISSUER.value


async def test_other_keys_from_now_on() -> None:
    """After a change the old keys are good for nothing, and the new rules hold."""
    setup = VerifierSetup(KeySet([secret_key(SECRET)]))
    assert await setup.outcome(make_token()) == "alice"
    other = VerifierSetup(KeySet([secret_key(OTHER)]), token_rules(Tokens(audience="app"))).verifier
    setup.verifier.adopt(other)
    assert await setup.outcome(make_token()) == TokenReason.SIGNATURE.value
    assert await setup.outcome(make_token(secret=OTHER)) == TokenReason.AUDIENCE.value
    assert await setup.outcome(make_token(secret=OTHER, aud="app")) == "alice"


async def test_from_fetched_keys_to_others(remote: VerifierSetup, provider: Provider) -> None:
    """A source that is replaced fetches no more, and closing waits until it has let go."""
    remote.verifier.start()
    assert await remote.outcome(signed()) == "alice"
    source = remote.verifier.keys
    assert isinstance(source, JwksSource)
    remote.verifier.adopt(VerifierSetup(KeySet([secret_key(SECRET)])).verifier)
    await remote.verifier.aclose()
    assert remote.verifier._closing is not None
    assert remote.verifier._closing.done()
    assert await remote.outcome(make_token()) == "alice"
    fetched = len(provider.requests)
    remote.clock.advance(86_400)
    assert len(provider.requests) == fetched


async def test_from_other_keys_to_fetched_ones(provider: Provider) -> None:
    """A source that is adopted begins to fetch."""
    setup = VerifierSetup(KeySet([secret_key(SECRET)]))
    source = JwksSource(provider.url, setup.clock, issuer=ISSUER)
    setup.verifier.adopt(VerifierSetup(source, token_rules(Tokens(issuer=ISSUER))).verifier)
    assert await setup.outcome(signed()) == "alice"
    await setup.verifier.aclose()


# -- what may be remembered of a refusal


async def test_edition_of_keys_at_hand() -> None:
    """It changes when others take the place of keys and rules, and by nothing else."""
    setup = VerifierSetup(KeySet([secret_key(SECRET)]))
    before = setup.verifier.edition
    await setup.outcome("x")
    await setup.outcome(make_token(CLAIMS))
    assert setup.verifier.edition == before
    setup.verifier.adopt(VerifierSetup(KeySet([secret_key(SECRET)])).verifier)
    assert setup.verifier.edition != before


async def test_edition_of_fetched_keys(provider: Provider, remote: VerifierSetup) -> None:
    """It changes with the set, not with each fetch of the same."""
    provider.answer = response(key_set(a=ec_key()))
    remote.verifier.start()
    await remote.outcome(signed("a"))
    before = remote.verifier.edition
    for _ in range(3):
        remote.clock.advance(31)
        await remote.outcome(signed("unknown"))
    assert remote.verifier.edition == before
    provider.answer = response(key_set(a=ec_key(), b=ec_key()))
    remote.clock.advance(31)
    await remote.outcome(signed("b"))
    assert remote.verifier.edition != before


@pytest.mark.parametrize("remote_keys", [False, True])
def test_refusals_that_last(remote_keys: bool) -> None:
    """What is not yet good does not; nor does a key not found, where keys are fetched."""
    verifier = VerifierSetup(KeySet([], remote=remote_keys)).verifier
    found = {reason for reason in TokenReason if verifier.lasts(TokenRefused(reason))}
    passing = {TokenReason.NOT_YET}
    if remote_keys:
        passing |= {TokenReason.ALGORITHM, TokenReason.KEY, TokenReason.SIGNATURE}
    assert found == set(TokenReason) - passing
    assert verifier.lasts(UnknownKey("a")) is not remote_keys
