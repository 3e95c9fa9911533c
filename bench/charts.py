"""Curves and bars as small SVG files, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 440
_LEFT, _TOP, _BOTTOM = 72, 46, 56
_LEGEND = 190
# Distinguishable without red and green (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666")
_FONT = 'font-family="Helvetica, Arial, sans-serif"'


@dataclass(frozen=True, slots=True)
class Series:
    """A named curve; `dashed` for what was not measured but follows."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`, linear or logarithmic."""

    name: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one, at most one length outside."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        at = math.log10(max(value, 1e-300)) if self.log else value
        return min(max((at - low) / (high - low), -1.0), 2.0)

    def ticks(self) -> list[float]:
        """Return the values to be marked: powers of ten, or about six round steps."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            step = max(1, (last - first) // 7)
            return [10.0**power for power in range(first, last + 1, step)]
        raw = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(raw))
        rise = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw)
        return [round(self.low + rise * number, 10) for number in range(int((self.high - self.low) / rise + 1e-6) + 1)]


def lines(title: str, x: Axis, y: Axis, series: Sequence[Series], marks: Sequence[tuple[float, str]] = ()) -> str:
    """Draw curves; `marks` are upright lines at a value of x, with a word."""
    right, bottom = WIDTH - _LEGEND, HEIGHT - _BOTTOM

    def at(px: float, py: float) -> tuple[float, float]:
        return _LEFT + x.place(px) * (right - _LEFT), bottom - y.place(py) * (bottom - _TOP)

    area = f'x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}"'
    plot = f'<clipPath id="plot"><rect {area}/></clipPath>'
    out = [plot, _frame(x, y, right, bottom)]
    for value, word in marks:
        place = at(value, y.low)[0]
        out.append(f'<path d="M{place:.1f} {_TOP}V{bottom}" stroke="#999" stroke-dasharray="2 3"/>')
        out.append(_text(place + 4, _TOP + 12, word, size=11, fill="#555"))
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [at(*point) for point in one.points]
        dash = ' stroke-dasharray="6 4"' if one.dashed else ""
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
        pen = f'fill="none" stroke="{colour}" stroke-width="2" clip-path="url(#plot)"{dash}'
        out.append(f'<polyline points="{path}" {pen}/>')
        row = _TOP + 10 + 34 * number
        out.append(f'<path d="M{right + 14} {row}h18" stroke="{colour}" stroke-width="3"{dash}/>')
        for part, words in enumerate(_wrapped(one.name, 22)):
            out.append(_text(right + 38, row + 4 + 13 * part, words, size=12))
    return _page(title, "".join(out), HEIGHT)


def bars(title: str, rows: Sequence[tuple[str, Sequence[float]]], parts: Sequence[str]) -> str:
    """Draw one bar per row, divided into shares that add up to 1 at most, in the order of `parts`."""
    height, left = _TOP + 22 * len(rows) + 30, 130
    right = WIDTH - 60
    out = []
    spots = [left + number * (right - left) / len(parts) for number in range(len(parts))]
    for number, (part, spot) in enumerate(zip(parts, spots, strict=True)):
        out.append(f'<rect x="{spot:.0f}" y="32" width="12" height="10" fill="{_shade(number)}"/>')
        out.append(_text(spot + 17, 41, part, size=12))
    for number, (name, shares) in enumerate(rows):
        top = _TOP + 8 + 22 * number
        out.append(_text(left - 8, top + 13, name, size=12, anchor="end"))
        start = float(left)
        for place, share in enumerate(shares):
            width = share * (right - left)
            out.append(f'<rect x="{start:.1f}" y="{top}" width="{width:.1f}" height="17" fill="{_shade(place)}"/>')
            start += width
        out.append(_text(right + 8, top + 13, f"{shares[0]:.0%}", size=12))
    return _page(title, "".join(out), height)


def _shade(number: int) -> str:
    return ("#0072b2", "#56b4e9", "#e69f00", "#d9d9d9", "#bbbbbb")[number % 5]


def _frame(x: Axis, y: Axis, right: int, bottom: int) -> str:
    out = []
    for tick in x.ticks():
        place = _LEFT + x.place(tick) * (right - _LEFT)
        out.append(f'<path d="M{place:.1f} {_TOP}V{bottom}" stroke="#e5e5e5"/>')
        out.append(_text(place, bottom + 17, _number(tick), size=12, anchor="middle"))
    for tick in y.ticks():
        place = bottom - y.place(tick) * (bottom - _TOP)
        out.append(f'<path d="M{_LEFT} {place:.1f}H{right}" stroke="#e5e5e5"/>')
        out.append(_text(_LEFT - 7, place + 4, _number(tick), size=12, anchor="end"))
    out.append(f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="#333"/>')
    out.append(_text((_LEFT + right) / 2, bottom + 40, x.name, size=13, anchor="middle"))
    middle = (_TOP + bottom) / 2
    out.append(f'<g transform="rotate(-90 18 {middle})">{_text(18, middle, y.name, size=13, anchor="middle")}</g>')
    return "".join(out)


def _number(value: float) -> str:
    if value == 0:
        return "0"
    power = math.log10(abs(value))
    if power >= 4 or power < -3:
        exponent = math.floor(power + 1e-9)
        return f"10{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return f"{value:,.4g}"


def _wrapped(words: str, longest: int) -> list[str]:
    found = [""]
    for word in words.split():
        if found[-1] and len(found[-1]) + len(word) >= longest:
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    return found


def _text(x: float, y: float, words: str, *, size: int, anchor: str = "start", fill: str = "#222") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}">{escape(words)}</text>'
    )


def _page(title: str, content: str, height: int) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}" {_FONT}>'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    return f"{head}{paper}{_text(14, 22, title, size=15)}{content}</svg>\n"
