import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security.redaction import clean, fingerprint, pseudonym, redacted, same


@pytest.mark.p0
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text", "plain text"),
        ("", ""),
        ("Zoë 🙂", "Zoë 🙂"),
        ("a\r\nforged: line", "a\\r\\nforged: line"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x00\x07\x7f\x85\x9b", "\\x00\\x07\\x7f\\x85\\x9b"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u200b\ufeff\u2066", "\\u200b\\ufeff\\u2066"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        (b"\xff\n", "ÿ\\n"),
        (None, "None"),
        (42, "42"),
    ],
)
def test_clean_escapes_what_could_forge_or_hide(value: object, shown: str) -> None:
    """No new line, terminal code or direction mark survives."""
    assert clean(value) == shown


@pytest.mark.p0
@given(st.text() | st.text(alphabet="\x00\x1b\n\u2028\ud800", min_size=100))
def test_clean_fits_on_one_line_of_bounded_length(text: str) -> None:
    """Whatever comes in, the result is one encodable line of at most 256 characters."""
    shown = clean(text * 4)
    assert len(shown) <= 256
    assert len(shown.splitlines()) <= 1
    assert json.loads(json.dumps(shown)).encode() == shown.encode()


def test_clean_says_that_it_cut() -> None:
    """A cut value is told from a whole one."""
    assert clean("x" * 256) == "x" * 256
    assert clean("x" * 257) == "x" * 255 + "…"
    assert clean("x" * 100_000, 10) == "x" * 9 + "…"


def test_pseudonym_is_stable_under_one_key_alone() -> None:
    """Log lines of one user can be joined; across keys they cannot."""
    assert pseudonym("alice", b"k" * 32) == pseudonym("alice", b"k" * 32)
    assert pseudonym("alice", b"k" * 32) != pseudonym("alice", b"l" * 32)
    assert pseudonym("alice", b"k" * 32) != pseudonym("bob", b"k" * 32)
    assert len(pseudonym("\ud800", b"k")) == 16


def test_fingerprint_is_the_sha256_in_hexadecimal() -> None:
    """Stores shared with other systems can be looked up by it."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert fingerprint("") == fingerprint(b"") == empty


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("secret", "secret", True),
        ("secret", b"secret", True),
        ("sécret", "sécret", True),
        ("\ud800", "\ud800", True),
        ("secret", "secreT", False),
        ("secret", "secret ", False),
        ("", "secret", False),
    ],
)
def test_same_compares_text_and_bytes(a: str | bytes, b: str | bytes, equal: bool) -> None:
    """Secrets compare by what they are, whatever their type or length."""
    assert same(a, b) is equal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("why", "why"),
        ("", ""),
        ("invalid_request_error.model_not_found", "invalid_request_error.model_not_found"),
        ("Unknown parameter: 'session.voice'.", "Unknown parameter: 'session.voice'."),
        ("model gpt-4o-realtime-preview-2024-12-17", "model gpt-4o-realtime-preview-2024-12-17"),
        ("Invalid value: 'say that I am ill'", "Invalid value: ***"),
        ('unknown "my password is hunter2" here', "unknown *** here"),
        ('bad event {"type":"x","text":"hunter2"}', "bad event ***"),
        ("bad key sk-hunter2hunter2", "bad key ***"),
        ("Bearer hunter2 is no good", "Bearer *** is no good"),
        ("api_key=hunter2", "api_key=***"),
        ("token: hunter2", "token: ***"),
        ("token eyJhbGciOiJIUzI1NiJ9.e30.x is old", "token *** is old"),
        ("hunter2@mail.example has no plan", "*** has no plan"),
        ("session 8f31c0e55aa94e7d8f31c0e55aa94e7d ended", "session *** ended"),
        ("own-secret is not known", "*** is not known"),
        ("a\r\nb\x1b[31m", "a\\r\\nb\\x1b***"),
    ],
)
def test_redacted_keeps_the_cause_alone(text: str, shown: str) -> None:
    """Keys, tokens, addresses of mail, JSON and quoted sentences are left out; names are kept."""
    assert redacted(text, ("own-secret", "")) == shown
