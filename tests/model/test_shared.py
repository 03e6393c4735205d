"""Values that the connections of a user share."""

from portward.model.shared import SharedValue


def test_unset() -> None:
    """A value that was never set has version 0."""
    assert SharedValue() == SharedValue(0, None)
