import pytest
from msgspec.structs import replace

from portward.admin.channel_methods import PublicationResult
from portward.engines.port import EngineUnavailable
from portward.model.channel import Channel
from portward.model.publication import Publication
from portward.node.commands.server_api import ServerApi
from portward.settings import Secret, Settings
from tests.admin.service import PUBLISHER, READER, Service, serving

ROOM = "rooms:general"


async def test_a_publication_gets_its_position(service: Service) -> None:
    """Publishing answers offset and epoch, and listeners hear it."""
    ann = await service.join("ann")
    first = await service.call("publish", PUBLISHER, channel=ROOM, data={"text": "hello"})
    second = await service.call("publish", PUBLISHER, channel=ROOM, data=None, key="k", type="t")
    await ann.settle()
    assert (first["offset"], second) == (1, {"offset": 2, "epoch": first["epoch"]})
    assert [each["data"]["content"] for each in ann.all("message")] == [{"text": "hello"}, None]


async def test_an_idempotency_key_counts_once(service: Service) -> None:
    """A repeated key answers the first position and delivers nothing."""
    ann = await service.join("ann")
    body = {"channel": ROOM, "data": 1, "idempotency_key": "once"}
    first, second = await service.call("publish", **body), await service.call("publish", **body)
    await ann.settle()
    assert first == second
    assert len(ann.all("message")) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"channel": "nowhere:a", "data": 1}, 404, 102),
        ({"channel": ROOM, "data": "x" * 70_000}, 413, 107),
        ({"channel": ROOM, "data": 1, "skip_history": True}, 400, 107),
    ],
)
async def test_publications_are_refused(
    service: Service, body: dict[str, object], status: int, code: int
) -> None:
    """Unknown namespaces, data over 64 KiB and unsupported options are refused."""
    assert (await service.fail("publish", **body))[:2] == (status, code)


async def test_fields_that_change_nothing_are_known(service: Service) -> None:
    """What Centrifugo's libraries send by default is taken."""
    await service.call("publish", channel=ROOM, data=1, skip_history=False)
    await service.call("disconnect", user="ann", client="")
    await service.call("channels", pattern="")
    await service.call("history", channel=ROOM, limit=0, reverse=False)


async def test_a_broadcast_answers_for_each_channel(service: Service) -> None:
    """One channel that fails is answered in its place, and the others are published to."""
    result = await service.call(
        "broadcast", PUBLISHER, channels=[ROOM, "nowhere:a", "rooms:other"], data=1
    )
    first, second, third = result["responses"]
    assert (first["result"]["offset"], third["result"]["offset"]) == (1, 1)
    assert second == {"error": {"code": 102, "message": "unknown channel"}}


async def test_a_broadcast_survives_an_engine_that_goes_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that could not be stored says so, and may be repeated by itself."""

    async def away(*_: object) -> None:
        raise EngineUnavailable

    monkeypatch.setattr(ServerApi, "publish", away)
    result = await service.call("broadcast", channels=[ROOM], data=1)
    assert result["responses"][0]["error"]["code"] == 108


async def test_a_broadcast_with_a_bad_name_publishes_nothing(service: Service) -> None:
    """A name that cannot be a channel's refuses the whole request."""
    assert (await service.fail("broadcast", channels=[ROOM, "general"], data=1))[:2] == (400, 107)
    assert (await service.call("history", channel=ROOM))["publications"] == []


async def fill(service: Service, count: int) -> str:
    """Publish the numbers from 1 and return the epoch."""
    results = [
        await service.call("publish", channel=ROOM, data=number) for number in range(1, count + 1)
    ]
    return str(results[-1]["epoch"])


def offsets(result: dict[str, list[dict[str, int]]]) -> list[int]:
    """The offsets of a page."""
    return [each["offset"] for each in result["publications"]]


async def test_history_reads_back(service: Service) -> None:
    """A page holds the publications and the position of the stream, under Centrifugo's names."""
    epoch = await fill(service, 3)
    result = await service.call("history", READER, channel=ROOM)
    assert (offsets(result), result["offset"], result["epoch"]) == ([1, 2, 3], 3, epoch)
    assert set(result["publications"][0]) == {"data", "offset", "id", "time"}


async def test_history_names_who_published(service: Service) -> None:
    """A client's publication carries its user; absent fields are left out."""
    ann = await service.join("ann")
    ann.send({"type": "message", "data": {"roomId": "general", "content": "hi"}})
    await ann.settle()
    (found,) = (await service.call("history", channel=ROOM))["publications"]
    assert (found["user"], found["email"], found["data"]) == ("ann", "ann@example.com", "hi")
    assert "signature" not in found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [*range(1, 51)]),
        ({"limit": 0}, []),
        ({"limit": 2}, [1, 2]),
        ({"limit": -1}, [*range(1, 101)]),
        ({"limit": 5000}, [*range(1, 101)]),
        ({"limit": 3, "reverse": True}, [120, 119, 118]),
        ({"limit": 2, "since": {"offset": 7}}, [8, 9]),
        ({"limit": 2, "since": {"offset": 7, "epoch": ""}}, [8, 9]),
        ({"limit": 2, "since": {"offset": 7}, "reverse": True}, [6, 5]),
        ({"limit": 2, "since": {"offset": 120}}, []),
    ],
)
async def test_history_reads_a_part(
    service: Service, asked: dict[str, object], found: list[int]
) -> None:
    """Limit, since and reverse choose as Centrifugo's do; the position always comes along."""
    await fill(service, 120)
    result = await service.call("history", channel=ROOM, **asked)
    assert (offsets(result), result["offset"]) == (found, 120)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limit", [0, 10])
async def test_history_of_another_epoch_is_unrecoverable(
    service: Service, reverse: bool, limit: int
) -> None:
    """A position of a stream that is gone is refused with number 112, in every direction."""
    epoch = await fill(service, 2)
    since = {"offset": 1, "epoch": epoch}
    body = {"channel": ROOM, "limit": limit, "reverse": reverse, "since": since}
    assert (await service.call("history", **body))["epoch"] == epoch
    since["epoch"] = "another"
    assert (await service.fail("history", **body))[:2] == (416, 112)


async def test_presence_lists_connections(service: Service) -> None:
    """Presence is by connection, each with its user; the stats count both."""
    ann, tab, bob = [await service.join(user) for user in ("ann", "ann", "bob")]
    found = (await service.call("presence", READER, channel=ROOM))["presence"]
    assert [each["user"] for each in found.values()] == ["ann", "ann", "bob"]
    assert all(name == each["client"] for name, each in found.items())
    stats = await service.call("presence_stats", READER, channel=ROOM)
    assert stats == {"num_clients": 3, "num_users": 2}
    for client in (ann, tab, bob):
        client.leave()


@pytest.mark.parametrize("method", ["presence", "presence_stats"])
async def test_presence_that_is_off_is_not_available(service: Service, method: str) -> None:
    """A namespace without presence answers 501 with number 108, an unknown one 404."""
    status, code, message = await service.fail(method, channel="alerts:a")
    assert (status, code) == (501, 108)
    assert message == "not available: presence is off for this namespace"
    assert (await service.fail(method, channel="nowhere:a"))[:2] == (404, 102)


async def test_a_signed_message_is_verified() -> None:
    """What an endpoint signed is valid as delivered and as read back; changed, it is not."""
    settings = Settings()
    rooms = settings.endpoints["rooms"]
    signing = replace(rooms, sign_messages=True, sign_secret=Secret("s" * 32))
    plain = replace(rooms, path="/plain")
    endpoints = {**settings.endpoints, "plain": plain, "rooms": signing}
    async with serving(replace(settings, endpoints=endpoints)) as service:
        ann = await service.join("ann")
        ann.send({"type": "message", "data": {"roomId": "general", "content": "hi"}})
        await ann.settle()
        (kept,) = (await service.call("history", channel=ROOM))["publications"]
        told = ann.last("message")
        stored = {name: kept[name] for name in ("id", "user", "data", "time", "signature")}
        heard = {
            "id": told["id"],
            "user": told["userId"],
            "data": told["content"],
            "time": told["timestamp"],
            "signature": told["signature"],
        }
        assert stored == heard
        assert await service.call("verify", READER, channel=ROOM, **stored) == {"valid": True}
        for change in ({"data": "ho"}, {"user": "bob"}, {"user": None}, {"signature": "0" * 64}):
            changed = {**stored, **change}
            assert await service.call("verify", channel=ROOM, **changed) == {"valid": False}
        assert await service.call("verify", channel="rooms:b", **stored) == {"valid": False}
        assert (await service.fail("verify", channel=ROOM, **{**stored, "signature": "é"}))[
            0
        ] == 400


async def test_without_signing_there_is_nothing_to_verify(service: Service) -> None:
    """A namespace whose messages are not signed answers that, not that a signature is wrong."""
    message = {"id": "1", "user": None, "data": 1, "time": 1, "signature": "0" * 64}
    for channel in (ROOM, "alerts:a"):
        assert (await service.fail("verify", channel=channel, **message))[:2] == (501, 108)


def test_a_publication_is_shown_whole() -> None:
    """Every field of a publication has its place in the API, and data is passed on as it is."""
    data = {"deep": [1, {"x": None}]}
    publication = Publication(
        id="i",
        offset=7,
        time=1,
        data=data,
        key="k",
        type="t",
        user="u",
        email="e",
        signature="s",
        origin=Channel.parse("alerts:c"),
        attachments=(b"\x00",),
    )
    shown = PublicationResult.of(publication)
    for name in Publication.__struct_fields__:
        assert getattr(shown, name) == getattr(publication, name)
    assert set(Publication.__struct_fields__) == set(PublicationResult.__struct_fields__)
