"""The settings of docs/how-to/identity-providers.md, with tokens of each issuer's shape."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import jwt
import pytest

from portward.app.judging import judge
from portward.settings import CheckLevel, load
from portward.settings.checks.tokens import RULES as TOKEN_RULES
from tests.docs.pages import DOCS, blocks
from tests.issuers.keys import hmac_with_public_key, private_key, signed
from tests.issuers.shapes import DIRECTUS, DIRECTUS_SECRET, ISSUERS, Issuer
from tests.reload.case import ClientSide
from tests.reload.process import GatewayProcess, serving
from tests.reload.web import web_server

PAGE: Final = DOCS / "how-to" / "identity-providers.md"
FOREIGN: Final = "a key of nobody"


def printed(issuer: Issuer) -> str:
    """The settings under the issuer's heading."""
    section = re.search(
        rf"^## {issuer.title}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert section is not None, issuer.title
    found = [block.text for block in blocks("toml", PAGE) if block.text in section[1]]
    (text,) = found
    return text


def flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its dotted key; a key that has dots itself is in quotes."""
    for name, value in table.items():
        plain = re.fullmatch(r"[A-Za-z0-9_-]+", name)
        key = above + (name if plain else json.dumps(name))
        if isinstance(value, dict):
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def as_printed(issuer: Issuer, folder: Path) -> dict[str, object]:
    """The printed settings; the key set is at the test's own address, and the secret in its folder."""
    keys = dict(flat(tomllib.loads(printed(issuer))))
    assert all(key.startswith("tokens.") for key in keys)
    if issuer is DIRECTUS:
        assert keys["tokens.secrets_file"].startswith("/etc/")
        (folder / "directus").write_text(DIRECTUS_SECRET)
        return {**keys, "tokens.secrets_file": "{folder}/directus"}
    assert keys["tokens.jwks_url"].startswith("https://")
    return {**keys, "tokens.jwks_url": "{web}/keys.json"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One process for all issuers."""
    with web_server() as web, serving(tmp_path_factory.mktemp("issuers"), web) as running:
        yield running


def good(issuer: Issuer) -> dict[str, str]:
    """Access tokens that come in, by what they are."""
    return {"usual": issuer.token()} | {
        name: issuer.token(change) for name, change in issuer.good.items()
    }


def bad(issuer: Issuer) -> dict[str, str]:
    """Everything else that is signed or made up, by what it is."""
    found = {name: issuer.token(change) for name, change in issuer.bad.items()}
    found |= {name: make() for name, make in issuer.made.items()}
    claims = issuer.claims()
    found["expired"] = issuer.token({"iat": claims["iat"] - 600, "exp": claims["iat"] - 100})
    found["not yet valid"] = issuer.token({"nbf": claims["iat"] + 100})
    found["without an end"] = issuer.token({"exp": None})
    found["without an issuer"] = issuer.token({"iss": None})
    found["without a user"] = issuer.token({"sub": None, "id": None, "oid": None})
    found["of a foreign key"] = signed(private_key(FOREIGN), claims, issuer.kid)
    found["unsigned"] = jwt.encode(claims, "", algorithm="none")
    found["with the public key as a secret"] = hmac_with_public_key(
        private_key(issuer.title, issuer.algorithm), claims, issuer.kid
    )
    return found


@pytest.mark.p0
@pytest.mark.timeout(180)
@pytest.mark.parametrize("issuer", ISSUERS, ids=lambda issuer: issuer.title)
async def test_access_tokens_come_in_and_nothing_else(
    issuer: Issuer, gateway: GatewayProcess
) -> None:
    """With the printed settings the issuer's access tokens come in, and all its other tokens do not."""
    gateway.web.put("/keys.json", issuer.key_set())
    line = await gateway.configure(as_printed(issuer, gateway.folder))
    assert line.startswith("reloaded"), line
    async with AsyncExitStack() as stack:
        client = ClientSide(gateway, stack)
        welcome = {
            name: await client.status("/echo", token=each) for name, each in good(issuer).items()
        }
        assert set(welcome.values()) == {101}, welcome
        refused = {
            name: await client.status("/echo", token=each) for name, each in bad(issuer).items()
        }
        assert set(refused.values()) == {401}, refused
        user = (await client.authenticated(issuer.token()))["user"]
    assert user == {"userId": issuer.user, "email": issuer.email, "roles": sorted(issuer.roles)}


@pytest.mark.parametrize("issuer", ISSUERS, ids=lambda issuer: issuer.title)
def test_the_printed_settings_are_sound(issuer: Issuer) -> None:
    """In production no rule about tokens objects to them, but for what the issuer cannot do."""
    settings = load({}, path="page", read=lambda name: _file(name, issuer)).settings
    rules = {rule.id for rule in TOKEN_RULES.rules} - {"session-secret-missing"}
    found = judge(settings, production=True)
    objections = [
        each
        for each in found
        if each.id in rules and each.level in {CheckLevel.WARN, CheckLevel.FAIL}
    ]
    expected = ["tokens.audience is empty"] if issuer is DIRECTUS else []
    assert [each.what.partition(":")[0] for each in objections] == expected


def _file(name: str, issuer: Issuer) -> str:
    return printed(issuer) if name == "page" else DIRECTUS_SECRET


def test_every_issuer_of_the_page_is_tried() -> None:
    """Each block of settings on the page is one of those that the test loads."""
    shown = [block.text for block in blocks("toml", PAGE)]
    assert sorted(shown) == sorted(printed(issuer) for issuer in ISSUERS)
