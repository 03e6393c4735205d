"""Loading settings in tests: files are entries of a dict, nothing else is touched."""

from collections.abc import Mapping

from portward.settings import Loaded, Settings, load
from portward.settings.sources import DEFAULT_FILE


def loaded(
    text: str | None = "",
    environ: Mapping[str, str] | None = None,
    *,
    path: str | None = None,
    flags: Mapping[str, object] | None = None,
    files: Mapping[str, str] | None = None,
) -> Loaded:
    """Load with `text` as `portward.toml`; None stands for no such file."""
    there = dict(files or {})
    if text is not None:
        there[DEFAULT_FILE] = text

    def read(name: str) -> str:
        if name not in there:
            raise FileNotFoundError(2, "No such file or directory")
        return there[name]

    return load(environ or {}, path, flags=flags, read=read)


def settings(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    *,
    files: Mapping[str, str] | None = None,
) -> Settings:
    """Return the tree alone."""
    return loaded(text, environ, files=files).settings
