"""Shared facts, written once over the key-value port of whichever engine there is."""

from portward.engines.port import Engine
from portward.model.clock import Clock
from portward.node.stores.approvals import APPROVAL_KEPT, MAX_PENDING, Approvals
from portward.node.stores.directory import Directory, UserRights
from portward.node.stores.nodes import Nodes
from portward.node.stores.revocations import Revocations, RevocationsFull
from portward.node.stores.sessions import SessionRecord, Sessions
from portward.node.stores.user_state import SHARED_KEYS, UserState

__all__ = [
    "APPROVAL_KEPT",
    "MAX_PENDING",
    "SHARED_KEYS",
    "Approvals",
    "Directory",
    "Nodes",
    "Revocations",
    "RevocationsFull",
    "SessionRecord",
    "Sessions",
    "Stores",
    "UserRights",
    "UserState",
]


class Stores:
    """The stores of a node, over its engine."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        kv, exclusive = engine.kv, engine.exclusive
        self.approvals = Approvals(kv, clock)
        self.directory = Directory(kv, cached=exclusive)
        self.nodes = Nodes(kv)
        self.revocations = Revocations(kv, clock, exclusive=exclusive)
        self.sessions = Sessions(kv)
        self.user_state = UserState(kv)

    async def start(self) -> None:
        """Read what is kept in memory; the engine has started."""
        await self.revocations.load()
