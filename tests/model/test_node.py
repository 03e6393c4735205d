"""Nodes, as others see them."""

import msgspec

from portward.model.node import NodeInfo


def test_round_trip() -> None:
    """What a node says of itself is read back as it was."""
    info = NodeInfo(uid="n", clients=1, users=1, subscriptions=2, channels=1, uptime=3.5)
    assert (info.name, info.version) == ("", "")
    assert msgspec.json.decode(msgspec.json.encode(info), type=NodeInfo) == info
