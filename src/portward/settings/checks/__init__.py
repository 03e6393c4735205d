"""The checklist: rules about a whole tree of settings, as data.

Every rule gives at least one finding. Those of :func:`startup_errors` stop any start; the fails of
:func:`checklist` stop a start in production.
"""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from portward.settings.checks.claims import CLAIM_RULES
from portward.settings.checks.doors import DOOR_RULES
from portward.settings.checks.engine import ENGINE_RULES
from portward.settings.checks.listeners import LISTENER_RULES
from portward.settings.checks.provider import PROVIDER_RULES
from portward.settings.checks.rule import Context, Finding, Level, Rule
from portward.settings.checks.tokens import TOKEN_RULES
from portward.settings.checks.upstream import UPSTREAM_RULES
from portward.settings.checks.webhook import WEBHOOK_RULES
from portward.settings.sections import Environment
from portward.settings.tree import Settings

__all__ = ["RULES", "Finding", "Level", "checklist", "startup_errors"]

RULES: Final[tuple[Rule, ...]] = (
    *TOKEN_RULES,
    *CLAIM_RULES,
    *LISTENER_RULES,
    *DOOR_RULES,
    *ENGINE_RULES,
    *PROVIDER_RULES,
    *UPSTREAM_RULES,
    *WEBHOOK_RULES,
)


def checklist(
    settings: Settings,
    *,
    parse_origin: Callable[[str], object],
    exists: Callable[[str], bool],
    production: bool = False,
) -> list[Finding]:
    """Go through every rule, in the order of :data:`RULES`; a rule that is met gives one `ok`.

    Args:
        settings: what is judged.
        parse_origin: reads an entry of an origin list, wildcards included, or raises ValueError.
        exists: tells whether there is a file at a path.
        production: judge as for production, whatever the settings say.
    """
    if production:
        settings = replace(settings, environment=Environment.PRODUCTION)
    context = Context(settings, parse_origin, exists)
    return [finding for rule in RULES for finding in _findings(rule, context)]


def startup_errors(
    settings: Settings,
    *,
    parse_origin: Callable[[str], object],
    exists: Callable[[str], bool],
) -> list[Finding]:
    """List what stops the gateway from starting in any environment; empty when nothing does.

    The arguments are those of :func:`checklist`.
    """
    context = Context(settings, parse_origin, exists)
    found = (finding for rule in RULES if rule.always for finding in _findings(rule, context))
    return [finding for finding in found if finding.level is Level.FAIL]


def _findings(rule: Rule, context: Context) -> Iterator[Finding]:
    met = True
    for problem in rule.judge(context):
        met = False
        yield Finding(rule.id, *problem)
    if met:
        yield Finding(rule.id, Level.OK, rule.right)
