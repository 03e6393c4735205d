"""Rules about the admin listener and its keys."""

from collections.abc import Iterator
from typing import Final

from portward.settings.checks import unused
from portward.settings.checks.listeners import is_loopback
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.checks.secrets import weakness

_KEYS: Final = 'admin.api_keys = ["…"]  # the output of `openssl rand -base64 48`'


def _admin_key(context: Context) -> Iterator[CheckProblem]:
    admin = context.settings.admin
    if context.settings.production and admin.enabled and not admin.api_keys:
        yield CheckProblem(CheckLevel.FAIL, "the admin API is on and has no key", _KEYS)


def _admin_weak(context: Context) -> Iterator[CheckProblem]:
    for number, key in enumerate(context.settings.admin.api_keys, start=1):
        why = None if key.hashed else weakness(key.key.reveal())
        if why:
            yield CheckProblem(context.grave, f"admin.api_keys entry {number} {why}", _KEYS)


def _admin_digest(context: Context) -> Iterator[CheckProblem]:
    for number, key in enumerate(context.settings.admin.api_keys, start=1):
        try:
            _ = key.digest
        except ValueError:
            what = (
                f"admin.api_keys entry {number}: after sha256: there are no 64 hexadecimal digits"
            )
            yield CheckProblem(CheckLevel.FAIL, what, 'admin.api_keys = ["sha256:…"]')


def _admin_address(context: Context) -> Iterator[CheckProblem]:
    settings = context.settings
    if settings.admin.enabled and not is_loopback(settings.server.admin_host):
        level = CheckLevel.WARN if settings.admin.allow_plain else context.grave
        what = "the admin listener can be reached from other machines, without TLS"
        change = (
            'server.admin_host = "127.0.0.1"  # or admin.allow_plain = true, in a network of yours'
        )
        yield CheckProblem(level, what, change)


ADMIN_RULES: Final = (
    CheckRule(
        "admin-key-missing",
        "the admin API has a key, or is off",
        _admin_key,
        unused=unused.any_of(unused.in_development, unused.no_admin),
    ),
    CheckRule(
        "admin-key-weak", "admin keys are long and random", _admin_weak, unused=unused.no_admin_keys
    ),
    CheckRule(
        "admin-key-form",
        "digests of admin keys are whole",
        _admin_digest,
        always=True,
        unused=unused.no_admin_keys,
    ),
    CheckRule(
        "admin-address",
        "the admin listener is for this machine alone",
        _admin_address,
        unused=unused.no_admin,
    ),
)
