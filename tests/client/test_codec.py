import json

import pytest

from portward.client.codec import AlertsCodec, FlatCodec, Incoming, RoomsCodec
from portward.client.relay import RelayCodec
from portward.model.position import Position

ROOMS = RoomsCodec(lambda: 12.0)


def test_rooms() -> None:
    """Content is under `data`, and the time is the one that was given."""
    text = ROOMS.encode("join", {"since": Position(3, "e")}, "7")
    assert json.loads(text) == {
        "type": "join",
        "data": {"since": {"offset": 3, "epoch": "e"}},
        "timestamp": 12_000,
        "id": "7",
    }
    assert ROOMS.decode(text)[:3] == ("join", {"since": {"offset": 3, "epoch": "e"}}, "7")


def test_alerts() -> None:
    """Requests are flat; content of the gateway is under `payload`."""
    assert json.loads(AlertsCodec().encode("subscribe", {"callIds": ["a"]}, "1")) == {
        "type": "subscribe",
        "callIds": ["a"],
        "id": "1",
    }
    text = '{"type":"pong","payload":{"timestamp":1},"id":4}'
    assert AlertsCodec().decode(text) == Incoming("pong", {"timestamp": 1}, "4", text)


def test_flat() -> None:
    """Everything is beside the type."""
    text = FlatCodec().encode("subscribe", {"topic": "t"})
    assert json.loads(text) == {"type": "subscribe", "topic": "t"}
    assert FlatCodec().decode(text).data["topic"] == "t"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type":1,"data":{}}', '{"type":"x","data":[]}'])
def test_other_texts_of_rooms(text: str) -> None:
    """A text of another form is refused."""
    with pytest.raises(ValueError, match=r".+"):
        ROOMS.decode(text)


@pytest.mark.parametrize("payload", [b"{}", "", "[]", "{}", '{"type":1}', '{"type":"x"}', "{"])
def test_other_texts_of_alerts(payload: str | bytes) -> None:
    """Bytes, and a text of another form, are refused."""
    with pytest.raises(ValueError, match=r".+"):
        AlertsCodec().decode(payload)


@pytest.mark.parametrize("payload", [b"\x00", "no JSON", "[1]", '{"a":1}'])
def test_the_relay_passes_everything(payload: str | bytes) -> None:
    """What is no event passes as it is."""
    assert RelayCodec().decode(payload) == Incoming("", {}, None, payload)


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ('{"type":"pong","id":3}', "3"),
        ('{"type":"error","code":"x","id":"4"}', "4"),
        ('{"type":"error","error":{},"id":"4"}', None),
        ('{"type":"response.done","id":"5"}', None),
    ],
)
def test_ids_of_the_upstream_answer_nothing(text: str, identifier: str | None) -> None:
    """An id counts in answers of the gateway alone."""
    assert RelayCodec().decode(text).id == identifier
