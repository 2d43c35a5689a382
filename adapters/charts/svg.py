"""Charts as SVG text: bars, stacked bars, lines with a band, donuts, ranges against a target.

Everything is said by presentation attributes: no script, no style, no event handlers, so that any content security
policy lets it stand in a page. Text and axes have the colour of the text around them, which is light or dark. Who does
not see it is told its title and description; a table with the figures belongs beside it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from html import escape

from core.domain.report_tables import Chart, ChartKind

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 16, 48
LEGEND_LINE, LEGEND_COLUMNS = 20, 3
RANGE_WIDTH, RANGE_LINE, RANGE_LEFT = 480, 32, 130
COLOURS = ("#2f7fc1", "#d9822b", "#2e9d6b", "#b4579f", "#8a7a1f", "#4aa3b5", "#c0504d", "#7a6fc0", "#8c8c8c")
"""Each is told from the others, and from white and from black; with more series they begin anew."""
_MOST_LABELS = 12
_MOST_LETTERS = 24


def draw(chart: Chart) -> str:
    match chart.kind:
        case ChartKind.BARS:
            return bars(chart)
        case ChartKind.STACKED:
            return stacked(chart)
        case ChartKind.LINES:
            return lines(chart)
        case ChartKind.DONUT:
            return donut(chart)
        case ChartKind.RANGES:
            return ranges(chart)


def bars(chart: Chart) -> str:
    """The series of each label side by side; what is below 0 hangs."""
    values = [value for series in chart.series.values() for value in series if value is not None]
    low, high, step = scale(min([0.0, *values]), max([0.0, *values]))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(chart.labels))
    width = slot * 0.8 / max(1, len(chart.series))
    parts = []
    for n, series in enumerate(chart.series.values()):
        for place, value in enumerate(series):
            if value is not None:
                x = LEFT + place * slot + slot * 0.1 + n * width
                parts.append(_bar(x, width, _y(0, low, high), _y(value, low, high), _colour(n)))
    return _svg(chart, [*_axes(chart, low, high, step), *parts])


def stacked(chart: Chart) -> str:
    """The series of each label on top of each other; what is below 0 hangs below."""
    ups, downs = [0.0] * len(chart.labels), [0.0] * len(chart.labels)
    placed: list[tuple[int, int, float, float]] = []
    for n, series in enumerate(chart.series.values()):
        for place, value in enumerate(series):
            if value:
                pile = ups if value > 0 else downs
                placed.append((n, place, pile[place], pile[place] + value))
                pile[place] += value
    low, high, step = scale(min([0.0, *downs]), max([0.0, *ups]))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(chart.labels))
    parts = [
        _bar(LEFT + place * slot + slot * 0.15, slot * 0.7, _y(start, low, high), _y(end, low, high), _colour(n))
        for n, place, start, end in placed
    ]
    return _svg(chart, [*_axes(chart, low, high, step), *parts])


def lines(chart: Chart) -> str:
    """A line for each series, broken where a value is missing; the band lies behind."""
    values = [value for series in chart.series.values() for value in series if value is not None]
    values += [end for ends in chart.band if ends is not None for end in ends]
    low, high, step = scale(min(values, default=0.0), max(values, default=1.0))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(chart.labels))
    xs = [LEFT + (place + 0.5) * slot for place in range(len(chart.labels))]
    parts = []
    for run in _runs(chart.band):
        ends = [(xs[place], chart.band[place]) for place in run]
        upper = [f"{x:.1f},{_y(band[1], low, high):.1f}" for x, band in ends if band is not None]
        lower = [f"{x:.1f},{_y(band[0], low, high):.1f}" for x, band in reversed(ends) if band is not None]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{COLOURS[0]}" fill-opacity="0.2"/>')
    for n, series in enumerate(chart.series.values()):
        for run in _runs(series):
            points = [
                f"{xs[place]:.1f},{_y(value, low, high):.1f}" for place in run if (value := series[place]) is not None
            ]
            parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{_colour(n)}" stroke-width="2"/>')
            dots = (point.split(",") for point in points)
            parts.extend(f'<circle cx="{x}" cy="{y}" r="3" fill="{_colour(n)}"/>' for x, y in dots)
    return _svg(chart, [*_axes(chart, low, high, step), *parts])


def donut(chart: Chart) -> str:
    """A ring, of which each series takes the share that its one value has of all."""
    values = [max(0.0, series[0] or 0.0) if series else 0.0 for series in chart.series.values()]
    whole, radius, start = sum(values), 95.0, 0.0
    middle_x, middle_y, length = WIDTH / 2, HEIGHT / 2 - 16, 2 * math.pi * 95.0
    parts = []
    for n, value in enumerate(values):
        if not value:
            continue
        share = value / whole
        parts.append(
            f'<circle cx="{middle_x:.1f}" cy="{middle_y:.1f}" r="{radius:.1f}" fill="none" stroke="{_colour(n)}"'
            f' stroke-width="44" stroke-dasharray="{share * length:.2f} {length:.2f}"'
            f' transform="rotate({start * 360 - 90:.2f} {middle_x:.1f} {middle_y:.1f})"/>'
        )
        start += share
    parts.append(_text(middle_x, middle_y + 5, _short(whole, share=chart.share), anchor="middle", size=16))
    return _svg(chart, parts)


def ranges(chart: Chart) -> str:
    """A line for each label, from the low end of its interval to the high one, and a dot at its value; the target
    across all of them. What has no value has its label alone."""
    values = [value for series in chart.series.values() for value in series]
    bands = list(chart.band) or [None] * len(values)
    ends = [end for band in bands if band is not None for end in band]
    ends += [value for value in (*values, chart.target) if value is not None]
    low, high, step = scale(min(ends, default=0.0), max(ends, default=1.0))
    bottom = TOP + RANGE_LINE * len(chart.labels)

    def at(value: float) -> float:
        return RANGE_LEFT + (RANGE_WIDTH - RANGE_LEFT - 2 * RIGHT) * (value - low) / (high - low)

    parts = []
    for n in range(round((high - low) / step) + 1):
        x = at(low + n * step)
        parts.append(_line(x, TOP, x, bottom, opacity="0.15"))
        parts.append(_text(x, bottom + 18, _short(low + n * step, share=chart.share, step=step), anchor="middle"))
    if chart.target is not None:
        x = at(chart.target)
        parts.append(_line(x, TOP - 8, x, bottom, opacity="0.9", more=' stroke-dasharray="4 3" stroke-width="1.5"'))
    for place, (label, value, band) in enumerate(zip(chart.labels, values, bands, strict=False)):
        y = TOP + RANGE_LINE * (place + 0.5)
        parts.append(_text(0, y + 4, _cut(label, _MOST_LETTERS)))
        if band is not None:
            parts.append(
                f'<line x1="{at(band[0]):.1f}" x2="{at(band[1]):.1f}" y1="{y:.1f}" y2="{y:.1f}"'
                f' stroke="{COLOURS[0]}" stroke-width="8" stroke-opacity="0.45" stroke-linecap="round"/>'
            )
        if value is not None:
            parts.append(f'<circle cx="{at(value):.1f}" cy="{y:.1f}" r="6" fill="{COLOURS[0]}"/>')
    return _picture(chart, parts, width=RANGE_WIDTH, height=bottom + 28)


def scale(low: float, high: float, ticks: int = 5) -> tuple[float, float, float]:
    """Round ends around the values, and the step between lines."""
    spread = (high - low) or abs(high) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(max(spread / ticks, sys.float_info.min)))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor * ticks >= spread * 0.999)
    first, last = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return first, last if last > first else first + step, step


def _axes(chart: Chart, low: float, high: float, step: float) -> list[str]:
    parts = []
    for n in range(round((high - low) / step) + 1):
        value = low + n * step
        y = _y(value, low, high)
        opacity = "0.6" if abs(value) < step / 1e6 else "0.15"
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, opacity=opacity))
        parts.append(_text(LEFT - 8, y + 4, _short(value, share=chart.share, step=step), anchor="end"))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(chart.labels))
    every = math.ceil(len(chart.labels) / _MOST_LABELS) or 1
    room = max(4, int(slot * every / 6.5))
    for place, label in enumerate(chart.labels):
        if place % every == 0:
            parts.append(_text(LEFT + (place + 0.5) * slot, HEIGHT - BOTTOM + 18, _cut(label, room), anchor="middle"))
    return parts


def _svg(chart: Chart, parts: Iterable[str]) -> str:
    height = HEIGHT + LEGEND_LINE * math.ceil(len(chart.series) / LEGEND_COLUMNS)
    return _picture(chart, [*parts, *_legend(list(chart.series))], width=WIDTH, height=height)


def _picture(chart: Chart, parts: Iterable[str], *, width: int, height: int) -> str:
    title, description = escape(chart.title), escape(chart.description)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" viewBox="0 0 {width} {height}"'
        f' width="100%" fill="currentColor" font-family="sans-serif" font-size="12"><title>{title}</title>'
        f"<desc>{description}</desc>{''.join(parts)}</svg>"
    )


def _legend(names: Sequence[str]) -> list[str]:
    parts, column = [], (WIDTH - LEFT) / LEGEND_COLUMNS
    for n, name in enumerate(names):
        x, y = LEFT + (n % LEGEND_COLUMNS) * column, HEIGHT + (n // LEGEND_COLUMNS) * LEGEND_LINE
        parts.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" fill="{_colour(n)}"/>')
        parts.append(_text(x + 18, y, _cut(name, _MOST_LETTERS)))
    return parts


def _bar(x: float, width: float, start: float, end: float, colour: str) -> str:
    y, height = min(start, end), max(abs(start - end), 0.5)
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, *, opacity: str, more: str = "") -> str:
    ends = f'x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-opacity="{opacity}"{more}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int | None = None) -> str:
    larger = f' font-size="{size}"' if size else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{larger}>{escape(text)}</text>'


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def _runs(values: Sequence[object]) -> list[list[int]]:
    """The places of values that follow each other without one missing."""
    runs: list[list[int]] = []
    for place, value in enumerate(values):
        if value is not None:
            if runs and runs[-1][-1] == place - 1:
                runs[-1].append(place)
            else:
                runs.append([place])
    return runs


def _colour(n: int) -> str:
    return COLOURS[n % len(COLOURS)]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _short(value: float, *, share: bool = False, step: float | None = None) -> str:
    """As an axis says it: 1.2M, 350k, 97.5%."""
    if share:
        return f"{value * 100:.10g}%" if step is None or step >= 0.01 else f"{value * 100:.1f}%"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size and (step is None or step >= size / 10):
            return f"{value / size:.4g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
