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
        ("javajavascript:script:x", "javajavascript:script:x"),
        ("java<script:x", "x"),
        ("jav<javascript:>ascript:x", "javjavascript:ascript:x"),
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
        ("dadata:ta:x", "dadata:ta:x"),
        ("vbscript:msgbox(1)", "msgbox(1)"),
        ("VBSCRIPT\n:x", "x"),
        ("vbjavascript:script:x", "vbjavascript:script:x"),
        ("javadata:script:vbscript:x", "javadata:script:x"),
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
        ("metadata: none", "metadata: none"),
        ("Big-Data: 3 TB, x.data:y, a+data:, 2data:", "Big-Data: 3 TB, x.data:y, a+data:, 2data:"),
        ("see data:text/html,x", "see text/html,x"),
        ("(data:x) [a](javascript:y) 'vbscript:z' /data:q", "(x) [a](y) 'z' /q"),
        ("_data:x =data:x ,data:x \u00e9data:x", "_x =x ,x \u00e9x"),
        ("meta\tdata:x", "meta\tx"),
        ("java\tjavascript:script:x", "x"),
        (":javascript:data:x", ":x"),
        ("&#97;javascript:x", "ax"),
        ("&#32javascript:x", "&#32x"),
        ("&#32data:x", "&#32x"),
        ("&#x20javascript:x", "&#x20x"),
        ("&#x20data:x", "&#x20data:x"),
        ("&#160javascript:x &#00000data:x", "&#160x &#00000x"),
        ("&#99999data:x", "&#99999x"),
        ("&#120data:x", "&#120data:x"),
        ("&nbspdata:x &gtjavascript:x", "&nbspx &gtx"),
        ("javascript:javascript&#x&#x61:x", "x"),
        ("&nbspmetadata:x", "&nbspmetadata:x"),
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
NAME = "[A-Za-z0-9+.-]"


def scheme_of(address: str) -> str:
    """The scheme of an address as the URL standard reads it: the parser's first steps, and no more."""
    address = re.sub("[\t\n\r]", "", address.lstrip("".join(map(chr, range(33)))))
    match = re.match(f"([A-Za-z]{NAME}*):", address)
    return match[1].lower() if match else ""


def schemes(text: str) -> set[str]:
    """The schemes of all addresses that may begin in a text, as it is and as an attribute of HTML.

    One may begin where the text does, and after whatever is no part of the name of a scheme.
    """
    starts = re.compile(f"(?<!{NAME})")
    return {
        scheme_of(read[match.start() :])
        for read in (text, unescape(text))
        for match in starts.finditer(read)
    }


@given(PIECES)
def test_a_browser_finds_no_scheme(pieces: list[str]) -> None:
    """Whatever is written: what is left has no scheme that runs, and nothing more to remove."""
    stripped = strip_markup("".join(pieces))
    assert schemes(stripped).isdisjoint(SCHEMES)
    assert "<" not in stripped
    assert ">" not in stripped
    assert strip_markup(stripped) == stripped


@given(PIECES)
def test_what_is_harmless_stays(pieces: list[str]) -> None:
    """A text in which a browser finds neither markup nor a scheme is left alone."""
    text = "".join(pieces).replace("<", "").replace(">", "")
    # A semicolon may end a reference and stand before an address at once, and references that references
    # make are read, too, though no browser does that: with any, a scheme in the middle of a name may go.
    read = re.sub("[\t\n\r]", "", unescape(unescape(text))).lower()
    in_a_name = "&" in text and any(f"{scheme}:" in read for scheme in SCHEMES)
    if not in_a_name and schemes(text).isdisjoint(SCHEMES):
        assert strip_markup(text) == text


@given(st.text(alphabet="abdjmxz09+-._ :,", max_size=6), st.sampled_from(SCHEMES), st.data())
def test_a_scheme_begins_where_no_name_goes_on(
    before: str, scheme: str, data: st.DataObject
) -> None:
    """However its letters are written, a scheme goes after anything but a part of a name, and stays there."""
    written = "".join(
        data.draw(st.sampled_from([letter, f"{letter.upper()}\t", f"{letter}\r\n"]))
        for letter in f"{scheme}:"
    )
    text = f"{before}{written}x"
    goes = not re.search(f"{NAME}$", before)
    assert strip_markup(text) == (f"{before}{written.partition(':')[2]}x" if goes else text)


@pytest.mark.parametrize(
    "text",
    [
        "javascript" * 30_000 + ":" * 30_000,
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
    assert all(scheme_of(read) not in SCHEMES for read in (stripped, unescape(stripped)))
