"""From the settings of the demo to settings for production, by the checklist's own words alone."""

import re
import secrets
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from portward.app.judging import this_machine
from portward.cli.demo import loaded
from portward.settings import CheckLevel, Loaded, Machine, checklist, load, rows
from tests.docs.pages import DOCS, blocks

ROUNDS: Final = 4
_PAGE: Final = DOCS / "how-to" / "production.md"


def demo() -> dict[str, str]:
    """What the demo sets, as TOML by dotted key; where its own services are is not taken along."""
    made = loaded("http://127.0.0.1:8082")
    written = {row.key for row in rows(made) if row.source == "file the demo"}
    return {
        key: value
        for key, value in {
            "engine.url": '"memory://"',
            "identity_provider.url": '"https://cms.example.com"',
            "identity_provider.revalidate": '"10s"',
            "upstream.max_tokens": "20000",
            "roles.agent": '["dashboard.*", "approvals.decide"]',
        }.items()
        if key in written
    }


def read(keys: Mapping[str, str]) -> Loaded:
    """Load settings that are written as `key = value`, each on a line; other files hold a secret each."""
    text = "".join(f"{key} = {value}\n" for key, value in keys.items())

    def reader(path: str) -> str:
        return text if path == "portward.toml" else sha256(path.encode()).hexdigest()

    return load({}, "portward.toml", read=reader)


def filled(key: str, value: str) -> str:
    """Put something sensible where the checklist leaves a gap: a secret, an address, a file."""
    if key.startswith("server.tls"):
        return '{ cert = "/etc/portward/chain.pem", key = "/etc/portward/key.pem" }'
    while "…" in value:
        gap = secrets.token_urlsafe(32)
        if "https://…" in value:
            value = value.replace("https://…", "https://app.example.com", 1)
        elif "proxies" in key:
            value = value.replace("…", "10.0.0.5/32", 1)
        else:
            value = value.replace("…", gap, 1)
    return value


def machine() -> Machine:
    """This machine, once the files that the settings name are there."""
    return this_machine()._replace(is_file=lambda _: True, descriptors=0)


def test_the_checklist_leads_from_the_demo_to_production() -> None:
    """Each change it proposes is a line of settings; after some rounds nothing fails or warns."""
    keys = {"environment": '"production"', **demo()}
    for _ in range(ROUNDS):
        found = checklist(read(keys).settings, machine(), production=True)
        open_ = [each for each in found if each.level in {CheckLevel.WARN, CheckLevel.FAIL}]
        if not open_:
            break
        for finding in open_:
            line = finding.change.partition("  #")[0]
            match = re.fullmatch(r'([a-z_]+(?:\.[a-z_]+|\."[^"]+")*) = (.+)', line)
            assert match is not None, finding
            keys[match[1]] = filled(match[1], match[2])
    assert open_ == []
    keys_of_page = set(dotted(tomllib.loads(blocks("toml", _PAGE)[0].text)))
    wanted = {key.removesuffix("_file") for key in keys_of_page}
    gone = {key for key in keys.keys() - demo().keys() if not known(key, wanted)}
    assert gone == set(), "the page's file has no line for these"


def dotted(tree: Mapping[str, Any], above: str = "") -> list[str]:
    """The dotted keys of a TOML file."""
    found: list[str] = []
    for key, value in tree.items():
        name = f"{above}{key}"
        found += [name, *(dotted(value, f"{name}.") if isinstance(value, dict) else [])]
    return found


def known(key: str, keys: set[str]) -> bool:
    """Whether the page's file has this key, or says otherwise how it is dealt with."""
    text = Path(_PAGE).read_text(encoding="utf-8")
    return key in keys or key in text or key.rpartition(".")[2] in text
