import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.disconnects import Disconnect
from portward.model.payload import MultipartPayload
from portward.wire import engineio
from portward.wire import message as wire
from portward.wire.engineio import EngineIoPacket, EngineIoPacketKind, Opening
from portward.wire.errors import WireFault

TEXT = st.text(alphabet=st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]))
PACKETS = st.lists(st.one_of(TEXT.map(str.encode), st.binary()), min_size=1, max_size=16)


def test_the_kinds() -> None:
    """The seven kinds are the digits from 0 to 6."""
    assert [kind.value for kind in EngineIoPacketKind] == [b"%d" % number for number in range(7)]


@pytest.mark.parametrize("kind", EngineIoPacketKind)
def test_reading_a_packet(kind: EngineIoPacketKind) -> None:
    """The first character is the kind, what follows is the payload."""
    assert engineio.read(kind.value) == EngineIoPacket(kind, b"")
    assert engineio.read(kind.value + b"data") == EngineIoPacket(kind, b"data")


@pytest.mark.parametrize(
    "text", [b"", b"7", b"abc", b"bA", b"b!!!!", b"-1", b"\xe2\x82\xac", b"\x1e"]
)
def test_a_packet_that_is_none(text: bytes) -> None:
    """Whatever begins otherwise is a fault."""
    with pytest.raises(WireFault) as fault:
        engineio.read(text)
    assert fault.value.ending is Disconnect.PROTOCOL_ERROR


def test_reading_base64() -> None:
    """`b` marks a binary message in text."""
    assert engineio.read(b"bAQI=") == EngineIoPacket(
        EngineIoPacketKind.MESSAGE, b"\x01\x02", binary=True
    )
    assert engineio.read(b"b") == EngineIoPacket(EngineIoPacketKind.MESSAGE, b"", binary=True)


def test_reading_a_body() -> None:
    """Packets are told apart by the record separator; bytes come in base64."""
    assert engineio.read_body(b"4hello\x1ebAQIDBA==\x1e3\x1eb") == [
        EngineIoPacket(EngineIoPacketKind.MESSAGE, b"hello"),
        EngineIoPacket(EngineIoPacketKind.MESSAGE, b"\x01\x02\x03\x04", binary=True),
        EngineIoPacket(EngineIoPacketKind.PONG, b""),
        EngineIoPacket(EngineIoPacketKind.MESSAGE, b"", binary=True),
    ]


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (b"", Disconnect.PROTOCOL_ERROR),
        (b"4a\x1e", Disconnect.PROTOCOL_ERROR),
        (b"\x1e4a", Disconnect.PROTOCOL_ERROR),
        (b"\x1e".join([b"4"] * 1025), Disconnect.PROTOCOL_ERROR),
        (b"4\xff", Disconnect.INVALID_UTF8),
        (b"4\xed\xa0\x80", Disconnect.INVALID_UTF8),
        (b"bA", Disconnect.PROTOCOL_ERROR),
        (b"bAQ", Disconnect.PROTOCOL_ERROR),
        (b"bAQI", Disconnect.PROTOCOL_ERROR),
        (b"bAQI=", None),
        (b"bAQ=I", Disconnect.PROTOCOL_ERROR),
        (b"b====", Disconnect.PROTOCOL_ERROR),
        (b"bAQ\nI", Disconnect.PROTOCOL_ERROR),
        (b"bAQ-_", Disconnect.PROTOCOL_ERROR),
        (b"b AQI", Disconnect.PROTOCOL_ERROR),
        (b"\x1e".join([b"4"] * 64), None),
    ],
)
def test_hostile_bodies(body: bytes, ending: Disconnect | None) -> None:
    """A body is read whole or not at all."""
    if ending is None:
        assert engineio.read_body(body)
        return
    with pytest.raises(WireFault) as fault:
        engineio.read_body(body)
    assert fault.value.ending is ending


@given(st.binary(max_size=64))
def test_any_bytes(body: bytes) -> None:
    """Nothing but a fault comes of bytes that are no packets."""
    try:
        packets = engineio.read_body(body)
    except WireFault:
        return
    assert 0 < len(packets) <= engineio.PACKETS


@given(PACKETS, st.lists(st.booleans(), min_size=16, max_size=16))
def test_what_is_written_can_be_read(payloads: list[bytes], kinds: list[bool]) -> None:
    """Messages come back as they went."""
    given = [
        EngineIoPacket(EngineIoPacketKind.MESSAGE, payload, binary or not _is_text(payload))
        for payload, binary in zip(payloads, kinds, strict=False)
    ]
    messages = [
        wire.binary(each.payload) if each.binary else wire.ENGINE.text(each.payload)
        for each in given
    ]
    assert engineio.read_body(engineio.write_body(messages)) == given


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return b"\x1e" not in payload


def test_a_parcel_is_written_in_order() -> None:
    """Text and its attachments follow each other."""
    parcel = wire.ENGINE.text(MultipartPayload(b"text", (b"\x01", b"\x02")))
    encoded = [b"b" + b64encode(each) for each in (b"\x01", b"\x02")]
    assert engineio.write_body([parcel]) == b"\x1e".join([b"4text", *encoded])


def test_a_message_as_text() -> None:
    """Bytes become base64 in place; weight and key stay, and what has no bytes stays as it is."""
    plain = wire.ENGINE.text(b"text")
    assert engineio.as_text(plain) is plain
    parcel = wire.with_conflation_key(
        wire.ENGINE.text(MultipartPayload(b"text", (b"\x01",), b"then")), "key"
    )
    texts = engineio.as_text(parcel)
    assert list(texts.parts()) == [(b"4text", False), (b"bAQ==", False), (b"4then", False)]
    assert texts.frame == b"".join(wire.text(each).frame for each in texts.payloads)
    assert (texts.weight, texts.key) == (1, "key")


def test_the_opening() -> None:
    """The names of its fields are those of the protocol."""
    opening = Opening("id", ("websocket",), 25000, 20000, 100000)
    packet = opening.packet()
    assert packet[:1] == EngineIoPacketKind.OPEN.value
    assert json.loads(packet[1:]) == {
        "sid": "id",
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 20000,
        "maxPayload": 100000,
    }
