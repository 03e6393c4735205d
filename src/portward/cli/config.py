"""Settings for the command line: file, environment, flags, and generated development secrets."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec.structs import replace

from portward.cli.state import DevelopmentState, development_state, new_state, state_file
from portward.settings import Loaded, Secret, Settings, load
from portward.settings.keys import ApiKey

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The TOML file; else PORTWARD_CONFIG, else portward.toml.", metavar="FILE"
    ),
]
_LONGEST_TOKEN: Final = 64 * 1024
DEFAULT_STORE: Final = "sqlite:///portward.db"
"""The default place of a served gateway's state."""


def read(config: Path | None, flags: Mapping[str, object] | None = None) -> Loaded:
    """Read the settings.

    Raises:
        SettingsError: a setting is wrong.
    """
    return load(os.environ, str(config) if config else None, flags=flags)


def with_default_store(loaded: Loaded) -> Loaded:
    """Use a state file in the current folder, if no engine is configured."""
    settings = loaded.settings
    if settings.engine.url is not None:
        return loaded
    settings = replace(settings, engine=replace(settings.engine, url=DEFAULT_STORE))
    return Loaded(settings, {**loaded.sources, "engine.url": "default of serve"})


def with_secrets(loaded: Loaded) -> Loaded:
    """Fill in the stored development secrets and admin key, or generate them. Does nothing in production.

    Raises:
        CommandRefused: the file that stores them cannot be used.
    """
    if loaded.settings.production:
        return loaded
    return with_state(loaded, development_state(), f"state {state_file()}")


def with_new_secrets(loaded: Loaded) -> Loaded:
    """Fill in generated development secrets without storing them."""
    return loaded if loaded.settings.production else with_state(loaded, new_state(), "made up")


def with_stored_secrets(loaded: Loaded) -> Loaded:
    """Fill in the stored development secrets, if there are any. Generates none.

    Raises:
        CommandRefused: the file exists and cannot be used.
    """
    if loaded.settings.production or not state_file().exists():
        return loaded
    return with_state(loaded, development_state(), f"state {state_file()}")


def with_state(loaded: Loaded, state: DevelopmentState, source: str) -> Loaded:
    """Use the development secrets where nothing is configured."""
    made = _made(loaded.settings, state)
    settings = loaded.settings
    tokens = replace(
        settings.tokens,
        **{key.partition(".")[2]: value for key, value in made.items() if key in _TOKENS},
    )
    admin = settings.admin
    if _KEYS in made:
        admin = replace(admin, api_keys=made[_KEYS])
    sources = {**loaded.sources, **dict.fromkeys(made, source)}
    return Loaded(replace(settings, tokens=tokens, admin=admin), sources)


_SECRETS: Final = "tokens.secrets"
_SESSION: Final = "tokens.session_secret"
_KEYS: Final = "admin.api_keys"
_TOKENS: Final = frozenset({_SECRETS, _SESSION})


def _made(settings: Settings, state: DevelopmentState) -> dict[str, object]:
    tokens = settings.tokens
    made: dict[str, object] = {}
    if not (tokens.secrets or tokens.jwks_url or tokens.public_keys):
        made[_SECRETS] = (Secret(state.token_secret),)
    if not tokens.session_secret:
        made[_SESSION] = Secret(state.session_secret)
    if settings.admin.enabled and not settings.admin.api_keys:
        made[_KEYS] = (ApiKey(key=Secret(state.admin_key)),)
    return made


def admin_key(loaded: Loaded) -> str | None:
    """Return the generated development admin key, when it is the one in use."""
    made = loaded.sources[_KEYS].startswith(("state ", "made up"))
    return loaded.settings.admin.api_keys[0].key.reveal() if made else None


def given_token(text: str) -> str:
    """Return a token from the command line; `-` reads it from standard input, to keep it out of `ps`."""
    read = sys.stdin.read(_LONGEST_TOKEN) if text == "-" else text
    return read.strip()
