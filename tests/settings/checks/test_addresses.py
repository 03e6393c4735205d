import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.settings.checks.addresses import flaw, is_here, is_near, is_private

HTTP = ("https", "http")
PORT = "a port that is no number from 1 to 65535"


@pytest.mark.parametrize(
    "url",
    [
        "https://directus.example",
        "HTTPS://Directus.Example/",
        "http://127.0.0.1:8055",
        "http://[::1]:8055/directus",
        "https://directus.example:443/a/b-c_d~e",
        "http://directus",
        "http://directus.example.:8055",
        "http://my_service:80",
    ],
)
def test_an_address_of_a_service_passes(url: str) -> None:
    """Scheme, host, perhaps a port and a path."""
    assert flaw(url, HTTP) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin with https:// or http://"),
        ("directus.example", "does not begin with https:// or http://"),
        ("ftp://directus.example", "does not begin with https:// or http://"),
        ("//directus.example", "does not begin with https:// or http://"),
        ("https:/directus.example", "does not begin with https:// or http://"),
        ("file:///etc/passwd", "does not begin with https:// or http://"),
        ("https://", "has no host"),
        ("https:///users", "has no host"),
        ("https://:80", "has no host"),
        ("https://a..b", "has no host"),
        ("https://.example", "has no host"),
        ("https://*.example", "has no host"),
        ("https://a%2eb", "has no host"),
        ("https://999.1.1.1", "has no host"),
        ("https://2130706433", "has no host"),
        ("https://127.1", "has no host"),
        ("https://0x7f000001.", "has no host"),
        ("https://[fe80::1%25eth0]", "has no host"),
        ("https://[::1", "has no host, or " + PORT),
        ("https://a:0", "has " + PORT),
        ("https://a:", "has " + PORT),
        ("https://a:65536", "has no host, or " + PORT),
        ("https://a:x", "has no host, or " + PORT),
        ("https://u@a", "has a user name or a password in it"),
        ("https://u:p@a", "has a user name or a password in it"),
        ("https://@a", "has a user name or a password in it"),
        ("https://a/?", "has a query"),
        ("https://a?b=c", "has a query"),
        ("https://a/#", "has a fragment"),
        ("https://a#b?c", "has a fragment"),
        ("https://a\\@b", "has a blank, a backslash, or a sign that is not ASCII"),
        (" https://a", "has a blank, a backslash, or a sign that is not ASCII"),
        ("https://a\n", "has a blank, a backslash, or a sign that is not ASCII"),
        ("https://a\x00", "has a blank, a backslash, or a sign that is not ASCII"),
        ("https://ä.example", "has a blank, a backslash, or a sign that is not ASCII"),
    ],
)
def test_what_is_no_address_is_told_why(url: str, why: str) -> None:
    """Each mistake has its words."""
    assert flaw(url, HTTP) == why


def test_a_query_may_be_allowed() -> None:
    """Where clients are sent, it may matter."""
    assert flaw("wss://a/b?c=d", ("wss",), query=True) is None
    assert flaw("wss://a/b?c=d", ("wss",)) == "has a query"
    assert flaw("ws://a", ("wss",), query=True) == "does not begin with wss://"


@given(st.text(), st.sampled_from(["", "http://", "https://", "https://[", "https://a:"]))
def test_any_text_is_judged(text: str, before: str) -> None:
    """Whatever is written there is an answer, and never what was written."""
    found = flaw(before + text, HTTP)
    if found is None:
        answers = {judge(before + text) for judge in (is_near, is_here, is_private)}
        assert answers <= {True, False}
    else:
        assert len(text) < 12 or text not in found


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "directus",
        "directus.",
        "directus.internal",
        "directus.local",
        "a.b.local.",
        "127.0.0.1",
        "127.255.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:10.0.0.1]",
    ],
)
def test_what_is_near_is_recognised(host: str) -> None:
    """This machine, private and link-local addresses, and names no public server knows."""
    assert is_near(f"http://{host}:8055/x")


@pytest.mark.parametrize(
    "host",
    [
        "directus.example",
        "localhost.example",
        "internal.example",
        "xlocal.example",
        "8.8.8.8",
        "11.0.0.1",
        "172.32.0.1",
        "172.15.0.1",
        "192.169.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "192.0.2.1",
        "[2001:db8::1]",
        "[::]",
        "[::ffff:8.8.8.8]",
    ],
)
def test_what_is_far_is_recognised(host: str) -> None:
    """Everything else, however much it looks like something near."""
    assert not is_near(f"http://{host}:8055/127.0.0.1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ],
)
def test_this_machine_is_recognised(host: str) -> None:
    """It is near as well, and not public."""
    url = f"ws://{host}:8055/x"
    assert is_here(url)
    assert is_near(url)
    assert is_private(url)


@pytest.mark.parametrize(
    "host",
    ["directus", "10.0.0.1", "localhost.example", "xlocalhost", "[fe80::1]", "8.8.8.8", "0.0.0.0"],
)
def test_other_machines_are_recognised(host: str) -> None:
    """However near they are."""
    assert not is_here(f"ws://{host}:8055/127.0.0.1")


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("10.0.0.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("[::ffff:192.168.0.1]", True),
        ("[fd00::1]", True),
        ("[fe80::1]", True),
        ("[ff02::1]", True),
        ("[::]", True),
        ("8.8.8.8", False),
        ("[2606:4700::1111]", False),
        ("[fec0::1]", True),
        ("[4000::1]", True),
        ("[64:ff9b::10.0.0.1]", True),
        ("[2002:a00:1::]", True),
        ("[64:ff9b::8.8.8.8]", False),
        ("[2002:808:808::]", False),
        ("[::ffff:8.8.8.8]", False),
        ("directus", False),
        ("directus.internal", False),
        ("10.0.0.1.example", False),
    ],
)
def test_numbers_that_are_not_public_are_recognised(host: str, private: bool) -> None:
    """A name is none, whatever it may stand for."""
    assert is_private(f"ws://{host}:8055/10.0.0.1") is private
