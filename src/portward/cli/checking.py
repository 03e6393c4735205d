"""`portward check` and `portward config`: what holds, and what is wrong with it."""

from typing import Annotated

import typer

from portward.app.server import judge
from portward.cli.output import line, table
from portward.cli.reading import ConfigOption, known, read
from portward.settings import Level, rows


def check(
    config: ConfigOption = None,
    production: Annotated[
        bool, typer.Option("--production", help="Judge as for production, whatever is set.")
    ] = False,
) -> int:
    """Go through the production checklist: every rule, and the line to change."""
    settings = read(config).settings
    findings = judge(settings, production=production)
    table(
        ("level", "rule", "finding", "change"),
        [(each.level.value, each.id, each.what, each.change) for each in findings],
    )
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    judged = "production" if production or settings.production else "development"
    summary = ", ".join(f"{count} {level.value}" for level, count in counts.items())
    line(f"\n{summary} (judged for {judged})")
    return 1 if counts[Level.FAIL] else 0


def config(
    config: ConfigOption = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what is not at its default.")
    ] = False,
) -> None:
    """Show the settings in force and where each came from. Secrets are masked."""
    found = rows(known(read(config)))
    table(
        ("key", "value", "source"),
        [row for row in found if not changed or row.source != "default"],
    )
