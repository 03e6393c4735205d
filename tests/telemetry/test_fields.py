import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.limits import LimitName
from portward.model.request import RequestHead
from portward.security.redaction import pseudonym
from portward.telemetry.fields import FIELDS, Sanitizer

tidy = Sanitizer()
FORBIDDEN = (
    *("token", "cookie", "body", "data", "secret", "password", "authorization", "query"),
    *("headers", "message", "payload", "key", "api_key", "session", "session_token", "ticket"),
)
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


@pytest.mark.p0
@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_field_can_carry_a_secret(name: str) -> None:
    """A field that could hold a credential or a message is left out, and its value with it."""
    assert name not in FIELDS
    assert tidy({name: "canary", "client": "c1"}) == {"client": "c1", "unlisted": 1}


@pytest.mark.p0
def test_a_token_in_another_field_is_cut_out() -> None:
    """A token somebody put into a path or an origin is not shown."""
    assert tidy({"path": f"/rooms/{TOKEN}/x"}) == {"path": "/rooms/[token]/x"}
    assert tidy({"roles": [TOKEN]}) == {"roles": ["[token]"]}


@pytest.mark.p0
def test_a_token_cut_by_the_limit_is_cut_out_as_well() -> None:
    """No beginning of a token is left at the end of a long value."""
    assert "eyJ" not in str(tidy({"path": "/" * 200 + TOKEN * 3})["path"])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.168.1.7", "192.168.1.xxx"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("192.168.1.xxx", "192.168.1.xxx"),
        ("2001:db8:1::/48", "2001:db8:1::/48"),
        ("unknown", "unknown"),
        ("not an address", "unknown"),
        ("1.2.3.4\r\nforged", "unknown"),
        (7, "unknown"),
    ],
)
def test_addresses_are_masked_once(address: object, shown: str) -> None:
    """Whole addresses are masked, masked ones stay, anything else is unknown."""
    assert tidy({"address": address}) == {"address": shown}


def test_people_are_hashed_with_a_key() -> None:
    """With a key, `user` and `actor` are stand-ins; without, they are cleaned like the rest."""
    hashed = Sanitizer(b"key")({"user": "alice", "actor": "bob", "client": "c1"})
    assert hashed == {
        "user": pseudonym("alice", b"key"),
        "actor": pseudonym("bob", b"key"),
        "client": "c1",
    }
    assert tidy({"user": "ali\nce"}) == {"user": "ali\\nce"}


def test_a_person_that_is_no_text_is_named_by_type() -> None:
    """An object in place of a user id is not printed."""
    assert tidy({"user": object()}) == {"user": "<object>"}


def test_members_of_enumerations_show_their_names() -> None:
    """A string enumeration shows its value, another one its name in lower case."""
    assert tidy({"limit": LimitName.MESSAGES, "ending": Disconnect.NO_PONG}) == {
        "limit": "messages",
        "ending": "no_pong",
    }


def test_plain_values_stay_as_they_are() -> None:
    """Numbers, booleans and channel names need nothing; None is left out."""
    given_fields = {"count": 3, "seconds": 0.5, "mode": True, "channel": Channel.parse("rooms:a")}
    assert tidy({**given_fields, "detail": None}) == given_fields


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (10**5000, "<int>"),
        (-(2**63), "<int>"),
        (2**63 - 1, 2**63 - 1),
    ],
    ids=["nan", "infinite", "digits", "below", "largest"],
)
def test_numbers_json_cannot_carry_become_text(value: object, shown: object) -> None:
    """A line stays JSON, and of bounded length."""
    assert tidy({"count": value}) == {"count": shown}


def test_objects_show_their_type_alone() -> None:
    """A `repr` may say too much."""
    head = RequestHead(method="GET", path="/", query="token=canary")
    assert tidy({"detail": head}) == {"detail": "<RequestHead>"}


def test_lists_are_short_and_sets_are_sorted() -> None:
    """At most sixteen members are shown."""
    assert tidy({"roles": {"b", "a"}}) == {"roles": ["a", "b"]}
    assert tidy({"changed": ("x", "a")}) == {"changed": ["x", "a"]}
    assert len(tidy({"roles": [str(n) for n in range(99)]})["roles"]) == 16  # type: ignore[arg-type]


@pytest.mark.p0
@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS - {"address"})), st.text(max_size=600)))
def test_whatever_comes_is_one_short_printable_line(fields: dict[str, str]) -> None:
    """Every value is at most 256 characters and holds no character that ends or changes a line."""
    for value in tidy(fields).values():
        assert isinstance(value, str)
        assert len(value) <= 256
        assert len(value.splitlines()) <= 1
        assert "\x1b" not in value
        json.dumps(value).encode()
