"""Reads the documentation: pages, links, headings and fenced blocks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
_FENCE: Final = re.compile(r"^( *)```(.*?)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_FILE: Final = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN: Final = re.compile(r"`[^`\n]*`")
_LINK: Final = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: the page it is on, what stands behind the fence, its text."""

    page: Path
    info: str
    text: str

    def __repr__(self) -> str:
        line = self.page.read_text(encoding="utf-8").partition(self.text)[0].count("\n") + 1
        return f"{self.page.relative_to(ROOT)}:{line}"


def pages() -> list[Path]:
    """Every page of the documentation, and those at the root that link into it."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def blocks(info: str, folder: Path = DOCS) -> list[Block]:
    """The fenced blocks with this word behind the fence, of the documentation and the README."""
    found = [ROOT / "README.md", *sorted(folder.rglob("*.md"))] if folder == DOCS else [folder]
    return [
        Block(page, match[2], match[3])
        for page in found
        for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
        if match[2] == info
    ]


def files(page: Path) -> dict[str, str]:
    """The whole files of a page: blocks below a line with nothing but a bold file name."""
    return dict(_FILE.findall(page.read_text(encoding="utf-8")))


def links(page: Path) -> Iterator[str]:
    """The targets of a page's links, those in code left out."""
    prose = _SPAN.sub("``", _FENCE.sub("", page.read_text(encoding="utf-8")))
    yield from _LINK.findall(prose)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in _HEADING.findall(prose):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = sum(each == slug or each.rpartition("-")[0] == slug for each in found)
        found.add(f"{slug}-{count}" if slug in found else slug)
    return found
