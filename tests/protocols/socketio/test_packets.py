"""Packets: read as the protocol has them, refused where they are none."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from portward.model.errors import ErrorKind
from portward.model.payload import MultipartPayload, Payload
from portward.protocols.socketio import packets
from portward.protocols.socketio.attachments import unpack
from portward.protocols.socketio.packets import (
    RESERVED,
    PacketError,
    SocketIoPacket,
    SocketIoPacketKind,
    parse,
)
from tests.protocols.socketio.coder import Said, decode, encode

unhurried = effort(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A slow machine is no failure."""

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
LEAF = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
KEYS = TEXT.filter(lambda key: key not in {"__proto__", "constructor", "prototype"})


def values(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON values with these leaves."""
    return st.recursive(
        leaf,
        lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
        max_leaves=8,
    )


NSPS = st.from_regex(r"\A(/|/[a-z0-9:_.?=-]{1,20})\Z")
IDS = st.none() | st.integers(0, 10**15 - 1)
NAMES = TEXT.filter(lambda name: name not in RESERVED)
ARGUMENTS = st.lists(values(LEAF), max_size=3)
BINARY = st.lists(values(LEAF | st.binary(max_size=6)), max_size=3)


# -- what is heard


@unhurried
@given(nsp=NSPS, number=IDS, name=NAMES, arguments=ARGUMENTS)
def test_events_are_read(nsp: str, number: int | None, name: str, arguments: list[Any]) -> None:
    """An event comes out as another encoder put it in."""
    text, _ = encode(Said(2, nsp, number, [name, *arguments]))
    packet = parse(text)
    assert (packet.kind, packet.nsp, packet.id, packet.fault) == (
        SocketIoPacketKind.EVENT,
        nsp,
        number,
        None,
    )
    assert (packet.name, packet.data, packet.attachments) == (name, arguments, 0)
    assert len(packet) == len(text)


@unhurried
@given(nsp=NSPS, number=IDS, name=NAMES, arguments=BINARY)
def test_attachments_are_counted_and_put_back(
    nsp: str, number: int | None, name: str, arguments: list[Any]
) -> None:
    """A packet says how many attachments follow, and with them it says what went in."""
    text, blobs = encode(Said(2, nsp, number, [name, *arguments]))
    if len(blobs) > 10:
        with pytest.raises(PacketError):
            parse(text)
        return
    packet = parse(text)
    assert packet.attachments == len(blobs)
    assert packet.kind is (SocketIoPacketKind.BINARY_EVENT if blobs else SocketIoPacketKind.EVENT)
    assert unpack(packet.data, blobs) == arguments


@unhurried
@given(nsp=NSPS, number=st.integers(0, 10**15 - 1), data=ARGUMENTS)
def test_acknowledgements_are_read(nsp: str, number: int, data: list[Any]) -> None:
    """So does an acknowledgement."""
    packet = parse(encode(Said(3, nsp, number, data))[0])
    assert (packet.kind, packet.nsp, packet.id, packet.data) == (
        SocketIoPacketKind.ACK,
        nsp,
        number,
        data,
    )


@pytest.mark.parametrize(
    ("text", "nsp", "data"),
    [
        (b"0", "/", {}),
        (b"0null", "/", {}),
        (b'0{"token":"t"}', "/", {"token": "t"}),
        (b"0/x", "/x", {}),
        (b"0/x,", "/x", {}),
        (b'0/x,{"a":1}', "/x", {"a": 1}),
        (b"0/x/y?q=1,", "/x/y?q=1", {}),
        (b"07", "/", {}),
        # Without a comma the name goes on to the end, as in other parsers.
        (b'0/x{"a":1}', '/x{"a":1}', {}),
    ],
)
def test_connects(text: bytes, nsp: str, data: dict[str, Any]) -> None:
    """A CONNECT names a namespace, and may bring an object."""
    packet = parse(text)
    assert (packet.kind, packet.nsp, packet.data) == (SocketIoPacketKind.CONNECT, nsp, data)


@pytest.mark.parametrize(("text", "nsp"), [(b"1", "/"), (b"1/x,", "/x"), (b"1/x", "/x")])
def test_disconnects(text: bytes, nsp: str) -> None:
    """A DISCONNECT names a namespace alone."""
    packet = parse(text)
    assert (packet.kind, packet.nsp, packet.data) == (SocketIoPacketKind.DISCONNECT, nsp, None)


@pytest.mark.p1
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, id=text[:40].decode("latin-1"))
        for text in [
            b"", b"7", b"9[]", b"abc", b"-1[]", b"/x,2[]", b" 2[]", b"\xff", b"2\xff",
            b"2", b"2{}", b"2null", b'2"a"', b"2[]", b"2[1]", b"2[null]", b"2[{}]", b'2[["a"]]',
            b'2["a"', b'2abc["a"]', b'2-1["a"]', b'2/x["a"]', b"2/x,",
            b"2" + b"1" * 16 + b'["a"]', b"2/x," + b"1" * 16 + b'["a"]',
            b"2" + b"1" * 5000,
            b"0[]", b'0"x"', b"0true", b'0{"a":1', b'0{"a":1,"a":2}', b"0" + b"[" * 40,
            b"1{}", b"1[]", b'1"x"',
            b"3", b"31", b"3[]", b"31{}", b"3/x,[]", b'31[{"a":1,"a":2}]',
            b"4", b'4{"message":"x"}', b"4/x,",
            b'5["a"]', b'5-["a"]', b'5x-["a"]', b'5-1-["a"]', b'511-["a"]', b'599-["a"]',
            b'5100-["a"]', b'51["a"]', b"50-[]", b'51-[{"_placeholder":true,"num":0}]', b"51-{}",
            b"61-[]", b"61-1{}", b"611-1[]", b"6-1[]",
            b"0/" + b"x" * 5000 + b",",
            b'2["' + b"e" * 129 + b'"]',
            *(f'2["{name}"]'.encode() for name in sorted(RESERVED)),
            *(f'2/x,7["{name}"]'.encode() for name in sorted(RESERVED)),
        ]
    ],
)  # fmt: skip
def test_what_is_no_packet(text: bytes) -> None:
    """What breaks the protocol is told apart from what is merely not taken."""
    with pytest.raises(PacketError):
        parse(text)


@pytest.mark.p0
@pytest.mark.parametrize(
    "json_text",
    [
        '["a",{"x":1,"x":2}]',
        '["a",NaN]',
        '["a",-Infinity]',
        '["a",1e999]',
        '["a",99999999999999999999]',
        '["a",{"__proto__":1}]',
        '["a",{"constructor":{"prototype":1}}]',
        '["a","\\ud800"]',
        '["\\udfff"]',
        '["a","\\u0000"]',
        '["a",' + "[" * 40 + "]" * 40 + "]",
    ],
)
def test_json_that_is_not_taken(json_text: str) -> None:
    """JSON one can read and does not take leaves a packet, with the fault that answers it."""
    packet = parse(b"2/x,7" + json_text.encode())
    assert packet.fault is not None
    assert packet.fault.kind is ErrorKind.INVALID_FORMAT
    assert packet.fault.command_id == packet.address == "/x,7"
    assert (packet.name, packet.data) == ("", None)


def test_the_longest() -> None:
    """Bounds are inclusive: the longest namespace, event and id, and ten attachments."""
    nsp, name = "/" + "n" * 127, "e" * 128
    packet = parse(f'510-{nsp},{"9" * 15}["{name}"]'.encode())
    assert (packet.nsp, packet.name, packet.attachments) == (nsp, name, 10)
    assert packet.id == 10**15 - 1


@unhurried
@given(
    st.binary(max_size=40) | st.from_regex(r"\A[0-7][0-9/,\-\[\]{}\"a-c]{0,20}\Z").map(str.encode)
)
def test_anything_is_a_packet_or_none(text: bytes) -> None:
    """Whatever comes, it is read or refused, and nothing else happens."""
    try:
        packet = parse(text)
    except PacketError:
        return
    assert isinstance(packet, SocketIoPacket)
    assert packet.attachments <= 10


def test_a_packet_does_not_show_what_it_carries() -> None:
    """Its representation has no payload, where a token may be."""
    assert "canary" not in repr(parse(b'0{"token":"canary"}'))
    assert repr(parse(b'2/x,["a"]')) == "Packet(EVENT, '/x', 9 bytes)"


# -- what is said


def parts(words: Payload) -> Said:
    """What words say to another decoder."""
    if isinstance(words, MultipartPayload):
        assert words.then is None
        return decode(words.text, *words.attachments)
    return decode(words)


@unhurried
@given(nsp=NSPS, number=IDS, name=NAMES, arguments=BINARY)
def test_events_are_said(nsp: str, number: int | None, name: str, arguments: list[Any]) -> None:
    """Another decoder hears the event that was to be said, bytes and all."""
    if sum(map(_count, arguments)) > 10:
        with pytest.raises(ValueError, match="attachments"):
            packets.event(nsp, name, arguments, number)
        return
    assert parts(packets.event(nsp, name, arguments, number)) == Said(
        2, nsp, number, [name, *arguments]
    )


@unhurried
@given(nsp=NSPS, number=st.integers(0, 10**15 - 1), arguments=ARGUMENTS)
def test_acknowledgements_are_said(nsp: str, number: int, arguments: list[Any]) -> None:
    """And an acknowledgement, at the address it is to go to."""
    words = packets.acknowledgement(packets.address(nsp, number), arguments)
    assert parts(words) == Said(3, nsp, number, arguments)


def test_acknowledgement_with_bytes() -> None:
    """Bytes in an acknowledgement follow it."""
    words = packets.acknowledgement("/x,3", (b"\0", {"a": b"\1"}))
    assert isinstance(words, MultipartPayload)
    assert words.text.startswith(b"62-/x,3[")
    assert words.attachments == (b"\0", b"\1")


def test_prepared() -> None:
    """What was packed before is said as it is."""
    place = {"_placeholder": True, "num": 0}
    words = packets.prepared("/x", "e", (place,), (b"\0",))
    assert parts(words) == Said(2, "/x", None, ["e", b"\0"])
    assert packets.prepared("/", "e", (1,), ()) == b'2["e",1]'


def test_coming_and_going() -> None:
    """A client is let in, refused, with a code or without, and sent out."""
    assert packets.connected("/", "s") == b'0{"sid":"s"}'
    assert packets.connected("/x", "s") == b'0/x,{"sid":"s"}'
    assert packets.connect_error("/x", "no") == b'4/x,{"message":"no"}'
    refused = json.loads(packets.connect_error("/", "no", "CODE")[1:])
    assert refused == {"message": "no", "data": {"code": "CODE"}}
    assert (packets.disconnected("/"), packets.disconnected("/x")) == (b"1", b"1/x,")


def _count(value: Any) -> int:
    if isinstance(value, bytes):
        return 1
    inside = value.values() if isinstance(value, dict) else value
    return sum(map(_count, inside)) if isinstance(value, dict | list) else 0
