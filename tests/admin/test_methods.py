from portward.admin.methods import all_methods
from portward.protocols.registry import PROTOCOLS
from portward.settings.keys import Scope

METHODS = all_methods(PROTOCOLS)


def test_the_methods_are_these() -> None:
    """The table holds the methods that are promised, and no others."""
    assert set(METHODS) == {
        *("publish", "broadcast", "history", "presence", "presence_stats", "channels", "verify"),
        *("info", "connections", "security_events", "disconnect", "unsubscribe", "revoke"),
        *("ticket", "roles_set", "roles_get", "permissions_set", "permissions_get"),
        *("membership_set", "rooms_set", "rooms_get", "rooms_list", "rooms_remove", "batch"),
        *("alert", "analysis", "approval_request", "approval_get"),
    }


def test_reading_changes_nothing() -> None:
    """An act needs the scope `manage`; what can be read or published with less is none."""
    assert {method.scope for method in METHODS.values() if method.act} == {Scope.MANAGE}


def test_unknown_fields_are_refused_everywhere() -> None:
    """Every request type forbids fields it does not know."""
    for method in METHODS.values():
        assert method.request.__struct_config__.forbid_unknown_fields


def test_every_method_says_what_it_is_for() -> None:
    """A summary is one short sentence without a full stop."""
    for method in METHODS.values():
        assert 5 < len(method.summary) < 80
        assert not method.summary.endswith(".")
