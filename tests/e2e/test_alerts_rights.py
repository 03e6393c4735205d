"""Nobody hears, and nobody reads back, an alert of a call that is not theirs to hear."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.alerts_client import Message, Watcher, visitor, visitors
from tests.e2e.gateways import LISTENERS, UNLIMITED, GatewayRunner, Place, own_listener

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COLD = 'cooldown = "0s"\n'
BY_CLAIMS = UNLIMITED + f'[namespaces.alerts]\nauthorize = "claims"\n{COLD}'
DISGUISES = (
    "%2A",
    "%2a",
    "**",
    "* ",
    " *",
    "\uff0a",
    "*\u200b",
    "alerts:*",
    "alerts",
    ":*",
    "%252A",
)


def channels(*patterns: str) -> list[dict[str, Any]]:
    """The claim that lets its bearer hear these."""
    return [{"channel": each, "allow": ["subscribe", "history"]} for each in patterns]


@pytest.fixture(params=list(LISTENERS))
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A gateway that judges by the token's claims."""
    async with LISTENERS[request.param](BY_CLAIMS) as place:
        yield place


async def everything(watcher: Watcher, *calls: str) -> list[Message]:
    """All a client can read back, by every way of asking."""
    found = await watcher.history(limit=100)
    for call in ("*", "", *calls, *DISGUISES):
        await watcher.say("getHistory", limit=100, callId=call)
        answer = await watcher.hear()
        assert answer["type"] in {"history", "error"}
        found += answer["payload"].get("alerts", [])
    return found


async def publish(place: Place, *calls: str) -> None:
    """One alert of each call."""
    for call in calls:
        await place.gateway.alerts.publish(call, "note", "low", {"of": call})


async def test_two_subjects_with_different_claims(place: Place) -> None:
    """Each hears and reads back the calls of their own claim, whichever they ask for."""
    calls = ("red-1", "red-2", "blue-1", "blue-2")
    red = visitor(place, "red", channels=channels("alerts:red-*"))
    blue = visitor(place, "blue", channels=channels("alerts:blue-1"))
    async with red as red_one, blue as blue_one:
        assert await red_one.subscribe(*calls, "*") == {
            "callIds": ["red-1", "red-2"],
            "denied": ["blue-1", "blue-2", "*"],
        }
        assert await blue_one.subscribe(*calls, "*") == {
            "callIds": ["blue-1"],
            "denied": ["red-1", "red-2", "blue-2", "*"],
        }
        await publish(place, *calls)
        assert [(await red_one.alert())["callId"] for _ in range(2)] == ["red-1", "red-2"]
        assert (await blue_one.alert())["callId"] == "blue-1"
        await red_one.silence()
        await blue_one.silence()
        assert {each["callId"] for each in await everything(red_one, *calls)} == {"red-1", "red-2"}
        assert {each["callId"] for each in await everything(blue_one, *calls)} == {"blue-1"}


async def test_not_yours_and_not_there_are_the_same(place: Place) -> None:
    """A call that is not one's own answers as one that nobody ever heard of."""
    await publish(place, "there")
    async with visitor(place, channels=channels("alerts:mine")) as ann:
        answers = []
        for call in ("there", "gone!"):
            told = [
                await ann.ask("subscribe", callIds=[call]),
                await ann.ask("subscribe", callIds=[call], since={call: _position()}),
                await ann.ask("getHistory", callId=call),
                await ann.ask("unsubscribe", callIds=[call]),
            ]
            answers.append(str(told).replace(call, "<call>"))
        assert answers[0] == answers[1]


def _position() -> dict[str, Any]:
    return {"offset": 0, "epoch": "x"}


async def test_recovery_is_judged_too(place: Place) -> None:
    """Who may not hear a call is told nothing that was missed of it."""
    await publish(place, "secret")
    (known,) = await place.gateway.alerts.history(call_id="secret")
    since = {"secret": {"offset": 0, "epoch": known.epoch}}
    async with visitor(place, channels=channels("alerts:mine")) as ann:
        answer = await ann.ask("subscribe", callIds=["secret", "mine"], since=since)
        assert answer["payload"]["callIds"] == ["mine"]
        assert answer["payload"]["denied"] == ["secret"]
        assert answer["payload"].get("recovered", {}).get("secret") is not True
        await ann.silence()


async def test_supervisors_hear_all(place: Place) -> None:
    """The claim `alerts:*` gives all calls, one by one and by `*`."""
    async with visitor(place, "sue", channels=channels("alerts:*")) as sue:
        assert await sue.subscribe("one") == {"callIds": ["one"]}
        assert await sue.subscribe("*") == {"callIds": ["*"]}
        await publish(place, "one", "two")
        assert [(await sue.alert())["callId"] for _ in range(2)] == ["one", "two"]
        await sue.silence()
        assert [each["callId"] for each in await sue.history()] == ["one", "two"]


async def test_an_empty_subscription_hears_nothing() -> None:
    """Who subscribed to nothing, to nothing any more, or to no call at all is sent no alert."""
    settings = UNLIMITED + f"[namespaces.alerts]\n{COLD}"
    async with own_listener(settings) as place, visitors(place, *"abcd") as watchers:
        _, empty, left, junk = watchers
        assert await empty.subscribe() == {"callIds": []}
        await left.subscribe("a")
        await left.ask("unsubscribe")
        assert await junk.subscribe("", "x" * 65) == {"callIds": []}
        await publish(place, "a", "b")
        for watcher in watchers:
            await watcher.silence()
            assert await watcher.history() == []


@pytest.mark.parametrize("runner", LISTENERS.values(), ids=list(LISTENERS))
async def test_disguises_of_all_calls(runner: GatewayRunner) -> None:
    """However `*` is spelt, whoever lacks the right to all calls hears those of that very name alone."""
    settings = UNLIMITED + f"[namespaces.alerts]\n{COLD}"
    async with runner(settings) as place, visitor(place, "eve") as eve:
        await publish(place, "private")
        answer = await eve.subscribe("*", *DISGUISES)
        assert answer == {"callIds": list(DISGUISES), "denied": ["*"]}
        since = {"*": _position(), "%2A": {"offset": 0, "epoch": ""}}
        await eve.ask("subscribe", callIds=["*"], since=since)
        await publish(place, "private", "other")
        await eve.silence()
        assert await everything(eve, "private*", "p*") == []
        for call in DISGUISES:
            await publish(place, call)
            assert (await eve.alert())["callId"] == call
        assert {each["callId"] for each in await everything(eve)} == set(DISGUISES)


async def test_rights_taken_while_connected() -> None:
    """A supervisor whose right is taken is told so, hears nothing more and reads nothing back."""
    settings = UNLIMITED + f"[namespaces.alerts]\n{COLD}"
    async with own_listener(settings) as place, visitor(place, "sue") as sue:
        operations = place.gateway.operations
        assert await sue.subscribe("*") == {"callIds": [], "denied": ["*"]}
        await operations.set_permissions("sue", ["alerts:*"])
        assert await sue.subscribe("*") == {"callIds": ["*"]}
        await publish(place, "a")
        assert (await sue.alert())["callId"] == "a"
        await operations.set_permissions("sue", [])
        withdrawn = {
            "message": "Subscription withdrawn",
            "code": "permission_denied",
            "callId": "*",
        }
        assert await sue.hear() == {"type": "error", "payload": withdrawn}
        await asyncio.gather(*(publish(place, call) for call in "abc"))
        await sue.silence()
        assert await sue.history() == []
