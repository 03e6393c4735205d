"""Every recipe for a change, followed as it is written in a copy of the tree, works."""

from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.recipes.recipe import RECIPES, Recipe, RecipeError, Step, recipes


@pytest.mark.timeout(300)
@pytest.mark.parametrize("recipe", RECIPES, ids=[each.heading for each in RECIPES])
def test_a_recipe_works(recipe: Recipe, tmp_path: Path) -> None:
    """Its steps can be taken, what they change has the style of the tree, and its commands end with 0."""
    assert recipe.commands, f"{recipe.page.name}: {recipe.heading} runs nothing"
    copy = recipe.follow(tmp_path)
    code = "import portward, pathlib; print(pathlib.Path(portward.__file__).parents[2])"
    assert copy.run(f".venv/bin/python -c '{code}'").strip() == str(tmp_path)
    copy.checks(recipe.steps)
    for command in recipe.commands:
        copy.run(command)


def test_there_are_recipes() -> None:
    """Each kind of change that the architecture names has one place, and a recipe for it."""
    assert {each.heading for each in RECIPES} >= {
        "Adding a setting",
        "Adding a limit",
        "Adding a metric",
        "Adding an event",
        "Adding a protocol",
    }


def test_a_command_that_fails_fails_the_recipe(tmp_path: Path) -> None:
    """A recipe is as good as its commands: one that ends with another status is a failure."""
    copy = Recipe(ROOT / "CONTRIBUTING.md", "Adding nothing", (), ()).follow(tmp_path)
    with pytest.raises(AssertionError, match="no such test"):
        copy.run(".venv/bin/python -c 'raise SystemExit(\"no such test\")'")


@pytest.mark.parametrize(
    ("where", "anchor", "expected"),
    [
        ("", "", "new\n"),
        ("below", "def one", "def one():\n    new\n    return 1\n"),
        ("below", "return 1", "def one():\n    return 1\n    new\n"),
        ("above", "return 1", "def one():\n    new\n    return 1\n"),
        ("instead of", "return 1", "def one():\n    new\n"),
        ("at the end", "", "def one():\n    return 1\nnew\n"),
    ],
)
def test_where_a_step_goes(where: str, anchor: str, expected: str, tmp_path: Path) -> None:
    """Lines go beside the line that is named, with its indentation, or make the whole file."""
    path = tmp_path / "a.py"
    path.write_text("def one():\n    return 1\n")
    Step("a.py", where, anchor, "new\n").apply(tmp_path)
    assert path.read_text() == expected


@pytest.mark.parametrize(
    ("file", "anchor", "error"),
    [
        ("a.py", "absent", "a.py: 0 lines contain 'absent', not one"),
        ("a.py", "one", "a.py: 2 lines contain 'one', not one"),
        ("b.py", "one", "b.py: there is no such file"),
    ],
)
def test_a_step_that_cannot_be_taken(file: str, anchor: str, error: str, tmp_path: Path) -> None:
    """A step beside a line that is not there, or is there twice, says so."""
    (tmp_path / "a.py").write_text("one\none\n")
    with pytest.raises(RecipeError) as caught:
        Step(file, "below", anchor, "new\n").apply(tmp_path)
    assert str(caught.value) == error


def test_what_is_read_from_a_page(tmp_path: Path) -> None:
    """A recipe ends with its section; comments in blocks are no headings, and lists indent their blocks."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n## Adding a b\n\n1. Write:\n\n   **`b.py`**\n\n   ```python\n   # b\n   if b:\n"
        "       c\n   ```\n\n### More\n\n```console\n# root\n$ run b\nprinted\n```\n\n"
        "**`d.py`**, below `x`:\n\n```python\ny\n```\n\n## Adding nothing\n\n## Other\n\n**`e.py`**\n\n"
        "```python\nz\n```\n"
    )
    (found,) = recipes(page)
    assert (found.heading, found.commands) == ("Adding a b", ("run b",))
    assert found.steps == (
        Step("b.py", "", "", "# b\nif b:\n    c\n"),
        Step("d.py", "below", "x", "y\n"),
    )
