"""Bars in SVG: numbers in, markup out, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

WIDTH, HEIGHT = 640, 120


def stacked(parts: Mapping[str, float]) -> str:
    """One bar, divided as the numbers are; `kind-0`, `kind-1` and so on are the classes of its parts."""
    total = sum(parts.values()) or 1
    bars, left = [], 0.0
    for place, (name, value) in enumerate(parts.items()):
        width = WIDTH * max(value, 0) / total
        if width:
            title = f"<title>{escape(name)}: {100 * value / total:.1f} %</title>"
            bars.append(f'<rect class="kind-{place}" {_box(left, 0, width, 28)}>{title}</rect>')
        left += width
    return _svg(28, "".join(bars), "shares of the bytes")


def columns(counts: Mapping[str, float]) -> str:
    """A column for each number, named below it."""
    most = max([1.0, *counts.values()])
    step = WIDTH / max(len(counts), 1)
    drawn = []
    for place, (name, value) in enumerate(counts.items()):
        height = (HEIGHT - 20) * value / most
        title = f"<title>{escape(name)}: {value:,.0f}</title>"
        box = _box(step * place + 1, HEIGHT - 20 - height, step - 2, height)
        drawn.append(f'<rect class="kind-0" {box}>{title}</rect>')
        middle = f'x="{step * (place + 0.5):.1f}" y="{HEIGHT - 6}"'
        drawn.append(f'<text {middle} text-anchor="middle">{escape(name)}</text>')
    return _svg(HEIGHT, "".join(drawn), "documents by length")


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'


def _svg(height: int, inside: str, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'
