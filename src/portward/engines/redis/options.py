"""Address, credentials and time limits of the store."""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from portward.engines.port import LEASE


class RedisKind(StrEnum):
    """How the servers are deployed."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(NamedTuple):
    """One server."""

    host: str
    port: int


class RedisTls(msgspec.Struct, frozen=True, kw_only=True):
    """How servers are verified, and the client's certificate. Without `ca` the system's list is used."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class RedisOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect. `addresses` are Sentinels when they name the primary of `service`."""

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
    """Times in seconds. Other values than these are mainly for tests."""

    connect: float = 2.0
    command: float = 2.0
    """From sending a command to the answer; the connection is dropped after it."""
    probe: float = 1.0
    """Between two checks whether the store answers."""
    pubsub_probe: float = 3.0
    """Between two probes on a Pub/Sub connection."""
    silence: float = 10.0
    """Without receiving anything: after it a connection is treated as lost."""
    policy: float = 60.0
    """Between two checks of the servers' memory policy."""
    pause: float = 2.0
    """Longest pause before connecting again."""
    linger: float = 5.0
    """Between a channel's last subscriber and the end of its subscription."""
    echo: float = 0.5
    """How long a publisher waits to receive its own publication."""
    metadata_renewal: float = 60.0
    """Between two renewals of the metadata of subscribed channels."""
    lease: float = LEASE
