"""What the page on scaling prints as commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, blocks

PAGE = DOCS / "how-to" / "scale.md"


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the page's loop over audit files."""
    lines = [line for each in blocks("console", PAGE) for line in each.text.splitlines()]
    (line,) = [each.removeprefix("$ ") for each in lines if "audit verify" in each]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTWARD_")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=kept
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "PORTWARD_ENGINE__URL": "memory://",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def written(folder: Path, name: str) -> None:
    """Let a gateway write an audit file, with its key and its checkpoint beside it."""
    script = (
        "import asyncio, sys\n"
        "from portward import Gateway\n"
        "from portward.settings import Settings\n"
        "from portward.settings.operation import AuditSettings\n"
        "async def main():\n"
        "    async with Gateway(Settings(audit=AuditSettings(file=sys.argv[1]))):\n"
        "        pass\n"
        "asyncio.run(main())\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(folder / name)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=True,
    )


@pytest.mark.long
def test_sound_audit_files_pass_the_printed_loop(tmp_path: Path) -> None:
    """The files of twelve workers are verified, and nothing else that lies beside them."""
    written(tmp_path, "audit.jsonl")
    written(tmp_path, "audit.jsonl.1")
    written(tmp_path, "audit.jsonl.11")
    done = verify(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "audit.jsonl.11").open("a") as file:
        file.write("{}\n")
    assert verify(tmp_path).returncode != 0
