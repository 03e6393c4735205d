"""One running gateway process, as the others see it."""

import msgspec


class NodeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the house in numbers. `uptime` is in seconds; `name` is the machine's."""

    uid: str
    clients: int
    users: int
    subscriptions: int
    channels: int
    uptime: float
    name: str = ""
    version: str = ""
