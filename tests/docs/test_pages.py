"""What the pages show can be followed, loaded and compiled."""

import ast
from hashlib import sha256

import pytest

from portward.app.judging import parse_origin_entry, this_machine
from portward.settings import CheckLevel, Machine, Settings, checklist, load, startup_errors
from portward.settings.checks import RULES
from tests.docs.pages import DOCS, Block, anchors, blocks, links, pages
from tests.recipes.recipe import of_a_recipe


def test_links_lead_somewhere() -> None:
    """Every relative link of a page leads to a file, and to a heading where it names one."""
    broken = []
    for page, link in ((each, link) for each in pages() for link in links(each)):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append((page, link))
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    """The index links to every page of the documentation."""
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "README.md")}
    decisions = DOCS / "decisions"
    expected = {
        page for page in DOCS.rglob("*.md") if page.name == "README.md" or page.parent != decisions
    }
    assert expected - linked - {DOCS / "README.md"} == set()


@pytest.mark.parametrize("block", blocks("toml"), ids=repr)
def test_settings_load(block: Block) -> None:
    """Every TOML block is a file of settings that loads, and with which a gateway would start."""
    found = startup_errors(
        loaded(block),
        Machine(parse_origin=parse_origin_entry, is_file=lambda _: True, is_folder=lambda _: True),
    )
    assert found == []


def loaded(block: Block) -> Settings:
    """Load a block; every file it names exists, and holds a secret or key of its own."""

    def read(path: str) -> str:
        if path == "portward.toml":
            return block.text
        if path.endswith(".pem"):
            return "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n"
        return sha256(path.encode()).hexdigest()

    return load({}, "portward.toml", read=read).settings


def test_production_settings_pass_the_checklist() -> None:
    """The whole file of the production page meets every rule, as the page says."""
    whole = blocks("toml", DOCS / "how-to" / "production.md")[0]
    prepared = this_machine()._replace(is_folder=lambda path: path == "/var/lib/portward")
    found = checklist(loaded(whole), prepared)
    assert [each for each in found if each.level in {CheckLevel.WARN, CheckLevel.FAIL}] == []


def test_python_compiles() -> None:
    """Every Python block is Python, but for parts in recipes; `await` may stand at its top level."""
    for block in blocks("python"):
        if not of_a_recipe(block):
            compile(block.text, repr(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_production_page_names_every_rule() -> None:
    """The walk through the checklist leaves no rule out and invents none."""
    text = (DOCS / "how-to" / "production.md").read_text(encoding="utf-8")
    rules = {rule.id for rule in RULES}
    named = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert named == rules
