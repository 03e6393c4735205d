import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from portward.app.preflight import build_checks, connect_checks
from portward.settings import CheckLevel, Finding, Settings
from tests.engines.redis_servers import Server, need_redis, servers
from tests.identity.standin_server import Standin, response
from tests.realtime_api import FaultyUpstream
from tests.settings.reading import settings

KEY = "sk-standin-4bX9"
NOWHERE = "127.0.0.1:1"


@pytest.fixture
async def service() -> AsyncIterator[Standin]:
    """An HTTP service that answers as it is told."""
    made = Standin()
    await made.start()
    yield made
    await made.stop()


async def asked(tree: Settings, rule: str) -> Finding:
    """What one service said."""
    (found,) = [each async for each in connect_checks(tree) if each.id == rule]
    return found


def built(text: str, rule: str) -> Finding:
    """What one attempt came to."""
    (found,) = [each for each in build_checks(settings(text)) if each.id == rule]
    return found


async def test_plain_settings_can_be_built() -> None:
    """Out of the box everything is built, and nothing is left behind."""
    assert {each.level for each in build_checks(Settings())} == {CheckLevel.OK}


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        (
            'server.tls = { cert = "absent.pem", key = "absent.key" }',
            "start-certificate",
            "No such",
        ),
        (
            'tokens.public_keys = ["-----BEGIN PUBLIC KEY-----\\n-----END PUBLIC KEY-----"]',
            "start-parts",
            "not a public key",
        ),
        ('engine.url = "redis://127.0.0.1:0"', "start-parts", "port"),
        ('audit.file = "absent/audit.jsonl"', "start-audit", "cannot be written"),
    ],
)
async def test_what_a_start_refuses_fails(text: str, rule: str, words: str) -> None:
    """Files that are missing and keys that are none are found without serving."""
    found = built(text, rule)
    assert found.level is CheckLevel.FAIL
    assert words in found.what
    assert found.change


async def test_an_audit_key_that_others_can_read_fails(tmp_path: Path) -> None:
    """The key beside the audit file is looked at as a start looks at it."""
    key = tmp_path / "audit.jsonl.key"
    key.write_text("0f" * 32 + "\n")
    key.chmod(0o644)
    text = f'audit.file = "{tmp_path / "audit.jsonl"}"'
    assert built(text, "start-audit").level is CheckLevel.FAIL
    key.chmod(0o600)
    assert built(text, "start-audit").level is CheckLevel.OK


async def test_a_memory_store_needs_no_service() -> None:
    """Nothing is asked."""
    assert (await asked(Settings(), "connect-store")).level is CheckLevel.OK


async def test_the_folder_of_a_file_store_is_looked_at(tmp_path: Path) -> None:
    """The file itself may belong to a gateway that runs."""
    there = settings(f'engine.url = "sqlite:///{tmp_path}/portward.db"')
    assert (await asked(there, "connect-store")).level is CheckLevel.OK
    absent = settings(f'engine.url = "sqlite:///{tmp_path}/absent/portward.db"')
    assert (await asked(absent, "connect-store")).level is CheckLevel.FAIL
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - names are enough


async def test_redis_is_asked(tmp_path: Path) -> None:
    """A server that answers is fine; one that would drop keys, or none at all, is not."""
    need_redis()
    with servers(Server(tmp_path, "--save", "")) as (server,):
        tree = settings(f'engine.url = "{server.url}"')
        assert (await asked(tree, "connect-store")).level is CheckLevel.OK
        server.cli("CONFIG", "SET", "maxmemory", "10mb", "maxmemory-policy", "allkeys-lru")
        found = await asked(tree, "connect-store")
        assert (found.level, "noeviction" in found.what) == (CheckLevel.FAIL, True)


@pytest.mark.parametrize(
    "text",
    [
        f'engine.url = "redis://:hunter2@{NOWHERE}"',
        f'identity_provider.url = "http://{NOWHERE}"',
        f'tokens.jwks_url = "http://{NOWHERE}/keys?hunter2"',
        f'upstream = {{ url = "ws://{NOWHERE}", allow_private = true, api_key = "hunter2" }}',
    ],
)
async def test_a_service_that_is_away_fails(text: str) -> None:
    """The finding says so, and shows neither password nor key."""
    found = [each async for each in connect_checks(settings(text)) if each.level is CheckLevel.FAIL]
    assert len(found) == 1
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (response(b"{}", "401 Unauthorized"), CheckLevel.OK),
        (response(b"{}", "403 Forbidden"), CheckLevel.OK),
        (response(b'{"data": null}'), CheckLevel.OK),
        (response(b"", "404 Not Found"), CheckLevel.FAIL),
        (response(b"", "502 Bad Gateway"), CheckLevel.FAIL),
        (response(b"", "302 Found", "Location: http://127.0.0.1:1/"), CheckLevel.FAIL),
    ],
)
async def test_the_provider_is_asked_without_a_cookie(
    service: Standin, answer: bytes, level: CheckLevel
) -> None:
    """One that is well does not know who asks; anything else is not an identity provider."""
    service.answer = answer
    tree = settings(f'identity_provider.url = "{service.url}/cms/"')
    assert (await asked(tree, "connect-provider")).level is level
    assert service.paths == ["/cms/users/me?fields=id"]
    assert service.cookies() == [""]


async def test_the_key_set_is_fetched(service: Standin) -> None:
    """It has to have a key that tokens can be verified with."""
    key = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    tree = settings(f'tokens.jwks_url = "{service.url}/keys"')
    service.answer = response(msgspec.json.encode({"keys": [{**key, "kid": "one"}]}))
    found = await asked(tree, "connect-jwks")
    assert (found.level, "1 usable" in found.what) == (CheckLevel.OK, True)
    for body in (b'{"keys": []}', b"<html>", b"[]", b"x" * (1024 * 1024 + 1)):
        service.answer = response(body)
        assert (await asked(tree, "connect-jwks")).level is CheckLevel.FAIL
    service.answer = response(b"", "500 Internal Server Error")
    assert (await asked(tree, "connect-jwks")).level is CheckLevel.FAIL


@pytest.mark.parametrize(("key", "level"), [(KEY, CheckLevel.OK), ("sk-another", CheckLevel.FAIL)])
async def test_the_upstream_is_connected_to(key: str, level: CheckLevel) -> None:
    """With the key that is configured, and for the first model."""
    async with FaultyUpstream(KEY) as upstream:
        tree = settings(f"""
            [upstream]
            url = "{upstream.url}"
            allow_private = true
            api_key = "{key}"
        """)
        found = await asked(tree, "connect-upstream")
        assert found.level is level
        assert key not in repr(found)


async def test_every_upstream_in_use_is_connected_to() -> None:
    """Each by its own key; a table that no endpoint leads to is not asked."""
    async with FaultyUpstream(KEY) as upstream:
        table = f'url = "{upstream.url}"\nallow_private = true\napi_key = "{KEY}"\n'
        tree = settings(f"""
            [upstreams.azure]
            {table}
            auth_header = "api-key"
            [upstreams.spare]
            {table}
            [endpoints.azure]
            dialect = "relay"
            upstream = "azure"
        """)
        found = await asked(tree, "connect-upstream")
        assert (found.level, "upstreams.azure" in found.what) == (CheckLevel.OK, True)
        (handshake,) = upstream.handshakes
        assert ("api-key", KEY) in [(name.lower(), value) for name, value in handshake.headers]
