"""Running the rules in tests: an origin is anything with `://`, and files are those named."""

from portward.settings import Finding, Level, Settings, checklist, startup_errors
from tests.settings.reading import settings

GOOD = "N2u8Wq3Zk5Yb7Tc9Rd1Fe4Hg6Jj0Lm2Pn8Qs5Vt3Xw"
OTHER = "pR7mK2vX9cB4nL6sD1fG8hJ3kQ5wE0tY2uZ7iO4aS6d"


ROOMS_ALONE = "".join(
    f"endpoints.{name}.enabled = false\n" for name in ("alerts", "live", "realtime", "workspaces")
)
"""Switches off the other endpoints that are on by themselves."""

no_file = frozenset[str]().__contains__
"""Stands in for a disk without the files that are asked for."""


def parse_origin(text: str) -> object:
    """Stand in for the grammar of origins."""
    if "://" not in text:
        raise ValueError("no origin")
    return text


def findings(
    tree: Settings | str, rule: str, *, production: bool = False, files: tuple[str, ...] = ()
) -> list[Finding]:
    """Return what one rule says."""
    found = checklist(
        settings(tree) if isinstance(tree, str) else tree,
        parse_origin=parse_origin,
        exists=files.__contains__,
        production=production,
    )
    return [finding for finding in found if finding.id == rule]


def level(
    tree: Settings | str, rule: str, *, production: bool = False, files: tuple[str, ...] = ()
) -> Level:
    """Return how grave the only finding of a rule is."""
    (finding,) = findings(tree, rule, production=production, files=files)
    return finding.level


def levels(
    tree: Settings | str, rule: str, *, files: tuple[str, ...] = ()
) -> tuple[Level, Level, bool]:
    """Return how grave it is in development and in production, and whether it stops any start."""
    made = settings(tree) if isinstance(tree, str) else tree
    here = level(made, rule, files=files)
    there = level(made, rule, production=True, files=files)
    stops = startup_errors(made, parse_origin=parse_origin, exists=files.__contains__)
    return here, there, rule in {finding.id for finding in stops}
