"""The sources of settings, in this order of priority: file < older names < environment < flags."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from portward.settings.build import build
from portward.settings.environment import CONFIG
from portward.settings.files import Reader, read_file, read_secrets, text_of
from portward.settings.keys import ApiKey
from portward.settings.layers import Written, from_file, from_flags, from_variables
from portward.settings.legacy_env import from_aliases, lets_everyone_in, names_in_use
from portward.settings.schema import entries
from portward.settings.secret import Secret
from portward.settings.tree import Settings

DEFAULT_FILE: Final = "portward.toml"
DEFAULT: Final = "default"
_FILE: Final = "file "


class Loaded(Struct, frozen=True):
    """The current settings, with the source of each value by dotted key.

    A source is written as `default`, `file portward.toml`, `alias JWT_SECRET`, `env PORTWARD_SERVER__PORT` or
    `flag --port`; for a secret from a separate file, that file is the source.
    """

    settings: Settings
    sources: Mapping[str, str]


def secret_files(loaded: Loaded) -> tuple[str, ...]:
    """List the files that secrets were read from, including the settings file when it contains one."""
    found = {
        loaded.sources.get(entry.key, "").removeprefix(_FILE): None
        for entry in entries(loaded.settings)
        if holds_secret(entry.value) and loaded.sources.get(entry.key, "").startswith(_FILE)
    }
    return tuple(found)


def holds_secret(value: object) -> bool:
    """Return whether a value is a non-empty secret or admin key, or a list with one."""
    if isinstance(value, tuple):
        return any(map(holds_secret, value))
    return bool(value) if isinstance(value, Secret) else isinstance(value, ApiKey)


def load(
    environ: Mapping[str, str],
    path: str | None = None,
    *,
    flags: Mapping[str, object] | None = None,
    read: Reader = read_file,
) -> Loaded:
    """Read the settings.

    Args:
        environ: the environment, usually `os.environ`.
        path: the file; by default the one in `PORTWARD_CONFIG`, else `portward.toml` if it exists.
        flags: values by dotted key, such as `{"server.port": 9000}`; None means not given.
        read: returns the text of a file.

    Raises:
        SettingsError: a file, a name or a value is wrong; one line with its key and its source.
    """
    chosen = path or environ.get(CONFIG) or None
    file = chosen or DEFAULT_FILE
    written = Written()
    from_file(written, text_of(file, read, optional=chosen is None), file)
    from_aliases(written, environ)
    from_variables(written, environ)
    from_flags(written, flags or {})
    names_in_use(written)
    read_secrets(written, read)
    settings = build(written)
    if lets_everyone_in(written, settings, environ):
        settings = build(written)
    return Loaded(settings, _sources(settings, written))


def _sources(settings: Settings, written: Written) -> dict[str, str]:
    sources = {}
    for entry in entries(settings):
        given = written.values.get(entry.path)
        sources[entry.key] = given.source if given else DEFAULT
    return sources
