import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security.address import UNKNOWN, limit_keys, mask

CLIENT = "203.0.113.7"


@pytest.mark.p0
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_ipv6_network_share_a_bucket(one: int, other: int) -> None:
    """Who owns a /64 gains nothing from changing addresses within it."""
    base = int(ipaddress.IPv6Address("2001:db8:1:2::"))
    addresses = [str(ipaddress.IPv6Address(base + host)) for host in (one, other)]
    assert limit_keys(addresses[0]) == limit_keys(addresses[1])
    assert limit_keys(addresses[0]) == ("2001:db8:1:2::/64", "2001:db8:1::/48")


@pytest.mark.p0
@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_mapped_addresses_are_their_ipv4(one: ipaddress.IPv4Address, other: object) -> None:
    """Two IPv4 clients never share a bucket, and each has one whatever the socket calls it."""
    assert limit_keys(str(one)) == (str(one),)
    assert limit_keys(f"::ffff:{one}") == (str(one),)
    assert limit_keys(f"64:ff9b::{one}") == (str(one),)
    assert (limit_keys(f"::ffff:{one}") == limit_keys(f"::ffff:{other}")) is (one == other)


@pytest.mark.parametrize("text", ["", UNKNOWN, "/run/a.sock", "a.example"])
def test_what_is_no_address_is_counted_and_shown_as_unknown(text: str) -> None:
    """A Unix socket has no address and must not crash the count."""
    assert limit_keys(text) == (UNKNOWN,)
    assert mask(text) == UNKNOWN


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("192.168.1.77", "192.168.1.xxx"),
        ("::ffff:192.168.1.77", "192.168.1.xxx"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
    ],
)
def test_mask_keeps_the_network_alone(address: str, masked: str) -> None:
    """Logs show where, not who."""
    assert mask(address) == masked
