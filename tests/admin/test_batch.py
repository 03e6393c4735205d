import pytest

from portward.admin import batch
from portward.engines.port import EngineUnavailable
from portward.node.commands.server_api import ServerApi
from tests.admin.service import PUBLISHER, READER, Service

PUBLISH = {"publish": {"channel": "rooms:a", "data": 1}}


async def test_commands_are_answered_in_order(service: Service) -> None:
    """Each command has its own reply under its own name, or an error in its place."""
    response = await service.post(
        "batch", {"commands": [PUBLISH, {"nothing": {}}, PUBLISH, {"info": {"a": 1}}, {"info": {}}]}
    )
    replies = response.json()["result"]["replies"]
    assert [reply["publish"]["offset"] for reply in (replies[0], replies[2])] == [1, 2]
    assert replies[1] == {"error": {"code": 104, "message": "unknown method"}}
    assert replies[3]["error"]["code"] == 107
    assert len(replies[4]["info"]["nodes"]) == 1


async def test_the_replies_stand_where_centrifugo_puts_them(service: Service) -> None:
    """Beside `result` the answer has `replies`, which Centrifugo's libraries read."""
    answer = (await service.post("batch", {"commands": [PUBLISH]})).json()
    assert answer["replies"] == answer["result"]["replies"]
    empty = (await service.post("batch", {"commands": [], "parallel": True})).json()
    assert empty == {"result": {"replies": []}, "replies": []}


@pytest.mark.p0
async def test_a_batch_gives_no_rights(service: Service) -> None:
    """Every command in a batch needs the scope it needs by itself."""
    commands = [PUBLISH, {"info": {}}, {"revoke": {"user": "ann"}}]
    for key, allowed in ((PUBLISHER, {0}), (READER, {1})):
        answer = await service.call("batch", key, commands=commands)
        for number, reply in enumerate(answer["replies"]):
            assert ("error" not in reply) is (number in allowed)
            assert reply.get("error", {}).get("code", 103) == 103
    assert service.events("admin.act") == []


async def test_acts_in_a_batch_are_audited(service: Service) -> None:
    """An act leaves its trace whichever way it came."""
    await service.call("batch", commands=[{"disconnect": {"user": "ann"}}])
    assert service.events("admin.act")[0]["method"] == "disconnect"


async def test_a_batch_holds_no_batch(service: Service) -> None:
    """A batch inside a batch is refused, so that a thousand commands are the most."""
    answer = await service.call("batch", commands=[{"batch": {"commands": []}}])
    assert answer["replies"][0]["error"]["code"] == 107


@pytest.mark.parametrize(
    "commands", [[{}], [{"info": {}, "channels": {}}], [7], {"info": {}}, [PUBLISH] * 1001]
)
async def test_a_malformed_batch_is_refused_whole(service: Service, commands: object) -> None:
    """A command is an object with one key, and there are at most a thousand."""
    assert (await service.fail("batch", commands=commands))[:2] == (400, 107)
    assert (await service.call("history", channel="rooms:a"))["offset"] == 0


async def test_a_batch_does_not_outgrow_its_room(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the replies are long enough, the rest is refused and not carried out."""
    monkeypatch.setattr(batch, "ROOM", 100)
    answer = await service.call("batch", commands=[PUBLISH] * 10)
    done = [reply for reply in answer["replies"] if "publish" in reply]
    assert 1 < len(done) < 10
    assert answer["replies"][-1]["error"]["code"] == 106
    assert (await service.call("history", channel="rooms:a"))["offset"] == len(done)


async def test_one_accident_does_not_take_the_others(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that fails unexpectedly is answered 100 and recorded; the others are answered."""

    async def broken(*_: object) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(ServerApi, "publish", broken)
    answer = await service.call("batch", commands=[PUBLISH, {"info": {}}])
    assert answer["replies"][0] == {"error": {"code": 100, "message": "internal error"}}
    assert "info" in answer["replies"][1]
    assert "RuntimeError" in service.log
    assert "canary" not in service.log


async def test_an_engine_that_is_away_is_told_per_command(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be stored says so in its place."""

    async def away(*_: object) -> None:
        raise EngineUnavailable

    monkeypatch.setattr(ServerApi, "publish", away)
    answer = await service.call("batch", commands=[PUBLISH])
    assert answer["replies"][0]["error"]["code"] == 108
