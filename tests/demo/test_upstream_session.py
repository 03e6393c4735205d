import base64
from typing import Any

import msgspec
import pytest

from portward.demo import upstream_session
from portward.demo.upstream_session import MAX_SOUND
from tests.demo.upstreams import MODEL, Session, read


@pytest.fixture
def session() -> Session:
    """A session that has just begun."""
    return Session()


def sound(seconds: float) -> str:
    """Silence, as events carry it."""
    return base64.b64encode(bytes(int(48_000 * seconds))).decode()


# -- the session itself


def test_beginning(session: Session) -> None:
    """A session says first what it is."""
    event = read(msgspec.json.encode({"event_id": "e"} | session.conversation.begin()))
    assert event["type"] == "session.created"
    told = event["session"]
    assert (told["model"], told["object"]) == (MODEL, "realtime.session")
    assert told["id"].startswith("sess_")
    assert told["expires_at"] == 1_700_003_600


def test_update(session: Session) -> None:
    """An update changes what it names, objects inside objects alike, and is answered with the whole."""
    voice = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    told = session.one("session.update", session=voice)["session"]
    assert told["audio"]["output"]["voice"] == "cedar"
    assert told["audio"]["output"]["format"]["rate"] == 24_000
    change = {"type": "realtime", "instructions": "Be brief.", "model": MODEL}
    told = session.one("session.update", session=change)["session"]
    assert told["instructions"] == "Be brief."
    assert told["audio"]["output"]["voice"] == "cedar"


def test_update_of_what_is_ours(session: Session) -> None:
    """What a session is called is not the client's to say."""
    change = {"type": "realtime", "id": "sess_mine", "object": "x", "expires_at": 0}
    told = session.one("session.update", session=change)["session"]
    assert told["id"] != "sess_mine"
    assert (told["object"], told["expires_at"]) == ("realtime.session", 1_700_003_600)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "model": "other"}, "invalid_value", "session.model"),
        ({"type": "realtime", "voice": "ash"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "tools": {}}, "invalid_value", "session.tools"),
        ({"type": "realtime", "tools": [{"type": "mcp"}]}, "invalid_value", "session.tools"),
        ({"type": "realtime", "instructions": 1}, "invalid_value", "session.instructions"),
        ({"type": "realtime", "audio": []}, "invalid_value", "session.audio"),
        ({"type": "realtime", "audio": {"output": 1}}, "invalid_value", "session.audio"),
        (
            {"type": "realtime", "output_modalities": ["text", "audio"]},
            "invalid_value",
            "session.output_modalities",
        ),
        (
            {"type": "realtime", "max_output_tokens": 0},
            "invalid_value",
            "session.max_output_tokens",
        ),
        (None, "missing_required_parameter", "session"),
        ([], "missing_required_parameter", "session"),
    ],
)
def test_updates_that_cannot_be(session: Session, change: Any, code: str, param: str) -> None:
    """A wrong update is refused as a whole."""
    before = session.conversation.session
    assert session.refused("session.update", session=change) == (code, param)
    assert session.conversation.session is before


# -- what is no event


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "1", '"x"', "null", "[" * 100_000, b"{}", b"\xff", '{"type":"\\ud800"}'],
)
def test_what_is_no_event(session: Session, message: str | bytes) -> None:
    """A message that is no JSON object is an error, and the session lives."""
    (event,) = session.conversation.take(message)
    assert event["type"] == "error"
    assert event["error"]["code"] == "invalid_json"
    session.one("input_audio_buffer.clear")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{}", "missing_required_parameter"),
        ('{"type": 1}', "missing_required_parameter"),
        ('{"type": "session.delete"}', "invalid_value"),
    ],
)
def test_unknown_events(session: Session, message: str, code: str) -> None:
    """An event nobody knows is an error about its type."""
    (event,) = session.conversation.take(message)
    assert (event["error"]["code"], event["error"]["param"]) == (code, "type")


@pytest.mark.parametrize(("given", "told"), [("mine", "mine"), (1, None), (None, None)])
def test_error_names_the_event(session: Session, given: Any, told: str | None) -> None:
    """An error tells which of the client's events it is about."""
    assert session.one("nonsense", event_id=given)["error"]["event_id"] == told


# -- the conversation


def test_items_follow_one_another(session: Session) -> None:
    """Each item is told with the one before it."""
    first = session.tell("one")
    content = [{"type": "input_text", "text": "two"}]
    item = {"type": "message", "role": "user", "content": content, "id": "mine"}
    added, done = session.take("conversation.item.create", item=item)
    assert added["previous_item_id"] == done["previous_item_id"] == first["id"]
    assert added["item"]["id"] == "mine"
    again = session.refused("conversation.item.create", item=item)
    assert again == ("item_already_exists", "item.id")


def test_item_by_its_name(session: Session) -> None:
    """An item can be asked for again, until it is taken away."""
    item = session.tell("one")
    told = session.one("conversation.item.retrieve", item_id=item["id"])
    assert told["item"] == item
    gone = session.one("conversation.item.delete", item_id=item["id"])
    assert gone["item_id"] == item["id"]
    for kind in ("retrieve", "delete", "truncate"):
        found = session.refused(f"conversation.item.{kind}", item_id=item["id"])
        assert found == ("item_not_found", "item_id")


def test_cutting_an_answer(session: Session) -> None:
    """An answer can be cut to what was heard of it; a question cannot."""
    question = session.tell("one")
    answer = session.respond()[-1]["response"]["output"][0]
    where = {"content_index": 0, "audio_end_ms": 10}
    cut = session.one("conversation.item.truncate", item_id=answer["id"], **where)
    assert (cut["item_id"], cut["audio_end_ms"]) == (answer["id"], 10)
    left = session.one("conversation.item.retrieve", item_id=answer["id"])
    assert left["item"]["content"] == [{"type": "output_audio"}]
    wrong = session.refused("conversation.item.truncate", item_id=question["id"], **where)
    assert wrong == ("invalid_value", "item_id")


def test_conversation_is_bounded(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last items are kept."""
    monkeypatch.setattr(upstream_session, "MAX_ITEMS", 2)
    first, *_ = [session.tell(str(number)) for number in range(3)]
    gone = session.refused("conversation.item.retrieve", item_id=first["id"])
    assert gone == ("item_not_found", "item_id")


# -- sound that comes in


def test_sound(session: Session) -> None:
    """Sound is gathered, becomes an item, and is answered."""
    assert session.take("input_audio_buffer.append", audio=sound(0.5)) == []
    assert session.take("input_audio_buffer.append", audio=sound(1.0)) == []
    committed, added, _ = session.take("input_audio_buffer.commit")
    assert committed["type"] == "input_audio_buffer.committed"
    assert committed["item_id"] == added["item"]["id"]
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    done = session.respond(output_modalities=["text"])[-1]["response"]
    assert done["output"][0]["content"][0]["text"] == "I heard 1.5 seconds of sound."
    assert done["usage"]["input_token_details"]["audio_tokens"] == 15


def test_sound_is_thrown_away(session: Session) -> None:
    """What was cleared is not there to be committed, and nothing is committed twice."""
    empty = ("input_audio_buffer_commit_empty", None)
    assert session.refused("input_audio_buffer.commit") == empty
    session.take("input_audio_buffer.append", audio=sound(1))
    session.one("input_audio_buffer.clear")
    assert session.refused("input_audio_buffer.commit") == empty
    session.take("input_audio_buffer.append", audio=sound(1))
    session.take("input_audio_buffer.commit")
    assert session.refused("input_audio_buffer.commit") == empty


@pytest.mark.parametrize("audio", [1, None, {}, "*", "abc", "é"])
def test_what_is_no_sound(session: Session, audio: Any) -> None:
    """What is not base64 is refused."""
    found = session.refused("input_audio_buffer.append", audio=audio)
    assert found == ("invalid_value", "audio")


def test_sound_is_bounded(session: Session) -> None:
    """A buffer has its limit."""
    whole = base64.b64encode(bytes(MAX_SOUND)).decode()
    assert session.take("input_audio_buffer.append", audio=whole) == []
    full = session.refused("input_audio_buffer.append", audio="AAAA")
    assert full == ("input_audio_buffer_full", "audio")


# -- asking for a response


def test_one_response_at_a_time(session: Session) -> None:
    """A second response waits for the first; there is nothing to cancel when none is told."""
    none = ("response_cancel_not_active", None)
    assert session.refused("response.cancel") == none
    session.take("response.create")
    first = session.conversation.reply
    busy = session.refused("response.create")
    assert busy == ("conversation_already_has_active_response", None)
    assert session.conversation.reply is first
    assert session.refused("response.cancel", response_id="resp_other") == none
    session.conversation.told()
    session.conversation.told()
    assert session.refused("response.cancel") == none


def test_conversation_grows(session: Session) -> None:
    """What was said becomes part of what the next response costs."""
    session.tell("one")
    first = session.respond()[-1]["response"]
    second = session.respond()[-1]["response"]
    assert second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    answer = first["output"][0]
    kept = session.one("conversation.item.retrieve", item_id=answer["id"])["item"]
    assert kept["content"][0]["transcript"] == "You said: one"


def test_response_apart(session: Session) -> None:
    """A response that belongs to no conversation leaves no trace in it."""
    session.tell("one")
    events = session.respond(conversation="none")
    assert not [event for event in events if event["type"].startswith("conversation")]
    done = events[-1]["response"]
    assert done["conversation_id"] is None
    gone = session.refused("conversation.item.retrieve", item_id=done["output"][0]["id"])
    assert gone == ("item_not_found", "item_id")


def test_response_to_other_items(session: Session) -> None:
    """A response can be made from items of its own and from named ones."""
    item = session.tell("one")
    session.tell("two")
    given = [{"type": "item_reference", "id": item["id"]}]
    said = session.respond(input=given)[-1]["response"]["output"][0]["content"][0]
    assert said["transcript"] == "You said: one"
    fresh = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "3"}]}
    said = session.respond(input=[fresh])[-1]["response"]["output"][0]["content"][0]
    assert said["transcript"] == "You said: 3"
    said = session.respond(input=[])[-1]["response"]["output"][0]["content"][0]
    assert said["transcript"].startswith("Hello.")


@pytest.mark.parametrize(
    ("response", "param"),
    [
        ({"input": [1]}, "item"),
        ({"tools": {}}, "response.tools"),
        ({"metadata": {"a": 1}}, "response.metadata"),
        ({"max_output_tokens": True}, "response.max_output_tokens"),
        ({"instructions": 1}, "response.instructions"),
        ({"output_modalities": "text"}, "response.output_modalities"),
    ],
)
def test_responses_that_cannot_be(session: Session, response: Any, param: str) -> None:
    """A wrong wish is refused, and no response is begun."""
    found = session.refused("response.create", response=response)
    assert found == ("invalid_value", param)
    assert session.conversation.reply is None


def test_wish_that_is_no_object(session: Session) -> None:
    """What a response should be is an object, or nothing."""
    found = session.refused("response.create", response=[])
    assert found == ("missing_required_parameter", "response")
    assert session.take("response.create", response=None) == []
