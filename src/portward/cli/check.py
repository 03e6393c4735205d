"""`portward check` and `portward config`: the current settings and their problems."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from portward.app.judging import judge
from portward.app.preflight import build_checks, connect_checks
from portward.app.token_check import token_checks
from portward.cli.config import (
    ConfigOption,
    given_token,
    read,
    with_default_store,
    with_stored_secrets,
)
from portward.cli.terminal import line, table
from portward.settings import CheckLevel, Finding, Settings, rows, secret_files


def check(
    config: ConfigOption = None,
    production: Annotated[
        bool, typer.Option("--production", help="Check as for production, whatever is set.")
    ] = False,
    connect: Annotated[
        bool,
        typer.Option(
            "--connect",
            help="Also connect to the store, the identity provider, the key set, the upstream.",
        ),
    ] = False,
    token: Annotated[
        str,
        typer.Option(
            metavar="TOKEN",
            help="Also check a token of the issuer: is it accepted, has it each configured claim."
            " - for standard input.",
        ),
    ] = "",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only warnings and fails.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs.")
    ] = False,
) -> int:
    """Check the settings by the production checklist: every rule, and the line to change. 1 on a fail."""
    loaded = with_default_store(read(config))
    settings = loaded.settings
    findings = judge(settings, production=production, secret_files=secret_files(loaded))
    findings += asyncio.run(_tried(settings, connect=connect))
    findings += asyncio.run(token_checks(with_stored_secrets(loaded).settings, given_token(token)))
    judged = "production" if production or settings.production else "development"
    if as_json:
        line(_json(findings, judged))
    else:
        _print(findings, judged, quiet=quiet)
    return 1 if any(each.level is CheckLevel.FAIL for each in findings) else 0


async def _tried(settings: Settings, *, connect: bool) -> list[Finding]:
    found = build_checks(settings)
    if connect:
        found += [finding async for finding in connect_checks(settings)]
    return found


def _print(findings: Sequence[Finding], judged: str, *, quiet: bool) -> None:
    counts = {level: sum(each.level is level for each in findings) for level in CheckLevel}
    shown = [
        each for each in findings if not quiet or each.level in {CheckLevel.WARN, CheckLevel.FAIL}
    ]
    if shown:
        table(
            ("level", "rule", "finding", "change"),
            [(each.level.value, each.id, each.what, each.change) for each in shown],
        )
    if not quiet:
        summary = ", ".join(f"{count} {level.value}" for level, count in counts.items())
        line(f"\n{summary} (checked for {judged}; skip: not in use, not checked)")


def _json(findings: Sequence[Finding], judged: str) -> str:
    """Write `{judged, ok, findings: [{level, rule, finding, change}…]}`; `ok` is false on a fail."""
    rows_ = [
        {"level": each.level, "rule": each.id, "finding": each.what, "change": each.change}
        for each in findings
    ]
    ok = not any(each.level is CheckLevel.FAIL for each in findings)
    return msgspec.json.encode({"judged": judged, "ok": ok, "findings": rows_}).decode()


def config(
    config: ConfigOption = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only settings that differ from their default.")
    ] = False,
) -> None:
    """Show the current settings and the source of each. Secrets are masked."""
    found = rows(with_stored_secrets(read(config)))
    table(
        ("key", "value", "source"),
        [row for row in found if not changed or row.source != "default"],
    )
