"""What may stand in the text of a message: no markup, and nothing a browser reads as a scheme that runs."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security.content import SCHEMES, strip_markup


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
        ("java\tscript:x", "x"),
        ("java\nscript:x", "x"),
        ("java\r\nscript\t:x", "x"),
        ("j\ta\nv\ra\ts\nc\rr\ti\np\rt\t:x", "x"),
        ("\x01 javascript:x", "\x01 x"),
        ("java\x01script:x", "java\x01script:x"),
        ("java script:x", "java script:x"),
        ("data:text/html,x", "text/html,x"),
        ("DATA:text/html;base64,x", "text/html;base64,x"),
        ("da\tta:x", "x"),
        ("dadata:ta:x", "x"),
        ("vbscript:msgbox(1)", "msgbox(1)"),
        ("VBSCRIPT\n:x", "x"),
        ("vbjavascript:script:x", "x"),
        ("javadata:script:vbscript:x", "x"),
        ("&#106;avascript:x", "x"),
        ("&#0000106avascript:x", "x"),
        ("&#x6A;avascript:x", "x"),
        ("&#X6avascript:x", "&#X6avascript:x"),
        ("java&Tab;script&colon;x", "x"),
        ("java&NewLine;script&#58;x", "x"),
        ("java&#9;script&#x3a;x", "x"),
        ("data&#58", ""),
        ("&#1data:06;avascript:x", "x"),
        ("&co<lon;", "&colon;"),
        ("a &#106; b &amp; c &lt;b&gt; &#", "a &#106; b &amp; c &lt;b&gt; &#"),
        ("https://example.com/?a=1&b=2#c at 10:30", "https://example.com/?a=1&b=2#c at 10:30"),
        ("two\nlines:\tone", "two\nlines:\tone"),
    ],
)
def test_markup_is_removed_until_none_is_left(text: str, stripped: str) -> None:
    """Nesting does not help, nor does writing a scheme otherwise than it is read."""
    assert strip_markup(text) == stripped


PIECES = st.lists(
    st.sampled_from(
        [
            "java",
            "script",
            "javascript:",
            ":",
            "<",
            ">",
            "J",
            "a",
            "JAVAscript",
            "x",
            "\t",
            "\n",
            "\r",
            "da",
            "ta",
            "data:",
            "vb",
            "VBSCRIPT",
            "&",
            "#",
            ";",
            "&#",
            "&#x",
            "106",
            "6a",
            "3A",
            "58",
            "0",
            "&#106;",
            "&#x61",
            "&colon;",
            "&Tab;",
            "colon",
            "&amp;",
            " ",
            "é",
        ]
    )
)
SCHEME = re.compile("|".join(f"{scheme}:" for scheme in SCHEMES), re.IGNORECASE | re.ASCII)


def as_a_browser_reads(text: str) -> tuple[str, str]:
    """An address as a property takes it, and as an attribute of HTML does."""
    return re.sub("[\t\n\r]", "", text), re.sub("[\t\n\r]", "", unescape(text))


@given(PIECES)
def test_a_browser_finds_no_scheme(pieces: list[str]) -> None:
    """Whatever is written: what is left has no scheme that runs, and nothing more to remove."""
    text = "".join(pieces)
    stripped = strip_markup(text)
    assert not any(SCHEME.search(read) for read in as_a_browser_reads(stripped))
    assert "<" not in stripped
    assert ">" not in stripped
    assert strip_markup(stripped) == stripped


@given(PIECES)
def test_what_is_harmless_stays(pieces: list[str]) -> None:
    """A text in which a browser finds neither markup nor a scheme is left alone."""
    text = "".join(pieces).replace("<", "").replace(">", "")
    # References that references make are read, too, though no browser does that.
    if not any(SCHEME.search(read) for read in as_a_browser_reads(unescape(unescape(text)))):
        assert strip_markup(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "javascript" * 100_000 + ":" * 100_000,
        "&#" + "0" * 30_000 + "javascript:" * 3000 + "106;avascript:",
        "\t" * 30_000 + "javascript:" * 3000,
        "&#1" * 5000 + "data:" + "06;avascript:" * 5000,
        "j\t" * 30_000 + ":" * 30_000,
        "&#x" * 30_000 + "6a" * 30_000,
    ],
    ids=["nested", "zeros", "tabs", "references", "letters", "digits"],
)
def test_deep_nesting_ends(text: str) -> None:
    """A text made to be removed from the inside out is read once: the time of the test suffices."""
    stripped = strip_markup(text)
    assert not any(SCHEME.search(read) for read in as_a_browser_reads(stripped))
