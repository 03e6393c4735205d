import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.settings.checks.topics import flaw, is_ambiguous


@pytest.mark.parametrize(
    ("pattern", "question"),
    [
        ("event:{id}", "/items/events/{id}?fields=id"),
        ("news", "/items/news"),
        ("all", "/"),
        ("doc:{space}/{doc_1}", "/items/{doc_1}?filter[space]={space}&again={doc_1}"),
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
        ("{id}:{id}", "the pattern has {id} twice"),
        ("event:{id", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:id}", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:{}", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:{{id}}", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:{i d}", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:{id:\\d+}", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:{1}", "the pattern has a brace outside of placeholders such as {id}"),
        ("event:{ä}", "the pattern has a brace outside of placeholders such as {id}"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_told_why(pattern: str, why: str) -> None:
    """Placeholders are whole, and have names of their own."""
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
    assert is_ambiguous(pattern) in {True, False}


@pytest.mark.parametrize(
    ("pattern", "ambiguous"),
    [
        ("{a}{b}", True),
        ("doc:{a}-{b}", True),
        ("doc:{a}_x_{b}", True),
        ("{a}:{b}{c}", True),
        ("doc:{a}:{b}", False),
        ("doc:{a}-/-{b}", False),
        ("doc-{a}-x", False),
        ("doc", False),
    ],
)
def test_a_pattern_that_splits_in_two_ways_is_recognised(pattern: str, ambiguous: bool) -> None:
    """A sign that may stand inside a placeholder parts nothing."""
    assert is_ambiguous(pattern) is ambiguous
