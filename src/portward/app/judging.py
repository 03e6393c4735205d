"""The checklist with the facts of this machine: files, descriptors, and parsers of other packages."""

import resource
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from portward.security.origin import OriginPolicy
from portward.settings import (
    CheckLevel,
    Finding,
    Machine,
    Settings,
    SettingsError,
    StoreFacts,
    checklist,
    startup_errors,
)

EMBEDDED: Final = frozenset(
    {
        "cookie-origins",
        "provider-plain",
        "session-secret-weak",
        "token-key-missing",
        "token-secret-weak",
    }
)
"""Rules of the production checklist that apply even when another server opens the listeners."""
_HERE: Final = frozenset({"localhost", "::1"})


def parse_origin_entry(text: str) -> object:
    """Parse one entry of an origin list, wildcards included.

    Raises:
        ValueError: it is not valid.
    """
    return OriginPolicy([text], production=False)


def parse_store(url: str) -> StoreFacts:
    """Parse an engine address as its engine does.

    Raises:
        ValueError: the engine refuses it; the text contains neither user nor password.
    """
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        from portward.engines.sqlite import sqlite_path  # noqa: PLC0415 - loaded where it is used

        sqlite_path(url)
        return StoreFacts()
    if not scheme.startswith("redis"):
        return StoreFacts()  # another rule reports an unknown engine
    from portward.engines.redis import parse_url  # noqa: PLC0415 - loaded where it is used

    options = parse_url(url)
    tls = options.tls
    return StoreFacts(
        remote=not all(_is_here(address.host) for address in options.addresses),
        encrypted=tls is not None,
        password=bool(options.password),
        key_files=(tls.key,) if tls is not None and tls.key else (),
    )


def _is_here(host: str) -> bool:
    return host in _HERE or host.startswith("127.") or host.endswith(".localhost")


def descriptor_limit() -> int:
    """Return how many descriptors this process may have after it has raised its limit; 0 for no limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 0 if hard == resource.RLIM_INFINITY else hard


def raise_descriptor_limit() -> None:
    """Raise the limit of open descriptors as far as the system allows without privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return  # some systems report a higher limit than they give


def _mode(path: str) -> int | None:
    try:
        return stat.S_IMODE(Path(path).stat().st_mode)
    except OSError:
        return None


def this_machine(secret_files: Iterable[str] = ()) -> Machine:
    """Return the facts for the rules; `secret_files` are the files that the secrets were read from."""
    return Machine(
        parse_origin=parse_origin_entry,
        parse_store=parse_store,
        is_file=lambda path: Path(path).is_file(),
        is_folder=lambda path: Path(path).is_dir(),
        mode=_mode,
        descriptors=descriptor_limit(),
        secret_files=tuple(secret_files),
    )


def judge(
    settings: Settings, *, production: bool = False, secret_files: Iterable[str] = ()
) -> list[Finding]:
    """Check all rules of the checklist."""
    return checklist(settings, this_machine(secret_files), production=production)


def refuse_unsafe(settings: Settings) -> None:
    """Raise an error for settings that are unsafe in production.

    Raises:
        SettingsError: one line for every rule that fails.
    """
    if not settings.production:
        return
    failed = [each for each in judge(settings) if each.level is CheckLevel.FAIL]
    if failed:
        raise SettingsError("\n".join(f"{each.id}: {each.what}" for each in failed))


def refuse_start(settings: Settings) -> None:
    """Raise an error for settings that cannot be served.

    Raises:
        SettingsError: with the first rule that fails.
    """
    machine = this_machine()
    found = startup_errors(settings, machine)
    if settings.production:
        rules = checklist(settings, machine)
        found += [each for each in rules if each.level is CheckLevel.FAIL and each.id in EMBEDDED]
    if found:
        raise SettingsError(f"{found[0].id}: {found[0].what}. {found[0].change}".strip())
