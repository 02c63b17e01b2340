"""A chart of bars as SVG, for light pages and dark ones."""

from collections.abc import Mapping, Sequence
from html import escape

COLOURS = ("#3b82f6", "#14b8a6", "#f59e0b", "#ec4899", "#8b5cf6")
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #1f2937 } .back { fill: #fff }
.value { font-size: 10px; fill: #6b7280 } .title { font-size: 15px; font-weight: 600 }
.ours { font-weight: 700 }
@media (prefers-color-scheme: dark) {
  text { fill: #e5e7eb } .back { fill: #111827 } .value { fill: #9ca3af }
}"""
WIDTH, LEFT, RIGHT, TOP = 860, 300, 60, 64
BAR, GAP = 11, 10
"""Pixels: a bar's height, and the space between two groups."""


def bars(
    title: str,
    series: Sequence[str],
    groups: Mapping[str, Sequence[float]],
    *,
    bold: Sequence[str] = (),
) -> str:
    """Groups of horizontal bars, one of each series, all from zero and to one scale.

    Args:
        title: says what is shown, and in which unit.
        series: what each bar of a group is; five at the most.
        groups: by their labels; a value for each of the series.
        bold: the labels that stand out.
    """
    most = max(max(values) for values in groups.values())
    scale = (WIDTH - LEFT - RIGHT) / most
    step = BAR * len(series) + GAP
    height = TOP + step * len(groups) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text class="title" x="16" y="26">{escape(title)}</text>',
    ]
    for place, name in enumerate(series):
        x = LEFT + place * 110
        parts.append(f'<rect x="{x}" y="40" width="10" height="10" fill="{COLOURS[place]}"/>')
        parts.append(f'<text x="{x + 15}" y="49">{escape(name)}</text>')
    for number, (label, values) in enumerate(groups.items()):
        y = TOP + number * step
        middle = y + BAR * len(series) / 2 + 4
        kind = ' class="ours"' if label in bold else ""
        parts.append(
            f'<text{kind} x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{escape(label)}</text>'
        )
        for place, value in enumerate(values):
            top, long = y + place * BAR, max(1.0, value * scale)
            parts.append(
                f'<rect x="{LEFT}" y="{top}" width="{long:.1f}" height="{BAR - 1}" fill="{COLOURS[place]}"/>'
            )
            parts.append(
                f'<text class="value" x="{LEFT + long + 4:.1f}" y="{top + BAR - 1}">{value:.0f}</text>'
            )
    return "\n".join([*parts, "</svg>", ""])
