"""The checklist: rules about a complete tree of settings, one table for each section.

Every rule gives at least one finding. Findings of :func:`startup_errors` prevent any start; failed findings
of :func:`checklist` prevent a start in production.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from portward.settings.checks import (
    endpoints,
    listeners,
    origins,
    provider,
    resources,
    rights,
    store,
    tokens,
    upstream,
)
from portward.settings.checks.rule import (
    CheckLevel,
    CheckRule,
    Context,
    Finding,
    Machine,
    StoreFacts,
)
from portward.settings.resolve import with_defaults
from portward.settings.sections import Environment
from portward.settings.tree import Settings

__all__ = ["RULES", "CheckLevel", "Finding", "Machine", "StoreFacts", "checklist", "startup_errors"]

RULES: Final[tuple[CheckRule, ...]] = tuple(
    rule
    for section in (
        *(tokens, listeners, endpoints, provider, upstream),
        *(origins, store, resources, rights),
    )
    for rule in section.RULES.rules
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
    for part in rule.unused:
        if not part.used(context):
            yield Finding(rule.id, CheckLevel.SKIP, part.reason)
            return
    found = [Finding(rule.id, *problem) for problem in rule.judge(context)]
    yield from found or [Finding(rule.id, CheckLevel.OK, rule.right)]
