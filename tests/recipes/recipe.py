"""Reads a recipe from a page and follows it literally in a temporary copy of the tree.

A recipe is a section of `CONTRIBUTING.md`, or of another page that `PAGES` lists, whose heading begins with
"Adding". Its steps are blocks of code, each below a line that names the file it belongs to:

    **`src/portward/a.py`**                      the whole file; it is made, or replaced
    **`src/portward/a.py`**, below `text`:       lines put below the one line that contains the text
    **`src/portward/a.py`**, above `text`:       lines put above it
    **`src/portward/a.py`**, instead of `text`:  lines put in its place
    **`src/portward/a.py`**, at the end:         lines put at the end

Lines take the indentation of the line they are put beside; below a line that ends with a colon or an
opening bracket they take one level more. A block that is no Python by itself, such as one entry of a tuple,
is `text`: ruff formats `python` blocks of pages too.

The commands of a recipe are the lines of its `console` blocks that begin with `$ `. They run in the copy, in
order, after all steps: `.venv/bin/…` is the environment of the test, and `make docs` is the generator of the
pages. A recipe should contain a test file among its steps and a command that runs it.

To add a recipe, write the section: `test_recipes.py` finds it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Final, NamedTuple

from tests.docs.pages import DOCS, ROOT, Block

PAGES: Final = (
    ROOT / "CONTRIBUTING.md",
    DOCS / "how-to" / "write-a-protocol.md",
    DOCS / "how-to" / "write-an-engine.md",
)
"""The pages with recipes; a page that does not exist has none."""
COPIED: Final = (
    *("src", "tests", "docs", "deploy", "bench", "clients/js/src"),
    *("pyproject.toml", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
)
LEFT_OUT: Final = shutil.ignore_patterns("node_modules", "__pycache__", "dist", "*.pyc")
WAIT: Final = 300.0
_HEADING: Final = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_PLACE: Final = (
    r"(?:, (?P<where>below|above|instead of) `(?P<anchor>[^`\n]+)`:|, (?P<end>at the end):)?"
)
_STEP: Final = re.compile(
    rf"^ *\*\*`(?P<file>[^`\n]+)`\*\*{_PLACE}\n\n(?P<pad> *)```\w*\n(?P<text>.*?)^(?P=pad)```$",
    re.DOTALL | re.MULTILINE,
)
_CONSOLE: Final = re.compile(r"^( *)```console\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_FENCE: Final = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
_INDENT: Final = " " * 4


class RecipeError(Exception):
    """A step cannot be followed as it is written."""


class Step(NamedTuple):
    """A block of a recipe: its file, where its lines go in it (empty: they are the whole file), its lines."""

    file: str
    where: str
    anchor: str
    text: str

    def apply(self, root: Path) -> None:
        """Write the block into its file below `root`.

        Raises:
            RecipeError: The text that the block is put beside is not in exactly one line.
        """
        path = root / self.file
        if not self.where:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text, encoding="utf-8")
            return
        if not path.is_file():
            raise RecipeError(f"{self.file}: there is no such file")
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if self.where == "at the end":
            lines.append(self.text)
        else:
            self._put(lines)
        path.write_text("".join(lines), encoding="utf-8")

    def _put(self, lines: list[str]) -> None:
        found = [number for number, line in enumerate(lines) if self.anchor in line]
        if len(found) != 1:
            raise RecipeError(f"{self.file}: {len(found)} lines contain {self.anchor!r}, not one")
        (at,) = found
        beside = lines[at]
        indent = beside[: len(beside) - len(beside.lstrip())]
        if self.where == "below" and beside.rstrip().endswith((":", "(", "[", "{")):
            indent += _INDENT
        added = [
            f"{indent}{line}" if line.strip() else line
            for line in self.text.splitlines(keepends=True)
        ]
        start = at + 1 if self.where == "below" else at
        lines[start : at + (self.where != "above")] = added


class Recipe(NamedTuple):
    """A section of a page: its heading, its steps and its commands."""

    page: Path
    heading: str
    steps: tuple[Step, ...]
    commands: tuple[str, ...]

    def follow(self, folder: Path) -> "Copy":
        """Apply all steps to a copy of the tree in `folder`."""
        for name in COPIED:
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=LEFT_OUT)
            else:
                shutil.copy(source, target)
        for step in self.steps:
            step.apply(folder)
        return Copy(folder)


class Copy:
    """A copy of the tree, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTEST_"))}
        # The copy goes before the installed package, which is the original.
        self._environ = kept | {"PYTHONPATH": f"{folder / 'src'}:{folder}"}

    def run(self, line: str) -> str:
        """Return what a command prints; it must end with 0."""
        done = subprocess.run(
            _command(line),
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout[-6000:], done.stderr[-2000:])
        return done.stdout

    def checks(self, steps: tuple[Step, ...]) -> None:
        """Check the style of the Python files that the steps have changed."""
        changed = sorted({step.file for step in steps if step.file.endswith(".py")})
        if changed:
            self.run(f".venv/bin/ruff check --no-cache {shlex.join(changed)}")
            self.run(f".venv/bin/ruff format --no-cache --check {shlex.join(changed)}")


def _steps(section: str) -> list[Step]:
    return [
        Step(
            match["file"],
            match["where"] or match["end"] or "",
            match["anchor"] or "",
            _without(match["pad"], match["text"]),
        )
        for match in _STEP.finditer(section)
    ]


def _commands(section: str) -> list[str]:
    return [
        line.strip()[2:]
        for match in _CONSOLE.finditer(section)
        for line in match[2].splitlines()
        if line.strip().startswith("$ ")
    ]


def _without(pad: str, text: str) -> str:
    """Take the indentation of a block in a list away."""
    return "".join(line.removeprefix(pad) for line in text.splitlines(keepends=True))


def recipes(page: Path, beginning: str = "Adding") -> list[Recipe]:
    """Return the recipes of a page: its sections with steps whose heading begins so."""
    text = page.read_text(encoding="utf-8")
    # A comment of a shell or of Python within a block is no heading.
    prose = re.sub(
        r"^( *)```.*?^\1```$",
        lambda found: "." * len(found[0]),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    found = []
    headings = list(_HEADING.finditer(prose))
    for number, heading in enumerate(headings):
        deeper = (
            each.start() for each in headings[number + 1 :] if len(each[1]) <= len(heading[1])
        )
        section = text[heading.end() : next(deeper, len(text))]
        recipe = Recipe(page, heading[2], tuple(_steps(section)), tuple(_commands(section)))
        if heading[2].startswith(beginning) and recipe.steps:
            found.append(recipe)
    return found


RECIPES: Final = tuple(recipe for page in PAGES if page.is_file() for recipe in recipes(page))


def of_a_recipe(block: Block) -> bool:
    """Return whether a block of a page belongs to a recipe, so that `test_recipes.py` follows it."""
    found = [each for each in RECIPES if each.page == block.page]
    if block.info == "console":
        commands = _commands(f"```console\n{block.text}```")
        return any(set(commands) <= set(each.commands) for each in found)
    texts = {dedent(step.text) for each in found for step in each.steps}
    return dedent(block.text) in texts


def _command(line: str) -> list[str]:
    if line == "make docs":
        return [sys.executable, "-m", "docs.generate"]
    program, *arguments = shlex.split(line)
    if program.startswith(".venv/bin/"):
        program = str(Path(sys.executable).parent / Path(program).name)
    return [program, *arguments]
