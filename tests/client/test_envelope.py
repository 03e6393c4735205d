import json

import pytest

from portward.client.envelope import decode, encode
from portward.model.position import Position


def test_round_trip() -> None:
    """What is written is read again."""
    envelope = decode(encode("join", {"roomId": "lobby"}, "7"))
    assert (envelope.type, envelope.data, envelope.id) == ("join", {"roomId": "lobby"}, "7")
    assert envelope.timestamp


def test_no_id_where_no_answer_is_wanted() -> None:
    """Without an id there is no such key, which the gateway would refuse."""
    assert set(json.loads(encode("heartbeat", {}))) == {"type", "data", "timestamp"}


def test_positions_travel_as_objects() -> None:
    """A position is written as offset and epoch."""
    text = encode("join", {"since": Position(3, "e")})
    assert json.loads(text)["data"] == {"since": {"offset": 3, "epoch": "e"}}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type":1,"data":{}}', '{"type":"x","data":[]}'])
def test_other_texts(text: str) -> None:
    """A text that is no envelope is refused."""
    with pytest.raises(ValueError, match=r".+"):
        decode(text)
