import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portward.identity.topics import Topics
from portward.model.topics import flaw

EVENTS = Topics({"event:{id}": "/items/events/{id}?fields=id"})


def test_value_goes_into_the_question() -> None:
    """What stands in the place of a pattern stands in the question."""
    assert EVENTS.question("event:42") == "/items/events/42?fields=id"
    assert EVENTS.question("event:Ab_c-9") == "/items/events/Ab_c-9?fields=id"


@pytest.mark.p1
@pytest.mark.parametrize(
    "name",
    [
        "",
        "event:",
        "event",
        "events:42",
        "Event:42",
        "xevent:42",
        "event:42/../../users",
        "event:42?fields=*",
        "event:42&x",
        "event:a.b",
        "event:..",
        "event:%2e%2e",
        "event:a b",
        "event:42\n",
        "\nevent:42",
        "event:4:2",
        "event:\x00",
        "event:é",
        "event:\uff14\uff12",
        "event:{id}",
        "event:" + "a" * 65,
    ],
)
def test_nothing_else_fits(name: str) -> None:
    """A value has only letters, digits, `_` and `-`, 64 at most, and the whole name must match."""
    assert EVENTS.question(name) is None


def test_longest_value() -> None:
    """A value may have 64 characters."""
    assert EVENTS.question("event:" + "a" * 64) == f"/items/events/{'a' * 64}?fields=id"


@given(st.text())
def test_question_is_made_of_the_pattern(value: str) -> None:
    """Whatever a client calls a topic, the question begins and ends as configured."""
    question = EVENTS.question("event:" + value)
    assert question in {None, f"/items/events/{value}?fields=id"}
    if question is not None:
        assert question.isascii()
        assert not set(value) & set("/?#&=.%\\ ")


def test_everything_else_is_literal() -> None:
    """A pattern is no regular expression, and a star no wildcard."""
    topics = Topics({"a.b*(c)+": "/x?y=*.$"})
    assert topics.question("a.b*(c)+") == "/x?y=*.$"
    assert topics.question("aXb*(c)+") is None
    assert topics.question("a.bb(c)") is None


def test_names_of_places() -> None:
    """A name has letters of either size, digits and `_`, and begins with no digit."""
    topics = Topics({"event:{eventId}/{Part_2}": "/items/{eventId}?part={Part_2}"})
    assert topics.question("event:7/b") == "/items/7?part=b"


PIECES = st.sampled_from(
    [
        *("{id}", "{eventId}", "{_2}", "{a}", "{b}", "{1}", "{a-b}", "{", "}"),
        *":/-_x",
        "é",
        "\n",
        "#",
    ]
)
TEXTS = st.lists(PIECES, max_size=6).map("".join) | st.text()


@given(TEXTS, TEXTS.map("/{}".format) | TEXTS)
@example("event:{eventId}", "/items/{eventId}")
@example("event:{a}-{b}", "/items/{a}")
@example("event:\x01", "/items")
def test_what_passes_the_check_can_be_served(pattern: str, question: str) -> None:
    """The grammar that is checked before a start is the one that is compiled at it, in both ways."""
    try:
        topics = Topics({pattern: question})
    except ValueError:
        assert flaw(pattern, question) is not None
    else:
        assert flaw(pattern, question) is None
        assert topics.question("\x00") is None


def test_several_places() -> None:
    """Values go where they are named, as often as they are named, or nowhere."""
    topics = Topics({"{kind}:{some_id}/{_}": "/items/{kind}/{some_id}?again={kind}"})
    assert topics.question("doc:7/x") == "/items/doc/7?again=doc"


def test_first_match_counts() -> None:
    """Patterns are tried in their order."""
    topics = Topics({"event:all": "/first", "event:{id}": "/second/{id}", "{any}:all": "/third"})
    assert topics.question("event:all") == "/first"
    assert topics.question("event:x") == "/second/x"
    assert topics.question("other:all") == "/third"
    assert topics.question("other:x") is None


def test_without_patterns_there_are_no_questions() -> None:
    """No topic is known."""
    assert Topics({}).question("event:1") is None


@pytest.mark.parametrize(
    ("pattern", "question", "why"),
    [
        ("event:{id}", "/items/{ident}", "{ident}, which the pattern does not have"),
        ("event", "/items/{id}", "{id}, which the pattern does not have"),
        ("event:{id", "/items", "brace"),
        ("event:id}", "/items", "brace"),
        ("event:{{id}}", "/items", "brace"),
        ("event:{}", "/items", "brace"),
        ("event:{1d}", "/items", "brace"),
        ("event:{i-d}", "/items", "brace"),
        ("event:{id}", "/items/{id", "brace"),
        ("event:{id}", "/items/id}", "brace"),
        ("event:{id}:{id}", "/items/{id}", "twice"),
        ("{a}{b}", "/items/{a}", "two placeholders"),
        ("{a}-{b}", "/items/{a}", "two placeholders"),
        ("{a}:{b}_x_{c}", "/items/{a}", "two placeholders"),
        ("", "/items", "empty"),
        ("event", "", "begin with a single /"),
        ("event", "items", "begin with a single /"),
        ("event", "https://elsewhere.example/", "begin with a single /"),
        ("event", "@elsewhere.example/", "begin with a single /"),
        ("event", "//elsewhere.example/", "begin with a single /"),
        ("event:{id}", "{id}/items", "begin with a single /"),
        ("event", "/items#part", "#"),
        ("event", "/\\elsewhere.example", "backslash"),
        ("event", "/items\r\nX: y", "control"),
        ("event", "/items\x7f", "control"),
        ("event", "/items\ud800", "control"),
    ],
)
def test_bad_patterns_are_named(pattern: str, question: str, why: str) -> None:
    """What cannot be used is refused when it is configured, and the text says what and why."""
    with pytest.raises(ValueError, match="topic pattern") as caught:
        Topics({"fine": "/fine", pattern: question})
    assert repr(pattern) in str(caught.value)
    assert why in str(caught.value)


def test_long_names_of_many_places() -> None:
    """A pattern of many places gives up on a name made to have it try every way."""
    places = [f"{{{'a' * n}}}" for n in range(1, 21)]
    topics = Topics({"-:-".join(places) + "!": "/x"})
    assert topics.question("-:-".join(["-" * 60] * 20)) is None
