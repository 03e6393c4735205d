"""Figures of a gateway process, for the other nodes."""

import msgspec


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one node. `uptime` is in seconds; `name` is the name of the machine."""

    uid: str
    clients: int
    users: int
    subscriptions: int
    channels: int
    uptime: float
    name: str = ""
    version: str = ""
