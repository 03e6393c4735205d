import re
from typing import get_args

import pytest

from portward.model.namespace import Namespace
from portward.settings.endpoint import EndpointSettings
from portward.settings.limits import RateLimit
from portward.settings.reference import meaning
from portward.settings.schema import (
    Leaf,
    Named,
    Table,
    entries,
    example,
    keys,
    leaf_at,
    name_place,
    node_at,
)
from portward.settings.tree import Settings

ENTRIES = list(entries(example()))


def test_every_key_has_a_meaning() -> None:
    """A docstring stands below every field; a cell of a table has it as one line, without a full stop."""
    texts = {entry.key: meaning(entry.path) for entry in ENTRIES}
    wrong = {key: text for key, text in texts.items() if not re.fullmatch(r"(?!\n).+[^.]", text)}
    assert wrong == {}


@pytest.mark.parametrize(
    "name", [n for n, node in keys(Settings).items() if isinstance(node, Table)]
)
def test_every_table_has_a_meaning(name: str) -> None:
    """So do the tables at the top."""
    assert meaning((name,))


def test_what_the_environment_decides_says_how() -> None:
    """A key that may be unset has both defaults or words, or is a limit with a table above it."""
    for entry in ENTRIES:
        about = entry.leaf.about
        if entry.leaf.optional and "limits" not in entry.path and not about.unset:
            assert about.development is not None, entry.key
            assert about.production is not None, entry.key


def test_every_file_key_has_the_key_it_fills() -> None:
    """`x_file` stands beside `x`, and is a path."""
    files = [entry for entry in ENTRIES if entry.path[-1].endswith("_file")]
    assert {entry.key for entry in files} >= {"tokens.secrets_file", "admin.api_keys_file"}
    for entry in files:
        assert leaf_at((*entry.path[:-1], entry.path[-1].removesuffix("_file"))) is not None
        assert entry.leaf.plain is str


def test_kinds_of_keys_are_told_apart() -> None:
    """Values, tables and chosen names each have their node."""
    assert isinstance(node_at(("environment",)), Leaf)
    assert isinstance(node_at(("server",)), Table)
    assert isinstance(node_at(("endpoints",)), Named)
    endpoint = node_at(("endpoints", "any"))
    assert isinstance(endpoint, Table)
    assert endpoint.struct is EndpointSettings
    limit = node_at(("endpoints", "any", "limits", "auth"))
    assert isinstance(limit, Table)
    assert limit.struct is RateLimit
    roles = node_at(("roles", "any"))
    assert isinstance(roles, Leaf)
    assert roles.listed
    assert isinstance(node_at(("identity_provider", "topics")), Named)
    assert isinstance(node_at(("identity_provider", "topics", "any")), Leaf)


def test_names_of_tables_are_labels_and_others_are_free() -> None:
    """A role and a pattern are called as somebody else likes."""
    free = {
        path: node.free
        for path in (("roles",), ("identity_provider", "topics"), ("endpoints",), ("namespaces",))
        if isinstance(node := node_at(path), Named)
    }
    assert list(free.values()) == [True, True, False, False]


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("server.port", 0),
        ("environment", 0),
        ("endpoints", 0),
        ("roles.agent", 1),
        ("endpoints.x.path", 1),
        ("endpoints.x.limits.auth.rate", 1),
        ("identity_provider.topics.x", 2),
        ("upstream.pin.x", 2),
        ("identity_provider.url", 0),
        ("nothing.there", 0),
    ],
)
def test_the_chosen_part_of_a_key_is_found(key: str, place: int) -> None:
    """Names stand below tables of names, wherever those are."""
    assert name_place(tuple(key.split("."))) == place


@pytest.mark.parametrize(
    "path", [("x",), ("server",), ("server", "x"), ("server", "port", "x"), ("endpoints", "any")]
)
def test_what_holds_no_value_is_no_leaf(path: tuple[str, ...]) -> None:
    """Unknown keys, tables, and what would lie below a value."""
    assert leaf_at(path) is None


def test_the_name_of_a_namespace_is_no_key() -> None:
    """It is the part of the key before."""
    assert "name" not in keys(Namespace)


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("environment", "development, production"),
        ("server.forwarded_header", "x-forwarded-for, forwarded, x-real-ip"),
        ("endpoints.x.credentials", "header, query, ticket, cookie, message, subprotocol"),
        ("limits.auth.mode", "enforce, observe"),
        ("server.host", ""),
        ("server.allowed_hosts", ""),
    ],
)
def test_choices_are_known(key: str, choices: str) -> None:
    """Enumerations and literals say what there is to choose, in lists as well."""
    leaf = leaf_at(tuple(key.split(".")))
    assert leaf is not None
    assert leaf.choices == choices


def test_optional_keys_know_it() -> None:
    """`| None` is seen through annotations, and the plain type is what is left."""
    drain, port = leaf_at(("server", "drain_timeout")), leaf_at(("server", "port"))
    assert drain is not None
    assert port is not None
    assert (drain.optional, drain.plain) == (True, float)
    assert (port.optional, port.plain) == (False, int)


def test_the_walk_covers_every_struct() -> None:
    """Every field of every table of the tree is reached, once."""
    assert len({entry.key for entry in ENTRIES}) == len(ENTRIES)
    for name, node in keys(Settings).items():
        assert any(entry.path[0] == name for entry in ENTRIES), name
        if isinstance(node, Named) and isinstance(node.inner, Table):
            fields = set(keys(node.inner.struct))
            assert fields == {entry.path[2] for entry in ENTRIES if entry.path[0] == name}


def test_lists_are_tuples() -> None:
    """A frozen tree holds no list that could grow."""
    for entry in ENTRIES:
        if entry.leaf.listed:
            assert get_args(entry.leaf.plain)[1] is Ellipsis
            assert isinstance(entry.value, tuple)
