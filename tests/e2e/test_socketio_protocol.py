"""Socket.IO as anybody may speak it by hand, on both transports: namespaces, events, bytes, mistakes."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.socketio_raw import TRANSPORTS, Base, Opener, application, closed

pytestmark = pytest.mark.p1

SOCKET_IO = "/socket.io/"
HASTY = "/hasty/socket.io/"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application, one for all tests here."""
    with application(tmp_path_factory.mktemp("application")) as address:
        yield address


@pytest.fixture(params=list(TRANSPORTS))
def opener(request: pytest.FixtureRequest) -> Opener:
    """Each transport."""
    return TRANSPORTS[request.param]


# -- coming and going


async def entered(peer: Base, nsp: str = "/", auth: str = "") -> str:
    """Enter a namespace; its id there."""
    place = "" if nsp == "/" else f"{nsp},"
    await peer.say(f"0{place}{auth}")
    packet = await peer.message()
    assert isinstance(packet, str)
    assert packet.startswith(f"0{place}{{")
    told = json.loads(packet[1 + len(place) :])
    assert told.keys() == {"sid"}
    welcome = await peer.message()
    assert welcome == f'2{place}["auth",{auth or "{}"}]'
    return str(told["sid"])


@pytest.mark.parametrize("nsp", ["/", "/custom"])
@pytest.mark.parametrize("auth", ["", '{"token":"123","deep":{"a":[1]}}'])
async def test_entering(place: str, opener: Opener, nsp: str, auth: str) -> None:
    """Who enters is told its id there, which is not the transport's, and what it brought."""
    async with opener(place, SOCKET_IO) as peer:
        assert await entered(peer, nsp, auth) != peer.sid


async def test_entering_twice(place: str, opener: Opener) -> None:
    """Who enters where it is already is told its id again, and nothing else happens."""
    async with opener(place, SOCKET_IO) as peer:
        for nsp in ("/", "/custom"):
            sid = await entered(peer, nsp)
            head = "0" if nsp == "/" else f"0{nsp},"
            for auth in ("", "{}", '{"other":1}'):
                await peer.say(f"{head}{auth}")
                assert await peer.message() == f'{head}{{"sid":"{sid}"}}'
        await peer.say('2["message",1]')
        assert await peer.message() == '2["message-back",1]'


async def test_an_unknown_namespace(place: str, opener: Opener) -> None:
    """Nobody enters what is not there; the connection stays."""
    async with opener(place, SOCKET_IO) as peer:
        for name in ("/random", "/custom2", "/Custom"):
            await peer.say(f"0{name},")
            assert await peer.message() == f'4{name},{{"message":"Invalid namespace"}}'
        await entered(peer)


async def test_several_namespaces(place: str, opener: Opener) -> None:
    """One connection is in two namespaces; leaving one is not leaving the other."""
    async with opener(place, SOCKET_IO) as peer:
        assert await entered(peer) != await entered(peer, "/custom")
        await peer.say('2/custom,["message",1]')
        assert await peer.message() == '2/custom,["message-back",1]'
        await peer.say("1/custom,")
        await peer.say('2["message",2]')
        assert await peer.message() == '2["message-back",2]'
        await entered(peer, "/custom")
        await peer.say("1")
        await peer.say('2/custom,["message",3]')
        assert await peer.message() == '2/custom,["message-back",3]'


async def test_who_never_enters(place: str, opener: Opener) -> None:
    """A session that enters no namespace in its time is closed, however it answers pings."""
    async with opener(place, HASTY) as peer:
        await closed(peer)


@pytest.mark.parametrize(
    "packet",
    [
        "abc", "7", "", "0[]", '0"auth"', "0{", '2["message"', "2{}", "2[]", "2", "2[1]", "2abc",
        '2["connect"]', '2["disconnect"]', '2/custom,["message"]', '4{"message":"x"}', "1{}",
        '5["message",{"_placeholder":true,"num":0}]', '51-["message"', '511-["message"]',
        "3[]", '31{"a":1}', "6-1[]",
    ],
)  # fmt: skip
async def test_a_packet_that_is_none(place: str, opener: Opener, packet: str) -> None:
    """A packet that no client sends, or not now, ends the connection."""
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        await peer.say(packet)
        await closed(peer)


@pytest.mark.parametrize("packet", ['2["message"]', '20["message-with-ack"]', "1", "abc"])
async def test_a_packet_before_entering(place: str, opener: Opener, packet: str) -> None:
    """Who says anything before it entered is sent away."""
    async with opener(place, SOCKET_IO) as peer:
        await peer.say(packet)
        await closed(peer)


@pytest.mark.parametrize("between", ["text", "too many bytes", "bytes alone"])
async def test_attachments_that_are_none(place: str, opener: Opener, between: str) -> None:
    """Bytes nobody announced, and text where bytes were announced, end the connection."""
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        if between == "text":
            await peer.say('52-["message",{"_placeholder":true,"num":0}]', b"\x01")
            await peer.say('2["message"]')
        elif between == "too many bytes":
            await peer.say('51-["message",{"_placeholder":true,"num":0}]', b"\x01")
            assert await peer.message() == '51-["message-back",{"_placeholder":true,"num":0}]'
            assert await peer.message() == b"\x01"
            await peer.send(b"\x02")
        else:
            await peer.send(b"\x01")
        await closed(peer)


@pytest.mark.parametrize("place_held", ["1", "-1", "0.5", '"0"', "null"])
async def test_a_placeholder_that_is_none(place: str, opener: Opener, place_held: str) -> None:
    """An attachment that is not there is refused with the connection."""
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        await peer.say(f'51-["message",{{"_placeholder":true,"num":{place_held}}}]', b"\x01")
        await closed(peer)


# -- events


async def test_events(place: str, opener: Opener) -> None:
    """Arguments of every kind come back as they were."""
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        for arguments in ("", ',1,"2",{"3":[true]}', ",null,[],{},-1.5", ',"€ 🙂"'):
            await peer.say(f'2["message"{arguments}]')
            assert await peer.message() == f'2["message-back"{arguments}]'


@pytest.mark.parametrize("number", ["0", "1", "456", "9007199254740991"[:15]])
async def test_acknowledgements(place: str, opener: Opener, number: str) -> None:
    """An acknowledgement has the number of its event, in its namespace."""
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        await peer.say(f'2{number}["message-with-ack",1,"2",{{"3":[false]}}]')
        assert await peer.message() == f'3{number}[1,"2",{{"3":[false]}}]'
        await entered(peer, "/custom")
        await peer.say(f'2/custom,{number}["message-with-ack"]')
        assert await peer.message() == f"3/custom,{number}[]"


async def test_acknowledgements_of_the_client(place: str, opener: Opener) -> None:
    """What the client acknowledges reaches who asked; a number nobody waits for is passed over."""
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        await peer.say('39["nobody asked"]')
        await peer.say('2["ask-me",1]')
        assert await peer.message() == '20["question",1]'
        await peer.say('30["yes",{"a":1}]')
        assert await peer.message() == '2["answered","yes",{"a":1}]'
        await peer.say('2["ask-me"]')
        assert await peer.message() == '21["question"]'
        await peer.say('61-1[{"_placeholder":true,"num":0}]', b"\x07")
        assert await peer.message() == '51-["answered",{"_placeholder":true,"num":0}]'
        assert await peer.message() == b"\x07"


async def test_bytes(place: str, opener: Opener) -> None:
    """Attachments follow their packet, both ways, in events and in acknowledgements."""
    first, second = '{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":1}'
    async with opener(place, SOCKET_IO) as peer:
        await entered(peer)
        await peer.say(f'52-["message",{first},"x",{{"a":[{second}]}}]', b"\x01\x02", b"\x03")
        assert await peer.message() == f'52-["message-back",{first},"x",{{"a":[{second}]}}]'
        assert [await peer.message(), await peer.message()] == [b"\x01\x02", b"\x03"]
        await peer.say(f'52-789["message-with-ack",{second},{first}]', b"\x01", b"\x02")
        answer = await peer.message()
        assert answer == f"62-789[{first},{second}]"
        assert [await peer.message(), await peer.message()] == [b"\x02", b"\x01"]
