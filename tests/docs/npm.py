"""The npm package as users get it: built from the sources, packed, and installed with an empty home."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest

from tests.docs.pages import ROOT

CLIENT: Final = ROOT / "clients" / "js"


def npm(*words: str, folder: Path, environ: dict[str, str] | None = None) -> str:
    """What an npm command prints; it must end with 0."""
    done = subprocess.run(
        ["npm", "--silent", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout.strip()


@cache
def _package() -> Path:
    """The packed package, built once from a copy of the sources."""
    if shutil.which("npm") is None or not (CLIENT / "node_modules" / "esbuild").is_dir():
        pytest.skip("npm, or clients/js/node_modules, is not installed")
    copy = Path(mkdtemp(prefix="portward-npm-")) / "js"
    left_out = shutil.ignore_patterns("node_modules", "dist", "tests")
    shutil.copytree(CLIENT, copy, ignore=left_out)
    (copy / "node_modules").symlink_to(CLIENT / "node_modules")
    npm("run", "build", folder=copy)
    return copy / npm("pack", "--ignore-scripts", folder=copy).splitlines()[-1]


def packed(folder: Path) -> Path:
    """Put the package into a folder, as `make build` does; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(_package(), folder))


def settings(home: Path) -> dict[str, str]:
    """An empty home. How this machine reaches packages, and what it has fetched before, stay."""
    home.mkdir(exist_ok=True)
    kept = {"npm_config_cache": "cache", "npm_config_userconfig": "userconfig"}
    found = {name: npm("config", "get", key, folder=home) for name, key in kept.items()}
    return found | {"HOME": str(home), "npm_config_prefer_offline": "true"}
