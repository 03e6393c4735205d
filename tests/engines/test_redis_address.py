"""Addresses of stores: what is read from them, and what their errors say and do not say."""

import pytest

from portward.engines.redis import RedisOptions, parse_url
from portward.engines.redis.options import Address, RedisKind, RedisTls

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://h", RedisOptions(addresses=(Address("h", 6379),))),
        ("redis://h:1234/5", RedisOptions(addresses=(Address("h", 1234),), db=5)),
        ("redis://[::1]:1234", RedisOptions(addresses=(Address("::1", 1234),))),
        ("redis://[::1]", RedisOptions(addresses=(Address("::1", 6379),))),
        (
            "redis://ann:p%40ss%2F@h/",
            RedisOptions(addresses=(Address("h", 6379),), username="ann", password="p@ss/"),
        ),
        ("redis://:p@h", RedisOptions(addresses=(Address("h", 6379),), password="p")),
        ("rediss://h", RedisOptions(addresses=(Address("h", 6379),), tls=RedisTls())),
        (
            "rediss://h?ssl_ca_certs=%2Fca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem",
            RedisOptions(
                addresses=(Address("h", 6379),),
                tls=RedisTls(ca="/ca.pem", certificate="/c.pem", key="/k.pem"),
            ),
        ),
        (
            "redis+sentinel://ann:p@h1:1,h2/mymaster/3?sentinel_username=s&sentinel_password=t",
            RedisOptions(
                kind=RedisKind.SENTINEL,
                addresses=(Address("h1", 1), Address("h2", 26379)),
                service="mymaster",
                db=3,
                username="ann",
                password="p",
                sentinel_username="s",
                sentinel_password="t",
            ),
        ),
        (
            "rediss+cluster://h1:7000,h2:7000",
            RedisOptions(
                kind=RedisKind.CLUSTER,
                addresses=(Address("h1", 7000), Address("h2", 7000)),
                tls=RedisTls(),
            ),
        ),
    ],
)
def test_addresses_are_read(url: str, options: RedisOptions) -> None:
    """Every part of an address is read, and what is left out has its usual value."""
    assert parse_url(url) == options


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "scheme"),
        ("http://ann:hunter2@h", "scheme"),
        ("redis:ann:hunter2@h", "scheme"),
        ("redis+single://ann:hunter2@h", "scheme"),
        ("redis+other://ann:hunter2@h", "sentinel or cluster"),
        ("redis://ann:hunter2@", "host"),
        ("redis://ann:hunter2@:6379", "host"),
        ("redis://ann:hunter2@h:x", "port"),
        ("redis://ann:hunter2@h:0", "port"),
        ("redis://ann:hunter2@h:65536", "port"),
        ("redis://ann:hunter2@h,h2", "more than one host"),
        ("redis://ann:hunter2@h/x", "database"),
        ("redis://ann:hunter2@h/\u0665", "database"),
        ("redis+sentinel://ann:hunter2@h", "service"),
        ("redis+cluster://ann:hunter2@h/1", "cluster"),
        ("redis://ann:hunter2@h?ssl_ca_certs=x", "option"),
        ("rediss://ann:hunter2@h?ssl_cert_reqs=none", "option"),
        ("redis://ann:hunter2@h?sentinel_password=hunter2", "option"),
    ],
)
def test_wrong_addresses_are_refused(url: str, part: str) -> None:
    """The error names the part that is wrong, and nothing that is secret."""
    with pytest.raises(ValueError, match=part) as caught:
        parse_url(url)
    assert SECRET not in str(caught.value)
    assert "ann" not in str(caught.value)


def test_options_show_no_secret() -> None:
    """Printed options say where, and not how to be let in."""
    url = "redis+sentinel://ann:hunter2@h/m?sentinel_password=hunter2"
    assert repr(parse_url(url)) == "RedisOptions(sentinel, h:26379, db=0)"
