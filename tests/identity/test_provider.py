import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator

import pytest

from portward.identity.breaker import FAILURES
from portward.identity.provider import (
    READINGS,
    STAMPS,
    CookieProvider,
)
from portward.identity.single_flight import KEPT
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.model.provider import ProviderResult
from portward.model.revocation import Revocation, RevocationKind
from portward.node.rights import IdentityProviderPort
from portward.node.sessions import start_eager
from portward.settings.sections import CookieForm, IdentityProviderSettings
from portward.testing.clock import START, FakeClock
from tests.identity.standin_server import USER, Answer, Standin, data, hang, response
from tests.identity.test_cookies import SPELLINGS, token

TOPICS = {"event:{id}": "/items/events/{id}?fields=id", "news": "/items/news"}
NOBODY = response(b"", "401 Unauthorized")
BROKEN = response(b"", "500 Internal Server Error")
OK, UNAUTHORIZED = ProviderResult.OK, ProviderResult.UNAUTHORIZED
ME = "/users/me?fields=id,email,role,first_name,last_name"
CANARY = "c4n4ry-5ecret"


@pytest.fixture
async def standin() -> AsyncIterator[Standin]:
    """A provider that knows one user."""
    standin = Standin()
    await standin.start()
    yield standin
    await standin.stop()


@pytest.fixture
def clock() -> FakeClock:
    """Time that leaps."""
    return FakeClock()


@pytest.fixture
def results() -> list[ProviderResult]:
    """The outcomes that were counted."""
    return []


@pytest.fixture
def changes() -> list[bool]:
    """When the provider went away and came back."""
    return []


@pytest.fixture
async def provider(
    standin: Standin, clock: FakeClock, results: list[ProviderResult], changes: list[bool]
) -> AsyncIterator[CookieProvider]:
    """Someone who asks the stand-in."""
    rules = IdentityProviderSettings(url=standin.url, timeout=30.0, topics=TOPICS)
    provider = CookieProvider(
        rules, clock, lambda result, _: results.append(result), changes.append
    )
    yield provider
    await provider.aclose()


@pytest.fixture
async def lenient(standin: Standin, clock: FakeClock) -> AsyncIterator[CookieProvider]:
    """Someone who is handed cookies of all kinds."""
    rules = IdentityProviderSettings(url=standin.url, timeout=30.0, topics=TOPICS, cookies=("*",))
    provider = CookieProvider(rules, clock, lambda *_: None)
    yield provider
    await provider.aclose()


async def outcome(provider: CookieProvider, cookies: str = "sid=1") -> object:
    """The subject, or the fault's kind, or the class of what was raised."""
    try:
        return (await provider.identify(cookies)).subject
    except CommandError as fault:
        return fault.kind
    except Unavailable:
        return Unavailable


def test_is_what_the_node_is_handed(provider: CookieProvider) -> None:
    """It has the shape of the node's port."""
    port: IdentityProviderPort = provider
    assert port is provider


async def test_identity(provider: CookieProvider, clock: FakeClock) -> None:
    """It tells who the user is and since when the cookie is known."""
    assert await provider.identify("sid=1") == Identity(
        subject="u-1",
        email="ann@example.com",
        roles=frozenset({"editor"}),
        issued_at=START,
        profile=USER,
    )


@pytest.mark.p1
@pytest.mark.parametrize(
    ("answer", "expected", "counted"),
    [
        (data(USER), "u-1", OK),
        (NOBODY, ErrorKind.AUTHENTICATION_FAILED, UNAUTHORIZED),
        (response(b"", "403 No"), ErrorKind.AUTHENTICATION_FAILED, UNAUTHORIZED),
        (data(None), ErrorKind.AUTHENTICATION_FAILED, UNAUTHORIZED),
        (response(b"{}"), Unavailable, ProviderResult.MALFORMED),
        (response(b"<html>"), Unavailable, ProviderResult.MALFORMED),
        (data({"id": 1}), Unavailable, ProviderResult.MALFORMED),
        (response(b"", "302 Found"), Unavailable, ProviderResult.ERROR),
        (BROKEN, Unavailable, ProviderResult.ERROR),
        (b"", Unavailable, ProviderResult.ERROR),
    ],
)
async def test_outcomes(
    provider: CookieProvider,
    standin: Standin,
    results: list[ProviderResult],
    answer: Answer,
    expected: object,
    counted: ProviderResult,
) -> None:
    """A user, nobody, or no answer; each is counted as what it was."""
    standin.answer = answer
    assert await outcome(provider) == expected
    assert results == [counted]


async def test_silence(standin: Standin, clock: FakeClock) -> None:
    """Who does not answer in time has not answered."""
    results: list[ProviderResult] = []
    rules = IdentityProviderSettings(url=standin.url, timeout=0.05)
    provider = CookieProvider(rules, clock, lambda result, _: results.append(result))
    standin.answer = hang
    assert await outcome(provider) is Unavailable
    assert results == [ProviderResult.TIMEOUT]
    await provider.aclose()


def test_absent(provider: CookieProvider, standin: Standin, results: list[ProviderResult]) -> None:
    """Nobody is asked about somebody without cookies, and they are counted."""
    provider.absent()
    assert results == [ProviderResult.NO_COOKIE]
    assert standin.heads == []


@pytest.mark.p1
async def test_cookies_go_as_they_are(
    provider: CookieProvider, lenient: CookieProvider, standin: Standin
) -> None:
    """What is handed over is sent on, with nothing added and nothing of its bytes changed."""
    await lenient.identify("a=1; b=caf\xe9; c=\x80\xff")
    await lenient.identify("a=%31; b=j:1 2")
    await provider.identify('a="1";b=2')
    assert standin.cookies() == ["a=1; b=caf\xe9; c=\x80\xff", "a=%31; b=j:1 2", 'a="1";b=2']


@pytest.mark.p0
@pytest.mark.parametrize("cookies", SPELLINGS)
async def test_cookies_in_another_spelling_are_nobodys(
    provider: CookieProvider,
    standin: Standin,
    results: list[ProviderResult],
    clock: FakeClock,
    cookies: str,
) -> None:
    """The provider might know them for what was revoked, and so is not asked."""
    await provider.identify("sid=1")
    clock.advance(60)
    assert await outcome(provider, cookies) is ErrorKind.AUTHENTICATION_FAILED
    assert await provider.allows(cookies, "news") is False
    assert len(standin.heads) == 1
    assert results[1:] == [UNAUTHORIZED] * 2


@pytest.mark.p1
@pytest.mark.parametrize(
    "cookies",
    ["", " ", "a=\x00", "a=1\r\nx: y", "a=1\n", "a=\x7f", "a=\u0100", "a=\ud800", "a=\x0b"],
)
async def test_cookies_that_cannot_be_sent_are_nobodys(
    provider: CookieProvider,
    lenient: CookieProvider,
    standin: Standin,
    changes: list[bool],
    cookies: str,
) -> None:
    """They are refused here, and open no circuit."""
    for each in [provider, lenient] * FAILURES:
        with pytest.raises(CommandError):
            await each.identify(cookies)
        assert await each.allows(cookies, "news") is False
    assert standin.heads == []
    assert changes == []


@pytest.mark.p1
async def test_equal_questions_share_a_call(
    provider: CookieProvider, standin: Standin, results: list[ProviderResult]
) -> None:
    """A thousand who ask at once with fifty cookies are fifty questions, and all get their answer."""
    standin.gate = asyncio.Event()
    callers = [
        asyncio.ensure_future(provider.identify(f"sid={number % 50}")) for number in range(1000)
    ]
    await standin.asked(50)
    standin.gate.set()
    found = await asyncio.gather(*callers)
    assert {identity.subject for identity in found} == {"u-1"}
    assert len(standin.heads) == 50
    assert len(set(standin.cookies())) == 50
    assert results == [OK] * 50


@pytest.mark.p1
async def test_flood_of_bad_cookies(provider: CookieProvider, standin: Standin) -> None:
    """Of any number of different cookies the provider has fifty before it at a time."""
    standin.answer = NOBODY
    found = await asyncio.gather(*[outcome(provider, f"sid={number}") for number in range(500)])
    assert set(found) == {ErrorKind.AUTHENTICATION_FAILED}
    assert standin.most <= 50


async def test_caller_that_goes_away(provider: CookieProvider, standin: Standin) -> None:
    """The others who wait for the same answer get it, and so does who asks later."""
    standin.gate = asyncio.Event()
    callers = [asyncio.ensure_future(provider.identify("sid=1")) for _ in range(3)]
    await standin.asked()
    callers[0].cancel()
    await asyncio.wait(callers[:1])
    assert callers[0].cancelled()
    standin.gate.set()
    assert [(await caller).subject for caller in callers[1:]] == ["u-1", "u-1"]
    assert len(standin.heads) == 1


async def test_all_callers_go_away(provider: CookieProvider, standin: Standin) -> None:
    """The call ends well all the same, and its answer is there for the next."""
    standin.gate = asyncio.Event()
    caller = asyncio.ensure_future(provider.identify("sid=1"))
    await standin.asked()
    caller.cancel()
    await asyncio.wait((caller,))
    standin.gate.set()
    assert await outcome(provider) == "u-1"
    assert len(standin.heads) == 1


async def test_answers_are_kept(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """A user is known for ten seconds without a question."""
    await provider.identify("sid=1")
    standin.answer = NOBODY
    clock.advance(9.9)
    assert await outcome(provider) == "u-1"
    clock.advance(0.1)
    assert await outcome(provider) is ErrorKind.AUTHENTICATION_FAILED
    assert len(standin.heads) == 2


async def test_refusals_are_kept(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """Nobody is nobody for two seconds without a question."""
    standin.answer = NOBODY
    await outcome(provider)
    standin.answer = data(USER)
    clock.advance(1.9)
    assert await outcome(provider) is ErrorKind.AUTHENTICATION_FAILED
    clock.advance(0.1)
    assert await outcome(provider) == "u-1"
    assert len(standin.heads) == 2


async def test_confirmed_in_the_last_day(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """Cookies count as known for a day from the last good answer, and no longer once they were refused."""
    assert not provider.confirmed("sid=1")
    await provider.identify("sid=1")
    clock.advance(86_000)
    assert provider.confirmed(" sid=1")
    assert not provider.confirmed("sid=2")
    await provider.allows("sid=1", "news")
    clock.advance(86_000)
    assert not provider.confirmed("sid=1")
    await provider.identify("sid=1")
    standin.answer = BROKEN
    clock.advance(60)
    assert await outcome(provider) is Unavailable
    assert provider.confirmed("sid=1")
    standin.answer = NOBODY
    assert await outcome(provider) is ErrorKind.AUTHENTICATION_FAILED
    assert not provider.confirmed("sid=1")
    assert not provider.confirmed("sid=\u20ac")


async def test_trouble_is_not_kept(provider: CookieProvider, standin: Standin) -> None:
    """After an error the next one asks again."""
    standin.answer = BROKEN
    assert await outcome(provider) is Unavailable
    standin.answer = data(USER)
    assert await outcome(provider) == "u-1"


async def test_an_answer_may_be_so_old(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """Who needs to know it better asks again; a limit longer than ten seconds changes nothing."""
    await provider.identify("sid=1")
    clock.advance(5)
    await provider.identify("sid=1", max_age=5)
    assert len(standin.heads) == 1
    standin.answer = NOBODY
    with pytest.raises(CommandError):
        await provider.identify("sid=1", max_age=4)
    assert await outcome(provider) is ErrorKind.AUTHENTICATION_FAILED
    assert len(standin.heads) == 2
    clock.advance(10)
    with pytest.raises(CommandError):
        await provider.identify("sid=1", max_age=3600)
    assert len(standin.heads) == 3


async def test_kept_answers_are_the_cookies_own(provider: CookieProvider, standin: Standin) -> None:
    """One cookie's answer is nothing to another's question."""
    await provider.identify("sid=1")
    standin.answer = NOBODY
    assert await outcome(provider, "sid=2") is ErrorKind.AUTHENTICATION_FAILED
    assert await outcome(provider, "sid=1") == "u-1"


@pytest.mark.p1
async def test_answers_do_not_pile_up(provider: CookieProvider, standin: Standin) -> None:
    """What is kept is bounded, for whatever is sent."""
    standin.answer = NOBODY
    provider._answers._cached._size = 10
    await asyncio.gather(*[outcome(provider, f"sid={number}") for number in range(30)])
    assert len(provider._answers) == 10
    assert provider._answers._running == {}
    assert (KEPT, STAMPS, READINGS) == (10_000, 50_000, 100_000)


@pytest.mark.p1
async def test_no_cookie_is_kept(provider: CookieProvider) -> None:
    """Nothing that outlives a call has the cookie in it."""
    await provider.identify(f"sid={CANARY}")
    await provider.allows(f"sid={CANARY}", "news")
    held = [
        *provider._answers._cached._entries.items(),
        *provider._first_seen._entries.items(),
        *provider._confirmed._entries.items(),
        *provider._answers._running.items(),
        *vars(provider).items(),
    ]
    assert CANARY not in repr(held)
    assert {len(key) for key in provider._answers._cached._entries} == {16}


async def test_keys_differ_between_processes(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """A hash seen in one is of no use for guessing in another."""
    other = CookieProvider(IdentityProviderSettings(url=standin.url), clock, lambda *_: None)
    await provider.identify("sid=1")
    await other.identify("sid=1")
    assert not provider._answers._cached._entries.keys() & other._answers._cached._entries.keys()
    await other.aclose()


async def issued(provider: CookieProvider, cookies: str = "sid=1") -> float:
    """Since when the user is known by this cookie, in seconds of the test."""
    at = (await provider.identify(cookies)).issued_at
    assert at is not None
    return at - START


@pytest.mark.p1
async def test_issue_stays_what_it_was(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """A cookie is as old as its first confirmation, through renewals and refusals; a new one is new."""
    assert await issued(provider) == 0
    clock.advance(60)
    assert await issued(provider) == 0
    standin.answer = NOBODY
    clock.advance(60)
    await outcome(provider)
    standin.answer = data(USER)
    clock.advance(60)
    assert await issued(provider) == 0
    assert await issued(provider, "sid=2") == 180


@pytest.mark.p1
@pytest.mark.parametrize(
    "cookies",
    [
        "sid=1; x=y",
        "x=y; sid=1",
        "x=y;sid=1",
        "sid=1; sid=2",
        "sid=2; sid=1",
        "sid=1; directus_refresh_token=junk",
        f"sid=1; jwt={token('{}').decode()}",
        'sid="1"',
        "\tsid=1 ",
    ],
)
async def test_old_cookie_in_new_company_is_old(
    provider: CookieProvider, clock: FakeClock, cookies: str
) -> None:
    """A revoked cookie does not become new by another beside it, or by being spelled otherwise."""
    await provider.identify("sid=1")
    clock.advance(60)
    assert await issued(provider, cookies) == 0


async def test_cookie_beside_an_old_one_is_new(provider: CookieProvider, clock: FakeClock) -> None:
    """Once it comes alone it counts from when it first came."""
    await provider.identify("sid=1")
    clock.advance(60)
    assert await issued(provider, "sid=1; sid=2") == 0
    clock.advance(60)
    assert await issued(provider, "sid=2") == 60


async def test_cookie_that_changes_hands_is_new(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """What one user had does not make another's login old."""
    await provider.identify("sid=1; lang=en")
    clock.advance(60)
    standin.answer = data({"id": "u-2"})
    assert await issued(provider, "sid=2; lang=en") == 60


@pytest.mark.parametrize("cookies", ["sid=1;", "sid=%31", "sid= 1", "sid =1 ; x", 'sid=""1""'])
async def test_spellings_are_seen_through_where_they_are_taken(
    lenient: CookieProvider, clock: FakeClock, cookies: str
) -> None:
    """Where all cookies are sent on, the usual other spellings of one make it no younger."""
    await lenient.identify("sid=1")
    clock.advance(60)
    assert await issued(lenient, cookies) == 0


@pytest.fixture
async def anything(standin: Standin, clock: FakeClock) -> AsyncIterator[CookieProvider]:
    """Someone who is handed the cookies of a login whose values have percent signs."""
    rules = IdentityProviderSettings(url=standin.url, timeout=30.0, cookie_values=CookieForm.ANY)
    provider = CookieProvider(rules, clock, lambda *_: None)
    yield provider
    await provider.aclose()


EXPRESS = "connect.sid=s%3AVq3xJ.a%2Bb%2Fc%3D"
RESPELT = [
    EXPRESS,
    "connect.sid=s:Vq3xJ.a+b/c=",
    "connect.sid=%73%3AVq3xJ.a%2Bb%2Fc%3D",
    "connect.sid=s%3aVq3xJ.a%2bb%2fc%3d",
    'connect.sid="s%3AVq3xJ.a%2Bb%2Fc%3D"',
    'connect.sid="s:Vq3xJ.a+b/c="',
    r'connect.sid="\163:Vq3xJ.a+b/c="',
    r'connect.sid="\s:Vq3xJ.a+b/c="',
    "connect.sid=s%253AVq3xJ.a%252Bb%252Fc%253D",
    f"{EXPRESS}; lang=en",
    f"lang=en; {EXPRESS}",
]


@pytest.mark.p0
@pytest.mark.parametrize("cookies", RESPELT)
async def test_another_spelling_of_a_revoked_cookie_is_as_old(
    anything: CookieProvider, standin: Standin, clock: FakeClock, cookies: str
) -> None:
    """Whatever a server may read as the cookie that was seen before is no younger than that."""
    await anything.identify(EXPRESS)
    clock.advance(60)
    assert await issued(anything, cookies) == 0
    assert standin.cookies()[0] == EXPRESS
    clock.advance(60)
    assert await issued(anything, "connect.sid=s%3Aanother.sig%3D") == 120


@pytest.mark.p0
@pytest.mark.parametrize("cookies", RESPELT)
async def test_a_cookie_that_was_seen_in_another_spelling_is_as_old(
    anything: CookieProvider, clock: FakeClock, cookies: str
) -> None:
    """It does not matter which spelling came first."""
    await anything.identify(cookies)
    clock.advance(60)
    assert await issued(anything, EXPRESS) == 0


@pytest.mark.p1
async def test_a_token_in_another_spelling_is_as_old_as_it_says(
    anything: CookieProvider, clock: FakeClock
) -> None:
    """The time that a token states is found under every reading of the cookie."""
    clock.advance(600)
    encoded = jwt(-30).replace(".", "%2E")
    for value in (encoded, f'"{encoded}"', encoded.replace("e", "%65", 1)):
        assert await issued(anything, f"sid={value}") == -30


@pytest.mark.p0
@pytest.mark.parametrize("value", ["j:1", "j%3A1", "%6A:1", '"j:1"', '%256a:{"a":1}', "\x01"])
async def test_what_may_be_json_is_refused_unasked(
    anything: CookieProvider, standin: Standin, value: str
) -> None:
    """A value that Express would read as JSON is not sent, and the reason says so."""
    with pytest.raises(CommandError) as caught:
        await anything.identify(f"sid={value}")
    assert caught.value.detail == "cookie_form"
    assert standin.heads == []


async def test_the_reason_of_a_form_that_is_not_taken(
    provider: CookieProvider, standin: Standin
) -> None:
    """Without the setting a value with a percent sign is refused unasked, for its form."""
    for cookies in (EXPRESS, "sid=abc%3D", "sid=a,b"):
        with pytest.raises(CommandError) as caught:
            await provider.identify(cookies)
        assert caught.value.detail == "cookie_form"
    assert standin.heads == []
    standin.answer = NOBODY
    with pytest.raises(CommandError) as caught:
        await provider.identify("sid=1")
    assert caught.value.detail != "cookie_form"


def jwt(at: float) -> str:
    """A token that says it was issued then, in seconds of the test."""
    return token(json.dumps({"iat": START + at})).decode()


@pytest.mark.p1
async def test_confirmed_token_is_as_old_as_it_says(
    provider: CookieProvider, clock: FakeClock
) -> None:
    """So a revocation takes it back although this process has never seen it before."""
    clock.advance(600)
    identity = await provider.identify(f"sid={jwt(-30)}")
    revoked = Revocation(RevocationKind.SUBJECT, "u-1", START, START + 3600)
    assert revoked.names(identity, None)
    assert not revoked.names(await provider.identify(f"sid={jwt(30)}"), None)
    assert await issued(provider, f'sid="{jwt(-40)}"') == -40


async def test_token_of_the_future(provider: CookieProvider, clock: FakeClock) -> None:
    """A clock that is ahead makes no login newer than when it was first seen."""
    cookies = f"sid={jwt(30)}"
    assert await issued(provider, cookies) == 0
    clock.advance(60)
    assert await issued(provider, cookies) == 0


@pytest.mark.parametrize(
    ("cookies", "at"),
    [
        (f"a={jwt(50)}; b={jwt(20)}", 20),
        (f"a={jwt(-5)}; sid=1", -5),
        (f"a={jwt(50)}; sid=1", 0),
        (f"a={jwt(50)}; sid=2", 50),
        (f"a={jwt(5000)}; sid=2", 60),
    ],
)
async def test_oldest_cookie_counts(
    provider: CookieProvider, clock: FakeClock, cookies: str, at: float
) -> None:
    """By what a token says, and by when another cookie was first seen."""
    await provider.identify("sid=1")
    clock.advance(60)
    assert await issued(provider, cookies) == at


async def test_allowed(provider: CookieProvider, standin: Standin) -> None:
    """The topic's own question is put with the user's own cookies."""
    standin.answer = data({"id": 7})
    assert await provider.allows("sid=1", "event:7") is True
    assert standin.paths == ["/items/events/7?fields=id"]
    assert standin.cookies() == ["sid=1"]


@pytest.mark.parametrize(
    "answer",
    [NOBODY, response(b"", "403 No"), response(b"", "404 No"), data(None)],
)
async def test_not_allowed(
    provider: CookieProvider, standin: Standin, results: list[ProviderResult], answer: Answer
) -> None:
    """Forbidden, missing, logged out: no."""
    standin.answer = answer
    assert await provider.allows("sid=1", "event:7") is False
    assert results == [UNAUTHORIZED]


@pytest.mark.parametrize(
    "answer", [response(b"{}"), response(b"<html>"), response(b"", "302 Found"), BROKEN, b""]
)
async def test_no_answer_is_no_permission(
    provider: CookieProvider, standin: Standin, answer: Answer
) -> None:
    """What says neither yes nor no is neither."""
    standin.answer = answer
    with pytest.raises(Unavailable):
        await provider.allows("sid=1", "event:7")


@pytest.mark.p1
@pytest.mark.parametrize("name", ["", "other", "event:", "event:../users", "event:1?x", "news/1"])
async def test_unknown_topics_are_not_asked_for(
    provider: CookieProvider, standin: Standin, results: list[ProviderResult], name: str
) -> None:
    """A topic without a question is nobody's, and the provider hears nothing of it."""
    assert await provider.allows("sid=1", name) is False
    assert standin.heads == []
    assert results == []


async def test_permissions_are_shared_and_kept(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """As with users: one call for all who ask at once, ten seconds for a yes, two for a no."""
    standin.answers = {"/items/news": NOBODY}
    asked = [provider.allows("sid=1", "event:7") for _ in range(20)]
    assert await asyncio.gather(*asked) == [True] * 20
    assert await provider.allows("sid=1", "news") is False
    assert await provider.allows("sid=2", "event:7") is True
    assert await provider.allows("sid=1", "event:8") is True
    assert len(standin.heads) == 4
    clock.advance(5)
    assert await provider.allows("sid=1", "event:7") is True
    assert await provider.allows("sid=1", "news") is False
    assert standin.paths[4:] == ["/items/news"]
    clock.advance(5)
    await provider.allows("sid=1", "event:7")
    assert len(standin.heads) == 6


async def test_permission_may_be_so_old(
    provider: CookieProvider, standin: Standin, clock: FakeClock
) -> None:
    """Who needs to know it better asks again; with 0 no earlier call will do, nor one under way."""
    assert await provider.allows("sid=1", "news") is True
    clock.advance(5)
    assert await provider.allows("sid=1", "news", max_age=5) is True
    assert len(standin.heads) == 1
    standin.gate = asyncio.Event()
    early = asyncio.ensure_future(provider.allows("sid=1", "news", max_age=4))
    await standin.asked(2)
    clock.advance(1)
    late = asyncio.ensure_future(provider.allows("sid=1", "news", max_age=0))
    await standin.asked(3)
    standin.answer = NOBODY
    standin.gate.set()
    assert [await early, await late] == [False, False]
    assert await provider.allows("sid=1", "news") is False
    assert len(standin.heads) == 3


@pytest.mark.p1
async def test_topic_that_is_no_answer_is_not_asked_for_at_once(
    provider: CookieProvider, standin: Standin, clock: FakeClock, changes: list[bool]
) -> None:
    """It stays unavailable for two seconds without a question, and no other topic with it."""
    await provider.identify("sid=1")
    standin.answers = {"/items/news": response(b"<html>")}
    for _ in range(2 * FAILURES):
        with pytest.raises(Unavailable):
            await provider.allows("sid=1", "news")
    assert len(standin.heads) == 2
    assert await provider.allows("sid=1", "event:7") is True
    for _ in range(FAILURES):
        clock.advance(2)
        with pytest.raises(Unavailable):
            await provider.allows("sid=1", "news")
    assert standin.paths.count("/items/news") == 1 + FAILURES
    assert changes == []
    standin.answers = {}
    clock.advance(2)
    assert await provider.allows("sid=1", "news") is True


async def test_topics_can_be_replaced(provider: CookieProvider, standin: Standin) -> None:
    """New patterns hold at once; bad ones are refused and change nothing."""
    provider.adopt({"event:{id}": "/other/{id}"})
    assert await provider.allows("sid=1", "news") is False
    assert await provider.allows("sid=1", "event:7") is True
    with pytest.raises(ValueError, match="topic pattern"):
        provider.adopt({"news": "elsewhere"})
    assert await provider.allows("sid=2", "event:7") is True
    assert standin.paths == ["/other/7", "/other/7"]


async def known(provider: CookieProvider, clock: FakeClock, cookies: str = "sid=1") -> None:
    """Have cookies confirmed, and let the answer grow old."""
    await provider.identify(cookies)
    clock.advance(10)


async def test_circuit(
    provider: CookieProvider,
    standin: Standin,
    clock: FakeClock,
    results: list[ProviderResult],
    changes: list[bool],
) -> None:
    """After ten failures all is unavailable at once, but for what is still known, until it is back."""
    await known(provider, clock)
    await provider.identify("sid=0")
    standin.answer = BROKEN
    for _ in range(FAILURES):
        assert await outcome(provider) is Unavailable
    assert changes == [False]
    asked = len(standin.heads)
    standin.answer = data(USER)
    assert await outcome(provider) is Unavailable
    with pytest.raises(Unavailable):
        await provider.allows("sid=1", "news")
    assert results[-2:] == [ProviderResult.ERROR] * 2
    assert await outcome(provider, "sid=0") == "u-1"
    assert len(standin.heads) == asked
    clock.advance(5)
    assert await outcome(provider) == "u-1"
    assert await provider.allows("sid=1", "news") is True
    assert changes == [False, True]


@pytest.mark.p1
@pytest.mark.parametrize(
    "bad", [BROKEN, response(b"", "429 Slow Down"), response(b"", "503 Away"), response(b"<html>")]
)
async def test_strangers_open_no_circuit(
    provider: CookieProvider,
    standin: Standin,
    clock: FakeClock,
    changes: list[bool],
    bad: Answer,
) -> None:
    """However their cookies upset the provider, it is asked about those who were known before."""
    await known(provider, clock)
    standin.answer = bad
    for number in range(FAILURES):
        assert await outcome(provider, f"sid=1; x={number}") is Unavailable
    assert changes == []
    standin.answer = data(USER)
    assert await outcome(provider) == "u-1"


@pytest.mark.p1
async def test_known_users_open_the_circuit(
    provider: CookieProvider, standin: Standin, clock: FakeClock, changes: list[bool]
) -> None:
    """Ten of them who get no answer are a sign that nobody would."""
    for number in range(FAILURES):
        await provider.identify(f"sid={number}")
    clock.advance(10)
    standin.answer = BROKEN
    for number in range(FAILURES):
        assert changes == []
        assert await outcome(provider, f"sid={number}") is Unavailable
    assert changes == [False]


async def test_nobody_becomes_known_by_a_topic(
    provider: CookieProvider, standin: Standin, changes: list[bool]
) -> None:
    """What everybody may see confirms no cookie."""
    assert await provider.allows("sid=1", "news") is True
    standin.answer = BROKEN
    for _ in range(FAILURES):
        await outcome(provider)
    assert changes == []


async def test_strangers_notice_that_the_provider_is_away(
    provider: CookieProvider, standin: Standin, changes: list[bool]
) -> None:
    """Whoever finds nobody there has found out something about the provider."""
    await standin.stop()
    for number in range(FAILURES):
        assert await outcome(provider, f"sid={number}") is Unavailable
    assert changes == [False]


async def test_one_probe(provider: CookieProvider, standin: Standin, clock: FakeClock) -> None:
    """Of all who ask when the pause is over one is let through; who asks the same waits with it."""
    await known(provider, clock)
    standin.answer = BROKEN
    for _ in range(FAILURES):
        await outcome(provider)
    asked = len(standin.heads)
    clock.advance(5)
    standin.gate, standin.answer = asyncio.Event(), data(USER)
    probe = asyncio.ensure_future(outcome(provider))
    await standin.asked(asked + 1)
    other = asyncio.ensure_future(outcome(provider))
    refused = [await outcome(provider, f"other={number}") for number in range(5)]
    assert refused == [Unavailable] * 5
    standin.gate.set()
    assert [await probe, await other] == ["u-1", "u-1"]
    assert len(standin.heads) == asked + 1


async def test_asked_without_a_task(provider: CookieProvider) -> None:
    """A handler that was begun without a Task can ask, and what is known needs none."""
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    start_eager(provider.identify("sid=1"), lambda result, _: done.set_result(result))
    found = await done
    assert isinstance(found, Identity)
    again: list[object] = []
    assert start_eager(provider.identify("sid=1"), lambda got, _: again.append(got)) is None
    assert again == [found]
    allowed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    start_eager(provider.allows("sid=1", "news"), lambda got, _: allowed.set_result(got))
    assert await allowed is True


async def test_handler_that_is_cancelled(provider: CookieProvider, standin: Standin) -> None:
    """A connection that goes away while its cookie is looked at takes nobody else with it."""
    standin.gate = asyncio.Event()
    errors: list[BaseException | None] = []
    task = start_eager(provider.identify("sid=1"), lambda _, error: errors.append(error))
    other = asyncio.ensure_future(outcome(provider))
    await standin.asked()
    assert task is not None
    task.cancel()
    await asyncio.wait((task,))
    assert isinstance(errors[0], asyncio.CancelledError)
    standin.gate.set()
    assert await other == "u-1"


async def test_closing(provider: CookieProvider, standin: Standin) -> None:
    """Who still waits is told that there is no answer, and nobody is asked any more."""
    standin.answer = hang
    callers = [asyncio.ensure_future(outcome(provider)) for _ in range(3)]
    await standin.asked()
    await provider.aclose()
    assert await asyncio.gather(*callers) == [Unavailable] * 3
    assert await outcome(provider) is Unavailable
    with pytest.raises(Unavailable):
        await provider.allows("sid=2", "news")
    assert len(standin.heads) == 1


@pytest.mark.parametrize(
    "rules",
    [
        IdentityProviderSettings(url="nonsense"),
        IdentityProviderSettings(url="https://cms.example.com", topics={"a": "b"}),
    ],
)
def test_rules_are_checked_at_once(rules: IdentityProviderSettings, clock: FakeClock) -> None:
    """What cannot work is refused when it is configured."""
    with pytest.raises(ValueError, match=r"address|pattern"):
        CookieProvider(rules, clock, lambda *_: None)


def test_defaults() -> None:
    """Five seconds, no topic, and cookies that are read in one way only."""
    rules = IdentityProviderSettings(url="https://cms.example.com")
    assert rules.timeout == 5.0
    assert rules.topics == {}
    assert rules.cookie_values is CookieForm.PLAIN


@pytest.mark.p0
@pytest.mark.parametrize(
    "answer",
    [
        data(USER),
        data(USER, f"Set-Cookie: sid={CANARY}"),
        NOBODY,
        BROKEN,
        response(b"<"),
        b"",
        b"x\r\n\r\n",
    ],
)
@pytest.mark.parametrize("cookies", [f"sid={CANARY}", f"sid={CANARY}\x00", f"sid={CANARY}\u0100"])
async def test_cookie_shows_nowhere(
    provider: CookieProvider,
    standin: Standin,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    cookies: str,
) -> None:
    """It is in no log, no exception, no traceback as it is printed, and no repr."""
    caplog.set_level(logging.DEBUG)
    standin.answer = answer
    shown = [repr(provider), repr(provider._client), repr(provider._answers)]
    for ask in (lambda: provider.identify(cookies), lambda: provider.allows(cookies, "news")):
        try:
            shown.append(repr(await ask()))
        except (CommandError, Unavailable) as error:
            shown += [repr(error), str(getattr(error, "detail", "")), repr(error.__context__)]
            shown += traceback.format_exception(error)
    shown += [repr(task) for task in asyncio.all_tasks()]
    assert CANARY not in "".join(shown)
    assert CANARY not in caplog.text
