"""What an alert subscriber is told about its token, and of publications that are no alerts."""

from portward.model.channel import Channel
from tests.app.calls import alerts, say, subscriber
from tests.running_gateway import run_gateway, settle


async def test_a_newer_token() -> None:
    """A newer token is put in place, and one that runs out is told of."""
    async with run_gateway() as running:
        ann = await subscriber(running, ttl=100.0)
        await running.advance(1)
        await say(ann, type="refresh", token=running.gateway.token("ann", ttl=50.0), id="r")
        end = int((running.clock.time() + 50) * 1000)
        assert ann.received[-1] == {
            "type": "refreshed",
            "payload": {"expiresAt": end},
            "id": "r",
        }
        await running.advance(1)
        assert ann.received[-1] == {"type": "expiring", "payload": {"expiresAt": end}}


async def test_generic_publications() -> None:
    """What is published without the ways of alerts is told as an alert of low severity."""
    async with run_gateway() as running:
        ann = await subscriber(running, "c d")
        await running.gateway.publish(Channel.parse("alerts:c%20d"), "hello")
        await settle()
        (found,) = alerts(ann)
        assert (found["callId"], found["type"], found["severity"], found["data"]) == (
            *("c d", "message", "low"),
            {"value": "hello"},
        )
