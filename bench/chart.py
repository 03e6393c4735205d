"""A bar chart of the figures in plain SVG."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.figure import Figure, Row

WIDTH, LABEL, BAR, STEP, TITLE, MARGIN = 860, 280, 470, 24, 46, 20

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933; }
.title { font-weight: 600; }
.value { font-variant-numeric: tabular-nums; }
.bar { fill: #b6c2cf; }
.ours { fill: #1769aa; }
.sheet { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb; }
  .bar { fill: #52606d; }
  .ours { fill: #5aa9e6; }
  .sheet { fill: #14191f; }
}
"""


def chart(figures: Sequence[Figure]) -> str:
    """The document: one group of bars a figure, each to the scale of its own largest value."""
    parts: list[str] = []
    top = MARGIN
    for figure in figures:
        parts += _group(figure, top)
        top += TITLE + STEP * len(figure.rows) + MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img"'
            ' aria-label="What the gateway costs beside its peers">',
            f"<style>{_STYLE}</style>",
            f'<rect class="sheet" width="{WIDTH}" height="{top}"/>',
            *parts,
            "</svg>\n",
        )
    )


def _group(figure: Figure, top: int) -> list[str]:
    most = max((row.value for row in figure.rows), default=0.0) or 1.0
    title = escape(f"{figure.name}  {figure.title} ({figure.unit})")
    parts = [f'<text class="title" x="{MARGIN}" y="{top + 20}">{title}</text>']
    for number, row in enumerate(figure.rows):
        parts += _bar(row, top + TITLE + STEP * number, most)
    return parts


def _bar(row: Row, top: int, most: float) -> list[str]:
    width = max(1.0, BAR * max(row.value, 0.0) / most)
    middle = top + 12
    kind = "bar ours" if row.ours else "bar"
    return [
        f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(row.contender)}</text>',
        f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{width:.1f}" height="16" rx="2"/>',
        f'<text class="value" x="{LABEL + width + 8:.1f}" y="{middle}">{row.value:.2f}</text>',
    ]
