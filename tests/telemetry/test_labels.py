from portward.model import commands, replies
from portward.model.handshake_errors import HandshakeRejection
from portward.protocols.registry import PROTOCOLS
from portward.telemetry import labels


def test_a_value_outside_the_set_is_other() -> None:
    """What a client makes up has no name of its own."""
    kinds = labels.label("type", ["publish"])
    assert kinds.known("publish") == "publish"
    assert kinds.known("Robert'); DROP TABLE") == "other"


def test_a_label_lists_each_value_once_and_other_last() -> None:
    """A configured name that is `other` already makes no second series."""
    assert labels.label("endpoint", ["a", "other", "a"]).values == ("a", "other")


def test_types_are_class_names_in_snake_case() -> None:
    """A command or push is counted under its own name."""
    assert labels.type_name(commands.ReadHistory) == "read_history"
    assert labels.type_name(replies.Delivery) == "delivery"


def test_every_command_reply_and_push_has_a_label() -> None:
    """The sets follow the classes of the model and of the protocols."""
    assert PROTOCOLS  # its import defines the messages of all protocols
    assert {"authenticate", "publish", "echo"} <= set(labels.received().values)
    assert {"published", "delivery", "welcome", "fault"} <= set(labels.sent().values)
    assert "command" not in labels.received().values
    assert not {"reply", "push"} & set(labels.sent().values)


def test_every_refusal_has_a_reason_of_its_own() -> None:
    """No two rows of the outcome table share a label."""
    assert len(labels.REASONS.values) == len(HandshakeRejection) + 1


def test_every_outcome_at_the_identity_provider_has_its_label() -> None:
    """The six outcomes are told apart, and nothing else is."""
    outcomes = ("ok", "no_cookie", "unauthorized", "malformed", "error", "timeout")
    assert labels.PROVIDER_RESULTS.values == (*outcomes, "other")
