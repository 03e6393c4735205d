"""The repository keeps its own rules: locks, verbs, the check that gates a change, sizes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "portward"
VERBS = [
    "demo",
    "test",
    "test-newest",
    "long",
    "fresh",
    "soak",
    "test-directus",
    "lint",
    "types",
    "bench",
    "build",
    "size",
    "clean",
    "conformance",
    "lock",
]
MAX_LINES = 500
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|NotImplementedError)\b")
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*(?:\[[a-z0-9,-]+\])?==\S+(?: ; [^\\]+)? \\")
HASH = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}(?: \\)?")


def source_files(*suffixes: str) -> list[Path]:
    """Return the source files with one of these suffixes, at least one."""
    found = [path for path in sorted(SOURCE.rglob("*")) if path.suffix in suffixes]
    assert found
    return found


def node_locks() -> list[Path]:
    """Return every npm lock file of the repository, at least one."""
    folders = [ROOT / "tests", ROOT / "bench", ROOT / "docs", ROOT / "src", ROOT / "clients"]
    found = [
        path
        for folder in folders
        for path in folder.rglob("package-lock.json")
        if "node_modules" not in path.parts
    ]
    assert found
    return found


def entries(value: object) -> Iterator[tuple[str, object]]:
    """Yield every key of nested JSON with its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from entries(inner)


def test_python_lock_names_no_address() -> None:
    """The Python lock holds no URL, no path and no option that chooses an index."""
    lock = (ROOT / "requirements.lock").read_text()
    found = re.findall(r"https?:|file:|://|^-.*|--(?!hash=)\S+| @ .*", lock, re.MULTILINE)
    assert found == []


def test_python_lock_is_pins_with_hashes() -> None:
    """The Python lock is comments, exact versions and hashes, each version with a hash."""
    text = (ROOT / "requirements.lock").read_text()
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    odd = [line for line in lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)]
    bare = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.fullmatch(line) and not HASH.fullmatch(after)
    ]
    assert lines
    assert (odd, bare) == ([], [])


REGISTRY = re.compile(r"registry\.|://[^/]*registry")
"""The address of one; a package may be called so."""


def test_node_locks_name_no_registry() -> None:
    """An npm lock file says which version, never where it was fetched from."""
    found = [
        (str(path.relative_to(ROOT)), key, value)
        for path in node_locks()
        for key, value in entries(json.loads(path.read_text()))
        if key == "resolved" or (isinstance(value, str) and REGISTRY.search(value))
    ]
    assert found == []


@pytest.mark.parametrize("verb", VERBS)
def test_makefile_has_verb(verb: str) -> None:
    """The Makefile has the verb, declares it phony and lists it in its help."""
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert verb in phony[1].split()
    assert re.search(rf"^{verb}:.*## \S", makefile, re.MULTILINE)


def test_change_check_calls_only_the_verbs() -> None:
    """The check of a change builds everything from nothing, and calls the verbs within their time."""
    script = ROOT / ".ci" / "run"
    assert script.read_text().splitlines() == [
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "export CI=true",
        "make clean",
        "make lint types",
        "make test || make again",
        "timeout 25m make test-newest || make again-newest",
        "timeout 12m make fresh",
    ]
    assert script.stat().st_mode & 0o111


def test_source_files_are_short() -> None:
    """No Python file of the source is longer than 500 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in source_files(".py")
    }
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_source_is_finished() -> None:
    """No source file holds a note to come back or a body left open."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in source_files(".py", ".lua", ".html", ".js", ".css")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    assert found == []
