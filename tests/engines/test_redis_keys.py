"""Names in the store: made by encoding, apart from each other, and together where they must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from portward.engines.port import Key
from portward.engines.redis.keys import Keys, encoded
from portward.model.channel import Channel

KEYS = Keys("portward:", "")
_FORBIDDEN = '*?[]{}\\"'
_names = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=_FORBIDDEN),
    min_size=1,
    max_size=60,
)
_channels = st.builds(lambda a, b: Channel.parse(f"{a.replace(':', '.')}:{b}"), _names, _names)


@given(_channels, _channels)
def test_channels_have_their_own_keys(one: Channel, other: Channel) -> None:
    """Keys of two channels are equal only if the channels are; a stream's key tells its channel."""
    assert (KEYS.stream(one) == KEYS.stream(other)) is (one == other)
    assert (KEYS.room(one) == KEYS.room(other)) is (one == other)
    assert KEYS.channel(KEYS.stream(one).meta) == one


@given(_channels, st.text(max_size=20))
def test_keys_of_a_channel_are_together(channel: Channel, key: str) -> None:
    """A cluster keeps what one script touches in one slot, and the canary beside the announcements."""
    said = KEYS.pubsub_channel(channel)
    together = (
        *KEYS.stream(channel),
        *KEYS.presence(channel),
        said,
        KEYS.idempotency(channel, key),
    )
    assert len({key_slot(name.encode()) for name in (*together, KEYS.probe(said, "n1"))}) == 1
    assert len(set(together)) == len(together)


@given(st.text())
def test_whatever_is_encoded_is_harmless(text: str) -> None:
    """No brace, wildcard, space or control character comes through, and nothing is lost."""
    name = encoded(text)
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set(_FORBIDDEN + " ")


def test_surrogates_are_encoded() -> None:
    """Text that UTF-8 cannot write has a name all the same."""
    assert encoded("\ud800") == "%ED%A0%80"


def test_owners_and_channels_do_not_meet() -> None:
    """What somebody shares is never in a channel's keys, whatever both are called."""
    channel = Channel.parse("shared:ann")
    names = {*KEYS.stream(channel), *KEYS.presence(channel)}
    shared = {KEYS.entry(Key(name, "shared:ann")) for name in (":values", ":turns")}
    assert shared == {"portward:{shared:ann}:values", "portward:{shared:ann}:turns"}
    assert not names & shared


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (Key("ws_session:a b"), "portward:ws_session:a%20b"),
        (Key(":a}{", "approvals"), "portward:{approvals}:a%7D%7B"),
        (Key("-waiting:rooms:a", "approvals"), "portward:{approvals}-waiting:rooms:a"),
        (Key(":jti:x", "revoked"), "portward:{revoked}:jti:x"),
        (Key(":values", "shared:{a}"), "portward:{shared:%7Ba%7D}:values"),
        (Key("audit:a.jsonl:n"), "portward:audit:a.jsonl:n"),
    ],
)
def test_entries_have_the_names_of_the_version_before(key: Key, name: str) -> None:
    """Nodes of two versions on one store find the same entries; names from outside are encoded."""
    assert KEYS.entry(key) == name


def test_rooms_have_the_names_others_know() -> None:
    """A room is found by its id; rooms of other namespaces cannot be taken for it."""
    assert KEYS.room(Channel.parse("rooms:general")) == "portward:room:general"
    assert KEYS.room(Channel.parse("x:y")) == "portward:room:x:y"
    assert KEYS.room(Channel.parse("rooms:x:y")) == "portward:room:x%3Ay"


def test_shared_keys_have_no_prefix() -> None:
    """Names that other applications write are literal, behind a prefix of their own."""
    roles = Key("user_roles:ann b", external=True)
    assert KEYS.entry(roles) == "user_roles:ann b"
    assert Keys("p:", "app:").entry(roles) == "app:user_roles:ann b"


def test_databases_are_told_apart() -> None:
    """Servers announce over all databases; names say which one is meant."""
    channel = Channel.parse("rooms:general")
    assert Keys("portward:", "", 3).bus == "portward:db3:bus"
    assert Keys("portward:", "", 3).pubsub_channel(channel) != KEYS.pubsub_channel(channel)


@pytest.mark.parametrize("prefix", ["a b", "{x}", "p*", "\u00e9", "p\n"])
def test_prefixes_are_checked(prefix: str) -> None:
    """A prefix that could be taken for something else is refused by name."""
    with pytest.raises(ValueError, match="redis prefix"):
        Keys(prefix, "")
    with pytest.raises(ValueError, match="redis shared_prefix"):
        Keys("", prefix)


@pytest.mark.parametrize("meta", ["portward:{nonsense}:meta", "portward:x", "other:{a:b}:meta"])
def test_other_keys_are_no_streams(meta: str) -> None:
    """What is not written the way streams are is none."""
    assert KEYS.channel(meta) is None
