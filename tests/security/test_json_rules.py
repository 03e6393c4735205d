"""What a client is told of JSON that is not taken: the rule, and how deep it is broken."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.errors import CommandError, ErrorKind
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.base import ClientProtocol
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.relay.policy import RelayPolicy
from portward.protocols.relay.protocol import RelayProtocol
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.protocols.socketio import packets
from portward.protocols.workspaces.protocol import WorkspacesProtocol
from portward.security import strict_json
from portward.security.json_rules import SCANNED, JsonRule, depth_of

BROKEN: dict[bytes, tuple[str, int | None]] = {
    b"[" * 33 + b"]" * 33: ("depth", 33),
    b'{"a":' * 40 + b"1" + b"}" * 40: ("depth", 40),
    b'[{"a":' * 17 + b"1" + b"}]" * 17: ("depth", 34),
    b'{"a":1,"a":2}': ("duplicate_key", 1),
    b'{"a":[{"b":1,"c":{"b":2},"b":3}]}': ("duplicate_key", 3),
    b'{"a":1,"\\u0061":2}': ("duplicate_key", 1),
    b'{"constructor":1}': ("forbidden_key", 1),
    b'{"a":["constructor",{"__proto__":1}]}': ("forbidden_key", 3),
    b'{"a":{"\\u0070rototype":1}}': ("forbidden_key", 2),
    b"9007199254740992": ("integer_range", 0),
    b'{"a":[1,2,-9007199254740993]}': ("integer_range", 2),
    b"[" + b"9" * 5000 + b"]": ("integer_range", 1),
    b'[1e300,{"a":9007199254740993}]': ("integer_range", 2),
    b'{"a":-1E+20,"b":[9007199254740993.5,[-9007199254740992]]}': ("integer_range", 3),
    b"[1e400]": ("number_range", 1),
    b'{"a":-1e999}': ("number_range", 1),
    b"NaN": ("constant", 0),
    b'{"a":["NaN",{"b":-Infinity}]}': ("constant", 3),
    b'{"a":"\\ud800"}': ("lone_surrogate", 1),
    b'[["\\ud83d\\ude00","\\udfff"]]': ("lone_surrogate", 2),
    b'{"a\\u0000":1}': ("nul", 1),
    b'{"a":["x\\u0000"]}': ("nul", 2),
}


@pytest.mark.parametrize("payload", BROKEN)
def test_the_rule_and_the_depth_are_named(payload: bytes) -> None:
    """Each rule has a name of its own, and the depth counts the brackets around the place."""
    rule, depth = BROKEN[payload]
    with pytest.raises(CommandError) as caught:
        strict_json.parse(payload)
    told = caught.value.details
    assert caught.value.kind is ErrorKind.INVALID_FORMAT
    assert told == ({"rule": rule} if depth is None else {"rule": rule, "depth": depth})


def test_a_place_far_away_stays_unknown() -> None:
    """Looking for the place costs no more than so many pieces of text."""
    payload = b"[" + b"1," * SCANNED + b"NaN]"
    with pytest.raises(CommandError) as caught:
        strict_json.parse(payload)
    assert caught.value.details == {"rule": "constant"}


@pytest.mark.parametrize(
    "text", ["0..0", "1e", "1e+", "--1", "-0-0", "1.2.3", "1e5e5", "-", "9" * 5000]
)
def test_numbers_that_are_none(text: str) -> None:
    """Text that looks like a number for the rules need not be one."""
    for rule in JsonRule:
        assert depth_of(rule, text) in {None, 0}


@given(st.text(max_size=200) | st.text("0123456789.eE+-[]{}:", max_size=40))
def test_any_text_has_an_answer(text: str) -> None:
    """Whatever the text, looking for a rule raises nothing."""
    for rule in JsonRule:
        found = depth_of(rule, text)
        assert found is None or found >= 0


@pytest.mark.parametrize("payload", [b"", b"{", b'{"a":1}x', b"\xff", b"'a'", b"[01]"])
def test_of_what_is_no_json_nothing_is_told(payload: bytes) -> None:
    """Text that no reader takes is called that."""
    with pytest.raises(CommandError) as caught:
        strict_json.parse(payload)
    assert caught.value.details is None


def _details(protocol: ClientProtocol, payload: Any) -> Any:
    with pytest.raises(CommandError) as caught:
        protocol.decode(payload, False)
    said = protocol.reply_error(caught.value, 0)
    assert isinstance(said, bytes)
    return said


SECRET = "a-secret-of-the-client"
HOSTILE = (
    b'{"type":"x","%s":1,"constructor":{}}' % SECRET.encode(),
    b'{"type":"x","%s":9007199254740992}' % SECRET.encode(),
    b'{"type":"%s","a":' % SECRET.encode() + b"[" * 33 + b"]" * 33 + b"}",
    b'{"type":"x","%s":1,"%s":2}' % (SECRET.encode(), SECRET.encode()),
    b'{"type":"x","a":"%s\\ud800"}' % SECRET.encode(),
)


@pytest.mark.parametrize("payload", HOSTILE)
def test_every_protocol_tells_them(payload: bytes) -> None:
    """Each protocol has a place for the details, and repeats nothing of the message."""
    with pytest.raises(CommandError) as caught:
        strict_json.parse(payload)
    expected = caught.value.details
    places: tuple[tuple[ClientProtocol, Any], ...] = (
        (RoomsProtocol("rooms", expose_email=False), lambda said: said["data"]["details"]),
        (AlertsProtocol("alerts"), lambda said: said["payload"]["details"]),
        (LiveProtocol("live"), lambda said: said["details"]),
    )
    relay = RelayProtocol()
    assert json.loads(_details(relay, payload)) == {
        "type": "error",
        "code": "not_connected",
        "message": "Not connected",
        "details": expected,
    }
    for protocol, place in places:
        said = _details(protocol, payload)
        assert place(json.loads(said)) == expected
        assert SECRET.encode() not in said


@pytest.mark.parametrize("payload", HOSTILE)
def test_the_relay_tells_them_of_events(payload: bytes) -> None:
    """An event that a guard refuses for its JSON is answered with the rule."""
    policy = RelayPolicy(strict=True)
    with pytest.raises(CommandError) as caught:
        policy.judge(payload, binary=False, model="m")
    said = RelayProtocol().reply_error(caught.value, 0)
    assert json.loads(said)["details"].keys() == {"rule", "depth"}
    assert SECRET.encode() not in said


def test_socketio_tells_them_in_an_acknowledgement() -> None:
    """An event whose payload breaks a rule is acknowledged with it."""
    protocol = WorkspacesProtocol("workspaces", ("dashboard",))
    packet = packets.parse(b'27["x",{"constructor":"%s"}]' % SECRET.encode())
    said = _details(protocol, packet)
    assert json.loads(said.removeprefix(b"37")) == [
        {"error": "VALIDATION_ERROR", "details": {"rule": "forbidden_key", "depth": 2}}
    ]
