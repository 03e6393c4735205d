"""Rules about the store of `engine.url` and about files: permissions of secrets, the audit file's folder."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable, StoreFacts
from portward.settings.checks.unused import AUDIT, REDIS

_OTHERS: Final = 0o007
"""Permission bits of users who are neither the owner nor in the file's group."""
_PLAIN: Final = (
    'engine.url = "rediss://…"  # or engine.allow_plain = true, when the network between is'
)
RULES: Final = RuleTable()


def _store(context: Context) -> StoreFacts:
    """Parse the address; an address that cannot be parsed has no facts, and `store-address` reports it."""
    try:
        return context.machine.parse_store(context.settings.engine_url)
    except ValueError:
        return StoreFacts()


@RULES.rule("store-address", "the address of the store can be read", always=True)
def _address(context: Context) -> Problems:
    try:
        context.machine.parse_store(context.settings.engine_url)
    except ValueError as error:
        yield FAIL, f"engine.url: {error}", 'engine.url = "redis://127.0.0.1:6379/0"'


@RULES.rule("store-plain", "the way to Redis is encrypted, or stays on this machine", REDIS)
def _plain(context: Context) -> Problems:
    store = _store(context)
    if store.remote and not store.encrypted:
        what = "engine.url is not encrypted and leads to another machine: its password and all"
        level = WARN if context.settings.engine.allow_plain else context.grave
        yield level, f"{what} messages travel in the open", f"{_PLAIN} yours alone"


@RULES.rule("store-password", "Redis asks for a password, or is on this machine", REDIS)
def _password(context: Context) -> Problems:
    store = _store(context)
    if store.remote and not store.password:
        what = "engine.url has no password, and leads to another machine"
        yield context.grave, what, 'engine.url = "rediss://:password@…"'


@RULES.rule("store-eviction", "Redis that may drop revocations is refused", REDIS)
def _eviction(context: Context) -> Problems:
    if context.settings.engine.allow_eviction:
        what = "engine.allow_eviction: Redis may drop revocations, and revoked tokens come in again"
        change = "engine.allow_eviction = false  # and maxmemory-policy noeviction in Redis"
        yield context.grave, what, change


def _key_files(context: Context) -> Iterator[str]:
    yield from context.machine.secret_files
    if context.settings.server.tls.key:
        yield context.settings.server.tls.key
    yield from _store(context).key_files


@RULES.rule("secret-files", "files with secrets are closed to other users")
def _readable(context: Context) -> Problems:
    for path in dict.fromkeys(_key_files(context)):
        mode = context.machine.mode(path)
        if mode is not None and mode & _OTHERS:
            what = f"{path} holds a secret, and every user of this machine may use it ({mode:04o})"
            yield context.grave, what, f"chmod o-rwx {path}"


@RULES.rule("audit-folder", "the folder of the audit file exists", AUDIT, always=True)
def _audit(context: Context) -> Problems:
    folder = str(PurePath(context.settings.audit.file).parent)
    if not context.machine.is_folder(folder):
        yield FAIL, f"audit.file: there is no folder {folder}", f"mkdir -p -m 700 {folder}"
