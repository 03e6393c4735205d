"""Judges a report of the Autobahn suite: `verdict.py NAME REPORT NON_STRICT`."""

import collections
import json
import sys
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

GOOD: Final = frozenset({"OK", "INFORMATIONAL"})
BEARABLE: Final = frozenset({"NON-STRICT", "UNIMPLEMENTED"})
"""What a case may be listed to come to. Anything else is a failure wherever it happens."""


def outcome(case: Mapping[str, Any]) -> str:
    """One word for a case: what it did, or how it closed when only that went wrong."""
    behaviour: str = case["behavior"]
    closing: str = case["behaviorClose"]
    return behaviour if behaviour not in GOOD or closing in GOOD else f"close: {closing}"


def troubles(report: Mapping[str, Mapping[str, Any]], listed: Mapping[str, str]) -> list[str]:
    """What is wrong with a report. `listed` is the outcome to bear by pattern of case numbers."""
    found = [
        f"{number}: {said}"
        for number, said in ((number, outcome(case)) for number, case in report.items())
        if said not in GOOD and not _borne(number, said, listed)
    ]
    return found if report else ["no case was run"]


def _borne(number: str, said: str, listed: Mapping[str, str]) -> bool:
    return said in BEARABLE and any(
        said == borne and fnmatchcase(number, pattern) for pattern, borne in listed.items()
    )


def read_list(text: str) -> dict[str, str]:
    """The cases of a list and what they may come to: two words a line, remarks after `#`."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return {line[0]: line[1] for line in lines if line}


def main() -> int:
    """Prints a summary; 1 when something is wrong."""
    name, report_path, list_path = sys.argv[1:]
    report = json.loads(Path(report_path).read_text())["portward"]
    counts = collections.Counter(map(outcome, report.values()))
    summary = ", ".join(f"{count} {said}" for said, count in sorted(counts.items()))
    print(f"conformance: {name}: {len(report)} cases: {summary}")  # noqa: T201 - the summary
    found = troubles(report, read_list(Path(list_path).read_text()))
    for trouble in found:
        print(f"conformance: {name}: {trouble}", file=sys.stderr)  # noqa: T201 - the summary
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
