import ast
import subprocess
import sys
from pathlib import Path

import pytest

import portward
from tests.cli.processes import gateway

SOURCE = Path(portward.__file__).parent
USERS = {"demo", "cli/demo.py"}
"""Who may name the room: itself, and what `portward demo` alone imports."""


def imported(path: Path) -> set[str]:
    """The modules a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def test_nothing_else_imports_the_room() -> None:
    """Nobody but the demo itself names anything in this room."""
    guilty = []
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        names = {each for each in imported(path) if f"{each}.".startswith("portward.demo.")}
        if names and not ({name, name.partition("/")[0]} & USERS):
            guilty.append(name)
    assert guilty == []


def test_room_stands_below_the_command_line() -> None:
    """The room imports the model, the settings, and itself."""
    names = {name for path in (SOURCE / "demo").rglob("*.py") for name in imported(path)}
    ours = {name.split(".")[1] for name in names if name.startswith("portward.")}
    assert ours == {"demo", "model", "settings"}


@pytest.mark.parametrize(
    "module", ["portward", "portward.app", "portward.app.server", "portward.cli.main"]
)
def test_room_is_not_loaded(module: str) -> None:
    """Whoever imports the library or the command line gets nothing of the demo."""
    code = (
        f"import sys, {module};"
        "print([name for name in sys.modules if name.startswith('portward.demo')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


def test_room_is_not_loaded_by_serving(tmp_path: Path) -> None:
    """A gateway that serves has nothing of the demo in its process."""
    spy = tmp_path / "sitecustomize.py"
    spy.write_text(
        "import atexit, sys\n"
        "def tell():\n"
        "    print('demo', [name for name in sys.modules if name.startswith('portward.demo')])\n"
        "atexit.register(tell)\n"
    )
    path = f"{tmp_path}:{SOURCE.parent}"
    with gateway(PYTHONPATH=path, XDG_STATE_HOME=str(tmp_path)) as (process, _):
        process.popen.terminate()
        assert process.expect(r"^demo (.*)$")[1] == "[]"
        assert process.wait() == 0
