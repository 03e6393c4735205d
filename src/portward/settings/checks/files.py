"""Rules about files: permissions of files with secrets, and the place of the audit file."""

from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context

_OTHERS: Final = 0o007
"""Permission bits of users who are neither the owner nor in the file's group."""


def _key_files(context: Context) -> Iterator[str]:
    machine = context.machine
    yield from machine.secret_files
    if context.settings.server.tls.key:
        yield context.settings.server.tls.key
    try:
        yield from machine.parse_store(context.settings.engine_url).key_files
    except ValueError:
        return  # reported by store-address


def _readable(context: Context) -> Iterator[CheckProblem]:
    for path in dict.fromkeys(_key_files(context)):
        mode = context.machine.mode(path)
        if mode is not None and mode & _OTHERS:
            what = f"{path} holds a secret, and every user of this machine may use it ({mode:04o})"
            yield CheckProblem(context.grave, what, f"chmod o-rwx {path}")


def _audit(context: Context) -> Iterator[CheckProblem]:
    file = context.settings.audit.file
    if not file:
        return
    folder = str(PurePath(file).parent)
    if not context.machine.is_folder(folder):
        what = f"audit.file: there is no folder {folder}"
        yield CheckProblem(CheckLevel.FAIL, what, f"mkdir -p -m 700 {folder}")


FILE_RULES: Final = (
    CheckRule("secret-files", "files with secrets are closed to other users", _readable),
    CheckRule(
        "audit-folder",
        "the folder of the audit file exists",
        _audit,
        always=True,
        unused=unused.no_audit,
    ),
)
