"""The image: what its file copies is there, its own commands work here, and the page's options fit it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.commands import conversation
from tests.docs.pages import DOCS, ROOT, blocks

FILE: Final = ROOT / "deploy" / "Dockerfile"
TEXT: Final = FILE.read_text(encoding="utf-8").replace("\\\n", " ")


def instructions(name: str) -> list[str]:
    """What stands behind an instruction, each time it is there."""
    return re.findall(rf"^{name} +(.+)$", TEXT, re.MULTILINE)


def test_everything_that_is_copied_is_there() -> None:
    """Sources of COPY are files of the repository, and so is the file that the page builds from."""
    copied = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    assert copied
    assert all((ROOT / name).exists() for names in copied for name in names)


def test_the_commands_of_the_page_fit_the_image() -> None:
    """The page builds from this file, mounts the folders that it uses, and starts what it starts."""
    (block,) = [
        each
        for each in blocks("console", DOCS / "how-to" / "production.md")
        if "docker" in each.text
    ]
    (build, _), (run, _) = conversation(block.text)
    words = shlex.split(build)
    assert ROOT / words[words.index("-f") + 1] == FILE
    words = shlex.split(run)
    image = words.index("portward")
    assert instructions("ENTRYPOINT") == ['["portward"]']
    assert words[image + 1 : image + 4] == ["serve", "--config", "/etc/portward/portward.toml"]
    assert "portward-state:/var/lib/portward" in words
    assert instructions("WORKDIR")[-1] == "/var/lib/portward"
    assert "--uid 10001" in TEXT
    (port,) = instructions("EXPOSE")
    assert f"127.0.0.1:8080:{port}" in words


@pytest.mark.long
def test_the_wheel_of_the_image(tmp_path: Path) -> None:
    """The line that builds the wheel builds one here, without the network, with every file of the package."""
    (line,) = re.findall(r"pip wheel --no-deps [^&]+", TEXT)
    command = shlex.split(line.replace("/wheels", str(tmp_path)))
    subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True, timeout=200
    )
    (wheel,) = tmp_path.glob("portward-*.whl")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert "portward/__main__.py" in listed
    assert ".lua" in listed
