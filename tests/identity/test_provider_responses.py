import json
from typing import Any

import pytest

from portward.identity.provider_responses import (
    ProviderAnswer,
    read_topic,
    read_user,
    topic_question,
    user_question,
)
from portward.model.identity import Identity
from portward.model.provider import ProviderResult

OK, MALFORMED = ProviderAnswer(ProviderResult.OK), ProviderAnswer(ProviderResult.MALFORMED)
UNAUTHORIZED, ERROR = (
    ProviderAnswer(ProviderResult.UNAUTHORIZED),
    ProviderAnswer(ProviderResult.ERROR),
)


def body(data: Any) -> bytes:
    """A document with something under `data`."""
    return json.dumps({"data": data}).encode()


def test_user() -> None:
    """All that is told of a user is kept; the role is one of the roles."""
    facts = {
        "id": "u-1",
        "email": "ann@example.com",
        "role": "editor",
        "first_name": "Ann",
        "last_name": None,
    }
    assert read_user(200, body({**facts, "more": [1]})) == ProviderAnswer(
        ProviderResult.OK,
        Identity(
            subject="u-1",
            email="ann@example.com",
            roles=frozenset({"editor"}),
            profile=facts,
        ),
    )


def test_only_the_id_is_needed() -> None:
    """All else may be null, absent, or empty."""
    answer = read_user(200, body({"id": "u-1", "role": "", "email": None}))
    assert answer.user is not None
    assert answer.user.subject == "u-1"
    assert answer.user.roles == frozenset()
    assert answer.user.profile == {
        "id": "u-1",
        "email": None,
        "role": "",
        "first_name": None,
        "last_name": None,
    }


def test_longest_id() -> None:
    """An id may have 128 characters."""
    assert read_user(200, body({"id": "x" * 128})).result is ProviderResult.OK
    assert read_user(200, body({"id": "x" * 129})) == MALFORMED


NO_IDS: list[Any] = [None, "", 1, True, ["u"], {"id": "u"}]
NO_TEXTS: list[Any] = [1, True, False, ["admin"], {"id": "r"}, [], {}]
WRONG: list[Any] = [
    *({}, [], "u-1", 1, 0, True, False, "", ["id"], [{"id": "u-1"}]),
    *({"id": value} for value in NO_IDS),
    *({"id": f"u{char}"} for char in "\x00\n\x1f\x7f\x9f\u2028\ud800"),
    *({"id": "u", "email": value} for value in NO_TEXTS),
    *({"id": "u", "role": value} for value in NO_TEXTS),
    {"id": "u", "first_name": 7},
    {"id": "u", "last_name": {}},
    {"ID": "u"},
]


@pytest.mark.parametrize("data", WRONG, ids=repr)
def test_wrong_types_are_malformed(data: Any) -> None:
    """A user is an object with an id and texts, or nobody."""
    assert read_user(200, body(data)) == MALFORMED


DOCUMENTS = {
    "no body": None,
    "empty": b"",
    "HTML": b"<!doctype html><html><body>Welcome</body></html>",
    "a number": b"42",
    "a list": b'[{"data": {"id": "u"}}]',
    "a string": b'"data"',
    "null": b"null",
    "no data": b'{"id": "u"}',
    "an empty object": b"{}",
    "errors": b'{"errors": [{"message": "x"}]}',
    "two values": b'{"data": {"id": "u"}} {"data": {"id": "v"}}',
    "data twice": b'{"data": {"id": "u"}, "data": {"id": "v"}}',
    "data and null": b'{"data": null, "data": {"id": "v"}}',
    "id twice": b'{"data": {"id": "u", "id": "v"}}',
    "half": b'{"data": {"id": "u"',
    "a comma too many": b'{"data": {"id": "u"},}',
    "a comment": b'{"data": {"id": "u"}} // x',
    "NaN": b'{"data": {"id": "u"}, "x": NaN}',
    "no UTF-8": b'{"data": {"id": "\xff"}}',
    "UTF-16": '{"data": {"id": "u"}}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"data": {"id": "u"}}',
    "single quotes": b"{'data': {'id': 'u'}}",
    "JSONP": b'cb({"data": {"id": "u"}})',
    "deep": b'{"data": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep and open": b"[" * 60_000,
}


@pytest.mark.p1
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_is_no_document_is_malformed(document: bytes | None) -> None:
    """Neither a user nor a right comes of it."""
    assert read_user(200, document) == MALFORMED
    assert read_topic(200, document) == MALFORMED


@pytest.mark.parametrize("status", [401, 403])
def test_user_is_not_known(status: int) -> None:
    """The status says so, whatever else is sent."""
    assert read_user(status, body({"id": "u"})) == UNAUTHORIZED
    assert read_user(status, None) == UNAUTHORIZED


@pytest.mark.parametrize("status", [401, 403, 404])
def test_topic_is_kept_from_them(status: int) -> None:
    """Not logged in, not allowed and no such thing are one answer."""
    assert read_topic(status, body({"id": "u"})) == UNAUTHORIZED


def test_null_is_nobody_and_nothing() -> None:
    """A provider may say so with a 200."""
    assert read_user(200, b'{"data": null}') == UNAUTHORIZED
    assert read_topic(200, b'{"data": null}') == UNAUTHORIZED


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 307, 400, 402, 418, 429, 500, 503])
def test_other_statuses_settle_nothing(status: int) -> None:
    """Only 200 brings an answer, though another may carry one."""
    assert read_user(status, body({"id": "u"})) == ERROR
    assert read_topic(status, body({"id": "u"})) == ERROR


def test_no_such_user_is_no_answer() -> None:
    """A 404 for the user themselves means that the address is wrong."""
    assert read_user(404, None) == ERROR


@pytest.mark.parametrize("data", [{"id": 1}, [], {}, "", 0, False, "x"], ids=repr)
def test_topic_is_there(data: Any) -> None:
    """Anything but null is."""
    assert read_topic(200, body(data)) == OK


def test_questions() -> None:
    """The user is asked for by fields; what a topic's id can cause is not held against the provider."""
    me, topic = user_question(), topic_question("/items/1")
    assert me.path == "/users/me?fields=id,email,role,first_name,last_name"
    assert topic.path == "/items/1"
    assert {200, 500, 400} & me.blameless == {400}
    assert ProviderResult.MALFORMED in topic.brief - me.brief
    assert {200, 500, 400, 502, 429} & topic.blameless == {200, 500, 400}
