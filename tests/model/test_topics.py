import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portward.model.topics import LONGEST, VALUE, flaw, parts

BRACE = "the pattern has a brace outside of placeholders such as {id}"
TWO = "the pattern has two placeholders that no sign such as : or / parts"


@pytest.mark.parametrize(
    ("pattern", "question"),
    [
        ("event:{id}", "/items/events/{id}?fields=id"),
        ("event:{eventId}", "/items/events/{eventId}?fields=id"),
        ("news", "/items/news"),
        ("all", "/"),
        ("doc:{Space}/{doc_1}", "/items/{doc_1}?filter[space]={Space}&again={doc_1}"),
        ("doc:{a}-/-{b}", "/items/{a}/{b}"),
        ("doc-{_}-x", "/items/{_}"),
        ("event:{id}:comments", "/items/events/{id}"),
        ("free:{id}", "/users/me"),
        ("größe:{id}", "/items/größe/{id}"),
    ],
)
def test_topics_that_make_sense_pass(pattern: str, question: str) -> None:
    """The question may use each placeholder as often as it likes, or not at all."""
    assert flaw(pattern, question) is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "the pattern is empty"),
        ("a\nb", "the pattern has a control character"),
        ("a\x7f", "the pattern has a control character"),
        ("a\u2028b", "the pattern has a control character"),
        ("a\ud800", "the pattern has a control character"),
        ("{id}:{id}", "the pattern has {id} twice"),
        ("{a}{b}", TWO),
        ("doc:{a}-{b}", TWO),
        ("doc:{a}_x_{b}", TWO),
        ("{a}:{b}{c}", TWO),
        ("event:{id", BRACE),
        ("event:id}", BRACE),
        ("event:{}", BRACE),
        ("event:{{id}}", BRACE),
        ("event:{i d}", BRACE),
        ("event:{id:\\d+}", BRACE),
        ("event:{1}", BRACE),
        ("event:{ä}", BRACE),
    ],
)
def test_a_pattern_that_makes_no_sense_is_told_why(pattern: str, why: str) -> None:
    """Placeholders are whole, have names of their own, and end where no value could go on."""
    assert flaw(pattern, "/items") == why


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("", "its question does not begin with a single /"),
        ("items/{id}", "its question does not begin with a single /"),
        ("//evil.example/{id}", "its question does not begin with a single /"),
        ("https://evil.example/{id}", "its question does not begin with a single /"),
        ("{id}", "its question does not begin with a single /"),
        ("/\\evil.example/{id}", "its question has a backslash or a control character"),
        ("/items/{id}\r\nCookie: a", "its question has a backslash or a control character"),
        ("/items\x00", "its question has a backslash or a control character"),
        ("/items/{id}#top", "its question has a #"),
        ("/items/{id", "its question has a brace outside of placeholders such as {id}"),
        ("/items/{id}}", "its question has a brace outside of placeholders such as {id}"),
        ("/items/{}", "its question has a brace outside of placeholders such as {id}"),
        ("/items/{other}", "its question has {other}, which the pattern does not have"),
        ("/items/{ID}", "its question has {ID}, which the pattern does not have"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_why(question: str, why: str) -> None:
    """It is a path of the provider, and asks for nothing the topic does not say."""
    assert flaw("event:{id}", question) == why


@given(st.text(), st.text())
def test_any_pair_of_texts_is_judged(pattern: str, question: str) -> None:
    """No text makes the judge stumble, and what passes begins with one slash."""
    if flaw(pattern, question) is None:
        assert question.startswith("/")
        assert not question.startswith("//")


@given(st.text("{}ab:-"))
@example("{a}{b}")
def test_parts_make_the_whole(text: str) -> None:
    """What stands for itself and the names between are all there is of a text."""
    literals, names = parts(text)
    assert len(literals) == len(names) + 1
    places = [f"{{{name}}}" for name in names]
    assert "".join(map("".join, zip(literals, [*places, ""], strict=True))) == text


def test_values() -> None:
    """Letters, digits, `_` and `-`, 64 of them at most."""
    assert [chr(n) for n in range(0x300) if re.fullmatch(VALUE, chr(n))] == sorted(
        "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
    )
    assert LONGEST == 64
