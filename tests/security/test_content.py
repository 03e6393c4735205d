import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security.content import strip_markup


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("hello", "hello"),
        ("1 < 2 > 0", "1  2  0"),
        ("<script>alert(1)</script>", "scriptalert(1)/script"),
        ("javascript:alert(1)", "alert(1)"),
        ("JaVaScRiPt:x", "x"),
        ("javajavascript:script:x", "x"),
        ("java<script:x", "x"),
        ("jav<javascript:>ascript:x", "x"),
        ("javascript:javascript:x:y", "x:y"),
        ("javascript", "javascript"),
        ("java\u017fcript:", "java\u017fcript:"),
        ("\u0130javascript:", "\u0130"),
        ("a:b:c", "a:b:c"),
        ("", ""),
    ],
)
def test_markup_is_removed_until_none_is_left(text: str, stripped: str) -> None:
    """Nesting does not help."""
    assert strip_markup(text) == stripped


PIECES = st.lists(
    st.sampled_from(["java", "script", "javascript:", ":", "<", ">", "J", "a", "JAVAscript", "x"])
)


def removed_again_and_again(text: str) -> str:
    """The rule as it is told: repeated removal, however long that takes."""
    text = text.replace("<", "").replace(">", "")
    while (at := text.lower().find("javascript:")) >= 0:
        text = text[:at] + text[at + len("javascript:") :]
    return text


@given(PIECES)
def test_one_pass_does_what_repeated_removal_does(pieces: list[str]) -> None:
    """The quick way and the plain way agree."""
    text = "".join(pieces)
    assert strip_markup(text) == removed_again_and_again(text)


def test_deep_nesting_costs_one_pass() -> None:
    """A text made to be removed from the inside out ends long before the test's time is up."""
    depth = 100_000
    assert strip_markup("javascript" * depth + ":" * depth) == ""
