"""The whole conversation of an alert subscriber, through the real gate and core."""

from typing import Any

from msgspec import to_builtins

from portward.model.channel import Channel
from portward.model.handshake_errors import HandshakeRejection
from tests.app.calls import alerts, say, subscriber
from tests.house import House, running, settle


async def publish(house: House, call: str, *numbers: int, kind: str = "") -> list[dict[str, Any]]:
    """Publish alerts of different types, or of one."""
    made = [
        to_builtins(
            await house.gateway.alerts.publish(call, kind or f"t{number}", "low", {"n": number})
        )
        for number in numbers
    ]
    await settle()
    return made


async def test_every_message() -> None:
    """Each message is answered in its words, and its id comes back."""
    async with running() as house:
        now = int(house.clock.time() * 1000)
        ann = await subscriber(house)
        (handshake,) = ann.received
        assert handshake["type"] == "handshake"
        assert handshake["payload"]["message"] == "Connected to alert server"
        prefix, _, digits = handshake["payload"]["sessionId"].partition("_")
        assert (prefix, len(digits), int(digits, 16) >= 0) == ("sess", 24, True)

        async def answer(**message: Any) -> Any:
            await say(ann, **message)
            return ann.received[-1]

        assert await answer(type="subscribe", callIds=["b", "a b", 7, "b"], id="x") == {
            "type": "subscribed",
            "payload": {"callIds": ["b", "a b"]},
            "id": "x",
        }
        assert await answer(type="subscribe", callIds=["c"]) == {
            "type": "subscribed",
            "payload": {"callIds": ["b", "a b", "c"]},
        }
        assert await answer(type="unsubscribe", callIds=["b", "nothing"]) == {
            "type": "unsubscribed",
            "payload": {"callIds": ["a b", "c"]},
        }
        made = await publish(house, "a b", 1, 2)
        await publish(house, "b", 3)
        assert alerts(ann) == made
        assert await answer(type="getHistory", id=7) == {
            "type": "history",
            "payload": {"alerts": made},
            "id": 7,
        }
        assert await answer(type="getHistory", limit="1", callId="a b") == {
            "type": "history",
            "payload": {"alerts": made[1:]},
        }
        assert await answer(type="ping") == {"type": "pong", "payload": {"timestamp": now}}
        assert await answer(type="dance", id=0) == {
            "type": "error",
            "payload": {"message": "Unknown message type: dance", "code": "unknown_type"},
            "id": 0,
        }
        assert await answer(type="subscribe") == {
            "type": "error",
            "payload": {"message": "Invalid message", "code": "invalid_message"},
        }
        ann.send_bytes(b"{", binary=False)
        await settle()
        assert ann.received[-1] == {
            "type": "error",
            "payload": {"message": "Invalid JSON", "code": "invalid_json"},
        }
        assert await answer(type="unsubscribe") == {
            "type": "unsubscribed",
            "payload": {"callIds": []},
        }
        assert await answer(type="getHistory") == {"type": "history", "payload": {"alerts": []}}


async def test_all_calls_take_a_right() -> None:
    """`*` is denied to whoever lacks the right, and is no trick away: `%2A` is a call like others."""
    async with running() as house:
        ann = await subscriber(house)
        await say(ann, type="subscribe", callIds=["*", "%2A"])
        assert ann.received[-1] == {
            "type": "subscribed",
            "payload": {"callIds": ["%2A"], "denied": ["*"]},
        }
        await say(ann, type="getHistory", callId="*")
        await publish(house, "c", 1)
        assert ann.received[-1] == {"type": "history", "payload": {"alerts": []}}
        assert alerts(ann) == []
        await publish(house, "%2A", 1)
        assert [each["callId"] for each in alerts(ann)] == ["%2A"]


async def test_cooldown() -> None:
    """The same (call, type) is told once in two seconds; the next one says how many were left out."""
    async with running() as house:
        ann = await subscriber(house, "c", "d")
        await publish(house, "c", 1, 2, 3, kind="same")
        await publish(house, "d", 4, kind="same")
        assert [each["data"]["n"] for each in alerts(ann)] == [1, 4]
        await house.advance(2.0)
        await publish(house, "c", 5, kind="same")
        assert [each.get("suppressed") for each in alerts(ann)] == [None, None, 2]
        await say(ann, type="getHistory", callId="c")
        history = ann.received[-1]["payload"]["alerts"]
        assert [each["data"]["n"] for each in history] == [1, 2, 3, 5]


async def test_recovery() -> None:
    """Who says where it stopped is told the missing alerts, or that they cannot be told."""
    async with running() as house:
        made = await publish(house, "c", 1, 2, 3)
        ann = await subscriber(house)
        since = {
            "c": {"offset": 1, "epoch": made[0]["epoch"]},
            "d": {"offset": 1, "epoch": "gone"},
        }
        await say(ann, type="subscribe", callIds=["c", "d"], since=since)
        assert ann.received[1] == {
            "type": "subscribed",
            "payload": {"callIds": ["c", "d"], "recovered": {"c": True, "d": False}},
        }
        assert alerts(ann) == made[1:]


async def test_a_newer_token() -> None:
    """A newer token is put in place, and one that runs out is told of."""
    async with running() as house:
        ann = await subscriber(house, ttl=100.0)
        await house.advance(1)
        await say(ann, type="refresh", token=house.gateway.token("ann", ttl=50.0), id="r")
        end = int((house.clock.time() + 50) * 1000)
        assert ann.received[-1] == {
            "type": "refreshed",
            "payload": {"expiresAt": end},
            "id": "r",
        }
        await house.advance(1)
        assert ann.received[-1] == {"type": "expiring", "payload": {"expiresAt": end}}


async def test_a_subscription_that_is_withdrawn() -> None:
    """A supervisor who loses the right to all calls is told, and hears nothing more."""
    async with running() as house:
        await house.gateway.operations.set_permissions("sue", ["alerts:*"])
        sue = await subscriber(house, "*", user="sue")
        await publish(house, "c", 1)
        await house.gateway.operations.set_permissions("sue", [])
        await settle()
        assert sue.received[-1] == {
            "type": "error",
            "payload": {
                "message": "Subscription withdrawn",
                "code": "permission_denied",
                "callId": "*",
            },
        }
        await publish(house, "c", 2)
        assert len(alerts(sue)) == 1


async def test_generic_publications() -> None:
    """What is published without the ways of alerts is told as an alert of low severity."""
    async with running() as house:
        ann = await subscriber(house, "c d")
        await house.gateway.publish(Channel.parse("alerts:c%20d"), "hello")
        await settle()
        (found,) = alerts(ann)
        assert (found["callId"], found["type"], found["severity"], found["data"]) == (
            *("c d", "message", "low"),
            {"value": "hello"},
        )


async def test_nobody_comes_in_without_a_token() -> None:
    """A handshake without a credential is refused."""
    async with running() as house:
        assert await house.refusal("/alerts") is HandshakeRejection.UNAUTHENTICATED
