"""Parser of the address of a store, as it is written in the settings.

    redis://user:password@host:6379/0
    redis+sentinel://user:password@host:26379,host:26379/service/0
    redis+cluster://user:password@host:7000,host:7000

`rediss` is for TLS, and may have `?ssl_ca_certs=…&ssl_certfile=…&ssl_keyfile=…`. User and password are
the servers' own; those of Sentinels are `?sentinel_username=…&sentinel_password=…`. Characters other than
letters, digits and `-._~` are percent-encoded.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote

from portward.engines.redis.options import Address, RedisKind, RedisOptions, RedisTls

_PORTS: Final = {RedisKind.SINGLE: 6379, RedisKind.SENTINEL: 26379, RedisKind.CLUSTER: 6379}
_TLS_WORDS: Final = {"ssl_ca_certs": "ca", "ssl_certfile": "certificate", "ssl_keyfile": "key"}
_SENTINEL_WORDS: Final = ("sentinel_username", "sentinel_password")
_HIGHEST_PORT: Final = 65535


def parse_url(url: str) -> RedisOptions:
    """Parse an address.

    Raises:
        ValueError: it is invalid; the text names the part, and contains neither user nor password.
    """
    scheme, separator, rest = url.partition("://")
    kind, secure = _scheme(scheme if separator else "")
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    credentials, _, hosts = place.rpartition("@")
    username, _, password = credentials.partition(":")
    service, db = _path(kind, path)
    words = _query(kind, query, secure=secure)
    return RedisOptions(
        kind=kind,
        addresses=_addresses(kind, hosts),
        service=service,
        db=db,
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_username=words.get("sentinel_username"),
        sentinel_password=words.get("sentinel_password"),
        tls=_tls(words) if secure else None,
    )


def _scheme(scheme: str) -> tuple[RedisKind, bool]:
    base, _, kind = scheme.partition("+")
    if base not in {"redis", "rediss"} or kind == RedisKind.SINGLE:
        raise ValueError(
            "redis address: the scheme is redis, rediss, redis+sentinel or redis+cluster"
        )
    try:
        return RedisKind(kind or RedisKind.SINGLE), base == "rediss"
    except ValueError:
        raise ValueError("redis address: after redis+ comes sentinel or cluster") from None


def _addresses(kind: RedisKind, hosts: str) -> tuple[Address, ...]:
    addresses = tuple(_address(kind, each) for each in hosts.split(","))
    if kind is RedisKind.SINGLE and len(addresses) > 1:
        raise ValueError("redis address: more than one host needs redis+sentinel or redis+cluster")
    return addresses


def _address(kind: RedisKind, text: str) -> Address:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(_PORTS[kind])
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise ValueError("redis address: a host is missing")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT):
        raise ValueError(f"redis address: the port of host {host!r} is no number from 1 to 65535")
    return Address(host, int(port))


def _path(kind: RedisKind, path: str) -> tuple[str, int]:
    service = ""
    if kind is RedisKind.SENTINEL:
        service, _, path = path.partition("/")
        if not service:
            raise ValueError("redis address: after the hosts comes the name of the service")
    if path and not (path.isascii() and path.isdigit()):
        raise ValueError("redis address: the database is a number")
    db = int(path or 0)
    if db and kind is RedisKind.CLUSTER:
        raise ValueError("redis address: a cluster has no database but 0")
    return unquote(service), db


def _query(kind: RedisKind, query: str, *, secure: bool) -> dict[str, str]:
    allowed = {
        *(_TLS_WORDS if secure else ()),
        *(_SENTINEL_WORDS if kind is RedisKind.SENTINEL else ()),
    }
    words: dict[str, str] = {}
    for word, value in parse_qsl(query, keep_blank_values=True):
        if word not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise ValueError(
                f"redis address: unknown option {word[:40]!r}; here there are: {known}"
            )
        words[word] = value
    return words


def _tls(words: Mapping[str, str]) -> RedisTls:
    return RedisTls(**{name: words[word] for word, name in _TLS_WORDS.items() if word in words})
