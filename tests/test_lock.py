"""The Python lock is complete: for every supported Python, and with every extra that is asked for.

pip refuses a lock with hashes as soon as one requirement, of whatever package, is not pinned as it is
asked for. So the tests walk the requirements that the installed packages state in their metadata.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ["3.11.0", "3.11.2", "3.11.9", "3.12.1", "3.13.0", "3.14.0"]
"""Debian 12 has 3.11.2; some packages ask for a backport before 3.11.3."""
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[([a-z0-9,_-]+)\])?==", re.MULTILINE)


def pins(lock: str) -> dict[str, set[str]]:
    """Return the extras of each pinned package, by its canonical name."""
    return {
        canonicalize_name(name): {canonicalize_name(extra) for extra in extras.split(",") if extra}
        for name, extras in PIN.findall(lock)
    }


def environment(python: str, extra: str) -> dict[str, str]:
    """Return the marker variables of CPython on Linux."""
    return {
        "extra": extra,
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }


def required(name: str, extras: frozenset[str], python: str) -> Iterator[Requirement]:
    """Yield what an installed package with these extras requires on a Python."""
    try:
        stated = requires(name) or []
    except PackageNotFoundError:
        return  # pinned for another Python or platform, so that its own needs cannot be read here
    for requirement in map(Requirement, stated):
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate(environment(python, extra)) for extra in extras | {""}
        ):
            yield requirement


def missing(lock: str, python: str) -> set[str]:
    """Return the requirements of portward[dev] and of all below it that the lock does not pin."""
    pinned = pins(lock)
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    open_ = [("portward", frozenset({"dev"}))]
    while open_:
        name, extras = open_.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for requirement in required(name, extras, python):
            key = canonicalize_name(requirement.name)
            asked = frozenset(map(canonicalize_name, requirement.extras))
            if key not in pinned or not asked <= pinned[key]:
                found.add(f"{name}: {requirement}")
            open_.append((key, asked))
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_pins_every_requirement(python: str) -> None:
    """Every requirement of every installed package is pinned, with the extras it is asked for with."""
    assert missing((ROOT / "requirements.lock").read_text(), python) == set()


@pytest.mark.parametrize("entry", ["coverage[toml]", "redis[hiredis]", "pyjwt[crypto]"])
def test_an_extra_taken_out_of_the_lock_is_noticed(entry: str) -> None:
    """A pin without the extra that somebody asks for is named."""
    lock = (ROOT / "requirements.lock").read_text()
    assert f"{entry}==" in lock
    name = entry.partition("[")[0]
    found = missing(lock.replace(f"{entry}==", f"{name}=="), PYTHONS[0])
    assert any(name in each for each in found)


def test_a_requirement_of_old_pythons_alone_is_noticed() -> None:
    """A package that is needed on Debian's Python and not on newer ones has to be pinned, too."""
    lock = (ROOT / "requirements.lock").read_text().replace("async-timeout==", "something-else==")
    assert any("redis" in each for each in missing(lock, "3.11.2"))
    assert not any("redis" in each for each in missing(lock, "3.13.0"))
