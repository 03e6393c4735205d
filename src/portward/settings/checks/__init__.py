"""The checklist: rules about a complete tree of settings, as data.

Every rule gives at least one finding. Findings of :func:`startup_errors` prevent any start; failed findings
of :func:`checklist` prevent a start in production.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from portward.settings.checks.admin import ADMIN_RULES
from portward.settings.checks.claims import CLAIM_RULES
from portward.settings.checks.endpoints import DOOR_RULES
from portward.settings.checks.engine import ENGINE_RULES
from portward.settings.checks.files import FILE_RULES
from portward.settings.checks.listeners import LISTENER_RULES
from portward.settings.checks.origins import ORIGIN_RULES
from portward.settings.checks.pages import PAGE_RULES
from portward.settings.checks.provider import PROVIDER_RULES
from portward.settings.checks.proxies import PROXY_RULES
from portward.settings.checks.resources import RESOURCE_RULES
from portward.settings.checks.rights import RIGHTS_RULES
from portward.settings.checks.rule import (
    CheckLevel,
    CheckRule,
    Context,
    Finding,
    Machine,
    StoreFacts,
)
from portward.settings.checks.store import STORE_RULES
from portward.settings.checks.tokens import TOKEN_RULES
from portward.settings.checks.upstream import UPSTREAM_RULES
from portward.settings.checks.webhook import WEBHOOK_RULES
from portward.settings.resolve import with_defaults
from portward.settings.sections import Environment
from portward.settings.tree import Settings

__all__ = ["RULES", "CheckLevel", "Finding", "Machine", "StoreFacts", "checklist", "startup_errors"]

RULES: Final[tuple[CheckRule, ...]] = (
    *TOKEN_RULES,
    *CLAIM_RULES,
    *LISTENER_RULES,
    *PROXY_RULES,
    *ADMIN_RULES,
    *PAGE_RULES,
    *DOOR_RULES,
    *ENGINE_RULES,
    *PROVIDER_RULES,
    *UPSTREAM_RULES,
    *WEBHOOK_RULES,
    *ORIGIN_RULES,
    *STORE_RULES,
    *FILE_RULES,
    *RESOURCE_RULES,
    *RIGHTS_RULES,
)


def checklist(settings: Settings, machine: Machine, *, production: bool = False) -> list[Finding]:
    """Check every rule, in the order of :data:`RULES`.

    A rule without a problem gives one `ok`; a rule about a part that is not in use gives one `skip`.

    Args:
        settings: the settings to check.
        machine: facts about files and the process, and parsers of other packages.
        production: check as for production, whatever environment the settings have.
    """
    if production:
        settings = replace(settings, environment=Environment.PRODUCTION)
    context = Context(with_defaults(settings), machine)
    return [finding for rule in RULES for finding in _findings(rule, context)]


def startup_errors(settings: Settings, machine: Machine) -> list[Finding]:
    """List the findings that prevent a start in any environment; empty when there are none.

    The arguments are those of :func:`checklist`.
    """
    context = Context(with_defaults(settings), machine)
    found = (finding for rule in RULES if rule.always for finding in _findings(rule, context))
    return [finding for finding in found if finding.level is CheckLevel.FAIL]


def _findings(rule: CheckRule, context: Context) -> Iterator[Finding]:
    if rule.unused is not None:
        unused = rule.unused(context)
        if unused:
            yield Finding(rule.id, CheckLevel.SKIP, unused)
            return
    met = True
    for problem in rule.judge(context):
        met = False
        yield Finding(rule.id, *problem)
    if met:
        yield Finding(rule.id, CheckLevel.OK, rule.right)
