"""Where the store is, how to be let in, and how long to wait for it."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from portward.engines.port import LEASE


class RedisKind(StrEnum):
    """How the servers stand to each other."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(NamedTuple):
    """One server."""

    host: str
    port: int


class RedisTls(msgspec.Struct, frozen=True, kw_only=True):
    """How servers are verified, and what is shown to them. Without `ca` the system's own list is used."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class RedisOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect. `addresses` are Sentinels when it is they who know the primary of `service`."""

    kind: RedisKind = RedisKind.SINGLE
    addresses: tuple[Address, ...]
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    tls: RedisTls | None = None

    def __repr__(self) -> str:
        where = ",".join(f"{host}:{port}" for host, port in self.addresses)
        return f"RedisOptions({self.kind.value}, {where}, db={self.db})"


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. Changed by tests, and hardly by anyone else."""

    connect: float = 2.0
    command: float = 2.0
    """From asking to the answer; the connection is dropped after it."""
    probe: float = 1.0
    """Between two questions whether the store answers."""
    canary: float = 3.0
    """Between two announcements to oneself."""
    silence: float = 10.0
    """Without hearing anything: after it a connection is taken for dead."""
    policy: float = 60.0
    """Between two looks at what a server does when its memory is full."""
    pause: float = 2.0
    """Longest pause before connecting again."""
    linger: float = 5.0
    """Between a channel's last listener and the end of its subscription."""
    echo: float = 0.5
    """How long a publisher waits to hear what it published itself."""
    books: float = 60.0
    """Between two renewals of the books of channels that are listened to."""
    lease: float = LEASE
