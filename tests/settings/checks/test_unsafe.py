"""Every unsafe setting has a rule that names it: in production a fail, or a warning where it says so."""

import pytest

from portward.settings import CheckLevel, Machine
from tests.settings.checks.judging import GOOD, MACHINE, OTHER, findings, levels

LIMITED = MACHINE._replace(descriptors=1024)
OPEN = MACHINE._replace(mode=lambda _: 0o644, secret_files=("portward.toml", "secrets/tokens"))
CLOSED = OPEN._replace(mode=lambda _: 0o640)
FAIL, WARN = CheckLevel.FAIL, CheckLevel.WARN


UNSAFE = [
    ('engine.url = "redis://:secret@store:6379/0"', "store-plain", FAIL),
    ('engine.url = "redis+sentinel://:secret@a,b/main"', "store-plain", FAIL),
    ('engine.url = "redis+cluster://:secret@a:7000"', "store-plain", FAIL),
    ('engine.url = "rediss://store:6379/0"', "store-password", FAIL),
    ('engine = { url = "redis://127.0.0.1", allow_eviction = true }', "store-eviction", FAIL),
    ('engine.url = "redis://127.0.0.1/0?timeout=3"', "store-address", FAIL),
    ('gate.accept_rate = "none"', "accept-rate", FAIL),
    (f'tokens.secrets = ["{GOOD}"]\nadmin.api_keys = ["{GOOD}"]', "secret-reused", FAIL),
    (f'tokens.secrets = ["{GOOD}"]\nupstream.api_key = "{GOOD}"', "secret-reused", FAIL),
    (f'tokens = {{ secrets = ["{GOOD}"], session_secret = "{GOOD}" }}', "secret-reused", FAIL),
    (f'tokens.secrets = ["{GOOD}", "{OTHER}", "{GOOD}"]', "secret-reused", FAIL),
    ('server.trusted_proxies = ["10.0.0.0/8", "192.168.0.0/16"]', "proxies-everyone", FAIL),
    ('server.trusted_proxies = ["2000::/3"]', "proxies-everyone", FAIL),
    ('gate.allowed_origins = ["http://app.example.com"]', "origin-plain", FAIL),
    ('gate.allowed_origins = ["https://localhost:3000"]', "origin-plain", FAIL),
    ('gate.allowed_origins = ["https://127.0.0.1"]', "origin-plain", FAIL),
    ('gate.allowed_origins = ["https://[::1]:8443"]', "origin-plain", FAIL),
    ('gate.allowed_origins = ["https://app.localhost"]', "origin-plain", FAIL),
    ('endpoints.rooms.allowed_origins = ["http://a.example"]', "origin-plain", FAIL),
    ('gate.allowed_origins = ["https://*.github.io"]', "origin-suffix", FAIL),
    ('gate.allowed_origins = ["https://*.com"]', "origin-suffix", FAIL),
    ('gate.allowed_origins = ["https://*.co.uk"]', "origin-suffix", FAIL),
    ('gate.allowed_origins = ["https://*.vercel.app"]', "origin-suffix", FAIL),
    ('endpoints.live.allowed_origins = ["https://*.Herokuapp.com:443"]', "origin-suffix", FAIL),
    (
        'identity_provider = { url = "https://cms.example", revalidate = "16m" }',
        "revalidation",
        WARN,
    ),
    ('roles.user = ["*"]', "role-everybody", FAIL),
    ('roles."*" = ["dashboard.*"]', "role-everybody", FAIL),
    ("endpoints.rooms.auto_create = true", "auto-create", WARN),
    ("endpoints.rooms.expose_email = true", "expose-email", WARN),
    ('endpoints.rooms.auth_timeout = "61s"', "auth-timeout", FAIL),
    ('gate.head_timeout = "31s"', "head-timeout", FAIL),
    (
        'endpoints.rooms.ping_interval = 0\nendpoints.rooms.idle_timeout = "0s"',
        "heartbeat",
        FAIL,
    ),
    ('endpoints.rooms.max_message = "17MiB"', "message-size", FAIL),
    ('endpoints.rooms.backpressure_threshold = "65MiB"', "unsent-size", FAIL),
    ("gate.descriptor_reserve = 0", "descriptor-reserve", FAIL),
    ("namespaces.rooms.history_size = 100001", "history-size", WARN),
    ('tokens.jwks_url = "https://issuer.example/keys"', "jwks-issuer", FAIL),
    ('endpoints.workspaces.approval_webhook = "https://a.example"', "webhook-unsigned", FAIL),
    ('server.admin_host = "0.0.0.0"', "admin-address", FAIL),
    (
        f'server.admin_host = "10.0.0.5"\nadmin.api_keys = ["{GOOD}"]',
        "admin-address",
        FAIL,
    ),
    ('audit.file = "/nowhere/audit.jsonl"', "audit-folder", FAIL),
    ('audit.file = "logs/audit.jsonl"', "audit-folder", FAIL),
    ("gate.max_per_user = 0", "user-connections", WARN),
    ('gate.allowed_origins = ["*"]', "origin-any", FAIL),
    ('tokens.claims.roles = "user_metadata.roles"', "claim-user-written", FAIL),
    ('identity_provider.cookie_values = "any"', "cookie-values", FAIL),
    ('server.host = "unix:/run/portward.sock"', "unix-trust", FAIL),
    ('upstream = { allow_binary = true, pin = { model = "a" } }', "upstream-binary", FAIL),
]
TRIED_ELSEWHERE = {"secret-files": FAIL, "descriptor-limit": FAIL, "leeway": FAIL}
"""Rules about files and limits of the machine, tried below, and about what is refused when it is read."""


@pytest.mark.parametrize(("text", "rule", "level"), UNSAFE)
def test_an_unsafe_setting_is_named(text: str, rule: str, level: CheckLevel) -> None:
    """Production is told of it, with the line to change."""
    (found,) = findings(text, rule, production=True)
    assert (found.level, bool(found.change)) == (level, True)
    assert GOOD not in repr(found)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('engine.url = "redis://127.0.0.1:6379/0"', "store-plain"),
        ('engine.url = "redis://127.0.0.1:6379/0"', "store-password"),
        ('engine.url = "rediss://:secret@store"', "store-plain"),
        ('engine.url = "rediss://:secret@store"', "store-password"),
        ('engine.url = "sqlite:///portward.db"', "store-plain"),
        ('gate.accept_rate = "500/s"', "accept-rate"),
        (f'tokens.secrets = ["{GOOD}"]\nadmin.api_keys = ["{OTHER}"]', "secret-reused"),
        ('gate.allowed_origins = ["https://app.example.com"]', "origin-plain"),
        ('gate.allowed_origins = ["https://*.example.com"]', "origin-suffix"),
        ('gate.allowed_origins = ["https://*.team.github.io"]', "origin-suffix"),
        ('gate.allowed_origins = ["https://*.corp.internal"]', "origin-suffix"),
        ('identity_provider.revalidate = "15m"', "revalidation"),
        ('roles.admin = ["*"]', "role-everybody"),
        ('roles.user = ["dashboard.*"]', "role-everybody"),
        ('endpoints.rooms.auth_timeout = "60s"', "auth-timeout"),
        ('gate.head_timeout = "30s"', "head-timeout"),
        ("endpoints.rooms.ping_interval = 0", "heartbeat"),
        ('endpoints.rooms.max_message = "16MiB"', "message-size"),
        ('endpoints.rooms.backpressure_threshold = "64MiB"', "unsent-size"),
        ("namespaces.rooms.history_size = 100000", "history-size"),
        (
            'tokens.jwks_url = "https://issuer.example/keys"\ntokens.issuer = "https://i.example"',
            "jwks-issuer",
        ),
    ],
)
def test_its_safe_neighbour_passes(text: str, rule: str) -> None:
    """At the bound, or one step on the safe side of it, nothing is said."""
    (found,) = findings(text, rule, production=True)
    assert found.level in {CheckLevel.OK, CheckLevel.SKIP}


def test_development_is_warned_of_what_production_refuses() -> None:
    """A loopback page, a plain store of the same machine and unknown rooms are usual there."""
    assert (
        levels('gate.allowed_origins = ["http://localhost:3000"]', "origin-plain")[0]
        is CheckLevel.OK
    )
    assert levels('gate.accept_rate = "none"', "accept-rate") == (WARN, FAIL, False)
    assert levels('engine.url = "redis://:secret@store"', "store-plain") == (WARN, FAIL, False)


def test_a_plain_store_on_a_network_of_ones_own() -> None:
    """Said so, it is a warning; the password is still asked for."""
    own = 'engine = { url = "redis://store", allow_plain = true }'
    assert findings(own, "store-plain", production=True)[0].level is WARN
    assert findings(own, "store-password", production=True)[0].level is FAIL


@pytest.mark.parametrize(("machine", "level"), [(OPEN, FAIL), (CLOSED, CheckLevel.OK)])
def test_files_with_secrets_are_closed_to_others(machine: Machine, level: CheckLevel) -> None:
    """The settings file, files of secrets and private keys: each is named."""
    text = 'server.tls = { cert = "chain.pem", key = "key.pem" }'
    found = findings(text, "secret-files", production=True, machine=machine)
    assert {each.level for each in found} == {level}
    if level is FAIL:
        assert [each.change for each in found] == [
            "chmod o-rwx portward.toml",
            "chmod o-rwx secrets/tokens",
            "chmod o-rwx key.pem",
        ]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o666, 0o777])
def test_any_right_of_others_is_one_too_many(mode: int) -> None:
    """Reading tells the secret, writing replaces it."""
    machine = MACHINE._replace(mode=lambda _: mode, secret_files=("portward.toml",))
    (found,) = findings("", "secret-files", production=True, machine=machine)
    assert found.level is FAIL


def test_connections_need_descriptors() -> None:
    """More connections than the system gives descriptors for are refused in production."""
    (found,) = findings("", "descriptor-limit", production=True, machine=LIMITED)
    assert (found.level, "1024" in found.what) == (FAIL, True)
    fits = "gate.max_connections = 800"
    assert findings(fits, "descriptor-limit", machine=LIMITED)[0].level is CheckLevel.OK
    assert findings("", "descriptor-limit", machine=MACHINE)[0].level is CheckLevel.OK


def test_a_rule_without_its_subject_claims_nothing() -> None:
    """What is not in use is said to be so, instead of ok."""
    for text, rule in [
        ("", "tls-files"),
        ("endpoints.realtime.enabled = false", "upstream-plain"),
        ("", "store-plain"),
        ("", "webhook-plain"),
        ("", "jwks-issuer"),
        ("", "audit-folder"),
    ]:
        (found,) = findings(text, rule)
        assert (found.level, found.change) == (CheckLevel.SKIP, "")
        assert found.what
