"""Running the rules in tests: an origin is anything with `://`, and files are those named."""

from portward.settings import (
    CheckLevel,
    Finding,
    Machine,
    Settings,
    StoreFacts,
    checklist,
    startup_errors,
)
from tests.settings.reading import settings

GOOD = "N2u8Wq3Zk5Yb7Tc9Rd1Fe4Hg6Jj0Lm2Pn8Qs5Vt3Xw"
OTHER = "pR7mK2vX9cB4nL6sD1fG8hJ3kQ5wE0tY2uZ7iO4aS6d"


ROOMS_ALONE = "".join(
    f"endpoints.{name}.enabled = false\n" for name in ("alerts", "live", "realtime", "workspaces")
)
"""Switches off the other endpoints that are on by themselves."""


def parse_origin(text: str) -> object:
    """Stand in for the grammar of origins."""
    if "://" not in text:
        raise ValueError("no origin")
    return text


def parse_store(text: str) -> StoreFacts:
    """Stand in for the parser of store addresses."""
    if "?" in text:
        raise ValueError("unknown option")
    here = "127.0.0.1" in text or "://" not in text or not text.startswith("redis")
    return StoreFacts(
        remote=not here, encrypted=text.startswith("rediss"), password=":secret@" in text
    )


MACHINE = Machine(parse_origin=parse_origin, parse_store=parse_store)
"""Stands in for a machine without files and without limits."""


def findings(
    tree: Settings | str,
    rule: str,
    *,
    production: bool = False,
    files: tuple[str, ...] = (),
    machine: Machine = MACHINE,
) -> list[Finding]:
    """Return what one rule says."""
    found = checklist(
        settings(tree) if isinstance(tree, str) else tree,
        machine._replace(is_file=files.__contains__) if files else machine,
        production=production,
    )
    return [finding for finding in found if finding.id == rule]


def level(
    tree: Settings | str, rule: str, *, production: bool = False, files: tuple[str, ...] = ()
) -> CheckLevel:
    """Return how grave the only finding of a rule is; a rule about an unused part objects to nothing."""
    (finding,) = findings(tree, rule, production=production, files=files)
    return CheckLevel.OK if finding.level is CheckLevel.SKIP else finding.level


def levels(
    tree: Settings | str, rule: str, *, files: tuple[str, ...] = ()
) -> tuple[CheckLevel, CheckLevel, bool]:
    """Return how grave it is in development and in production, and whether it stops any start."""
    made = settings(tree) if isinstance(tree, str) else tree
    here = level(made, rule, files=files)
    there = level(made, rule, production=True, files=files)
    stops = startup_errors(made, MACHINE._replace(is_file=files.__contains__))
    return here, there, rule in {finding.id for finding in stops}
