import pytest

from portward.settings.checks.listeners import is_loopback
from portward.settings.checks.rule import CheckLevel
from portward.settings.sections import ServerSettings
from portward.settings.tree import Settings
from tests.settings.checks.judging import findings, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
Levels = tuple[CheckLevel, CheckLevel, bool]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "unix:/run/p"]
)
def test_loopback_is_known(host: str) -> None:
    """Addresses of this machine alone, and its usual name."""
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "gateway"])
def test_the_rest_is_not_loopback(host: str) -> None:
    """Whatever is not surely this machine is not."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (OK, FAIL, False)),
        ('tls = { cert = "c", key = "k" }', FINE),
        ("behind_tls_proxy = true", FINE),
        ('trusted_proxies = ["10.0.0.0/8"]', (OK, FAIL, False)),
    ],
)
def test_production_takes_no_plain_text(text: str, expected: Levels) -> None:
    """TLS ends here or in a proxy."""
    assert levels(f"[server]\n{text}", "plain-text") == expected


def test_the_proxy_that_ends_tls_is_named() -> None:
    """Otherwise nobody can say whether TLS was used."""
    assert levels("server.behind_tls_proxy = true", "tls-proxy") == GRAVE
    named = '[server]\nbehind_tls_proxy = true\ntrusted_proxies = ["10.0.0.1"]'
    assert levels(named, "tls-proxy") == FINE


def test_certificate_and_key_are_there() -> None:
    """Both are named, and both files exist."""
    both = 'server.tls = { cert = "c", key = "k" }'
    assert levels(both, "tls-files", files=("c", "k")) == FINE
    assert levels(both, "tls-files", files=("c",)) == ALWAYS
    assert levels('server.tls.cert = "c"', "tls-files", files=("c",)) == ALWAYS
    assert levels('server.tls.key = "k"', "tls-files", files=("k",)) == ALWAYS
    assert levels("", "tls-files") == FINE
    whats = [finding.what for finding in findings(both, "tls-files")]
    assert whats == ["server.tls.cert: there is no file c", "server.tls.key: there is no file k"]


def test_proxies_made_by_hand_are_checked() -> None:
    """A tree that was not loaded is held to the same form, and told once."""
    tree = Settings(server=ServerSettings(trusted_proxies=("nonsense",)))
    assert levels(tree, "proxies-form") == ALWAYS
    assert levels(tree, "proxies-everyone") == FINE


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        ('["10.0.0.0/8", "2001:db8::/32"]', FINE),
        ('["0.0.0.0/0"]', GRAVE),
        ('["::/0"]', GRAVE),
        ('["0.0.0.0/1", "128.0.0.0/1"]', GRAVE),
        ('["::ffff:0:0/96"]', GRAVE),
        ('["10.0.0.0/7"]', GRAVE),
        ('["10.0.0.0/8", "10.0.0.0/8", "10.1.0.0/16"]', FINE),
        ('["10.0.0.0/8", "192.0.2.1/32"]', GRAVE),
        ('["172.16.0.0/12", "192.168.0.0/16", "fd00::/16"]', FINE),
        ('["fc00::/7"]', GRAVE),
        ('["::ffff:10.0.0.0/103"]', GRAVE),
        ('["::ffff:10.0.0.0/104", "::1/128"]', FINE),
        ("[]", FINE),
    ],
)
def test_not_everyone_is_a_proxy(proxies: str, expected: Levels) -> None:
    """All of IPv4 or IPv6, in one piece or in several, is refused in production."""
    assert levels(f"server.trusted_proxies = {proxies}", "proxies-everyone") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (OK, WARN, False)),
        ('host = "0.0.0.0"', (WARN, WARN, False)),
        ('host = "0.0.0.0"\ntrusted_proxies = ["10.0.0.1"]', FINE),
    ],
)
def test_shared_limits_are_warned_about(text: str, expected: Levels) -> None:
    """Behind a proxy that is not trusted, all clients are one."""
    assert levels(f"[server]\n{text}", "proxies-none") == expected


@pytest.mark.parametrize(
    ("host", "endpoint", "expected"),
    [
        ("127.0.0.1", 'auth = "token"', FINE),
        ("127.0.0.1", 'auth = "none"', (OK, FAIL, False)),
        ("0.0.0.0", 'auth = "none"', ALWAYS),
        ("0.0.0.0", 'auth = "none"\nenabled = false', FINE),
    ],
)
def test_open_endpoints_are_for_this_machine(host: str, endpoint: str, expected: Levels) -> None:
    """Without tokens there is development on a loopback address, and nothing else."""
    text = f'server.host = "{host}"\n[endpoints.rooms]\n{endpoint}'
    assert levels(text, "auth-none") == expected


def test_open_doors_stop_a_production_start() -> None:
    """Set in the file, the environment makes it a start-up error."""
    text = 'environment = "production"\nendpoints.rooms.auth = "none"'
    assert levels(text, "auth-none") == ALWAYS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", FINE),
        ("server.admin_port = 8080", ALWAYS),
        ("server.port = 0\nserver.admin_port = 0", FINE),
        ("server.admin_port = 8080\nadmin.enabled = false", FINE),
    ],
)
def test_listeners_do_not_share_a_port(text: str, expected: Levels) -> None:
    """Unless it is any free one, or one of them is off."""
    assert levels(text, "ports") == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://", FINE),
        ("sqlite:///file", FINE),
        ("redis://host", FINE),
        ("rediss+sentinel://host/service", FINE),
        ("redis+cluster://host", FINE),
        ("", ALWAYS),
        ("memor", ALWAYS),
        ("redist://host", ALWAYS),
    ],
)
def test_the_engine_is_known(url: str, expected: Levels) -> None:
    """What cannot be opened stops any start."""
    assert levels(f'engine.url = "{url}"', "engine") == expected


def test_an_unknown_engine_is_answered_with_those_there_are() -> None:
    """The finding names what is available and repeats no address, which may hold a password."""
    (finding,) = findings('engine.url = "abacus://:hunter2@host"', "engine")
    assert "there are: memory://, sqlite://, redis://" in finding.what
    assert "hunter2" not in finding.what


def test_several_workers_need_a_shared_engine() -> None:
    """The finding says why."""
    assert levels("server.workers = 2", "workers") == ALWAYS
    assert levels("server.workers = 1", "workers") == FINE
    assert levels('server.workers = 2\nengine.url = "redis://x"', "workers") == FINE
    assert levels('server.workers = 2\nengine.url = "sqlite:///a.db"', "workers") == ALWAYS
    assert levels('server.workers = 2\nengine.url = "nothing://"', "workers") == FINE
    (finding,) = findings("server.workers = 2", "workers")
    assert "2 workers need a shared engine" in finding.what
    assert finding.change.startswith('engine.url = "redis://')


def test_workers_and_tls() -> None:
    """With TLS here, several workers cannot serve clients that poll: another rule than a proxy's."""
    shared = 'engine.url = "redis://x"\n'
    here = 'server.tls = { cert = "chain.pem", key = "key.pem" }\n'
    assert levels(f"{shared}{here}server.workers = 2", "workers-tls") == (WARN, WARN, False)
    assert levels(f"{shared}{here}server.workers = 1", "workers-tls") == FINE
    assert levels(f"{shared}server.workers = 2", "workers-tls") == FINE
    off = "endpoints.workspaces.enabled = false\n"
    assert levels(f"{shared}{here}{off}server.workers = 2", "workers-tls") == FINE
    (finding,) = findings(f"{shared}{here}server.workers = 2", "workers-tls")
    assert "endpoint workspaces takes polling" in finding.what
