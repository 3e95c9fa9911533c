"""Drawn charts and maps as programs save them: pure colours, pale thin lines, exact white. No light has run over them.

For the network that judges exposure alone. As in `pipeline.training.drawn`, a painter returns RGB grey levels,
float32 [h, w, 3]; `saved` turns them into a picture without any noise, as no camera does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.decode import Pixels
from pipeline.training.drawn import Levels

Ink = tuple[float, float, float]
Points = NDArray[np.float64]

_HEIGHTS = (240, 320, 480, 600, 800, 1200)
_ASPECTS = (0.6, 0.8, 1, 1.25, 1.33, 1.5, 1.8, 2.4)
_FONTS = (0, 2, 3)
_SHIFT = 4  # bits of a pixel: OpenCV places points in sixteenths
# A colour scale by its stops, light to dark, as cartographers and plotting libraries have them: one hue, two, a
# rainbow, a hot body, the pure corners of the cube.
_SCALES = (
    ((255, 255, 204), (254, 178, 76), (189, 0, 38)),
    ((247, 252, 240), (123, 204, 196), (8, 64, 129)),
    ((255, 247, 243), (247, 104, 161), (73, 0, 106)),
    ((165, 0, 38), (255, 255, 191), (49, 54, 149)),
    ((103, 0, 31), (247, 247, 247), (5, 48, 97)),
    ((253, 231, 37), (33, 145, 140), (68, 1, 84)),
    ((0, 0, 143), (0, 255, 255), (255, 255, 0), (128, 0, 0)),
    ((255, 255, 255), (255, 255, 0), (255, 0, 0), (10, 0, 0)),
    ((255, 0, 255), (0, 255, 255)),
    ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255), (255, 0, 0)),
    ((255, 255, 255), (0, 0, 0)),
    ((255, 255, 0), (0, 128, 102)),
)


def _sheet(rng: Generator) -> Pixels:
    """Lay a sheet, uint8 [h, w, 3]: mostly white, at times a little off it."""
    height = int(rng.choice(_HEIGHTS))
    width = int(height * rng.choice(_ASPECTS))
    paper = np.array([255, 255, 255]) if rng.random() < 0.85 else rng.integers(238, 256, 3)
    return np.full((height, width, 3), paper, np.uint8)


def _palette(rng: Generator, count: int) -> list[Ink]:
    """Choose inks: of one scale, pure, pastel or any."""
    kind = rng.random()
    if kind < 0.35:
        return _inks(_scale(rng, np.linspace(0, 1, count)))
    if kind < 0.6:
        pure = np.array([rng.choice(np.array([0, 255, 255, int(rng.integers(0, 256))]), 3) for _ in range(count)])
        return _inks(np.where(pure.min(1, keepdims=True) > 230, 255 - pure, pure))
    low, high = ((140, 256), (0, 200), (0, 256))[int(rng.integers(3))]
    return _inks(rng.integers(low, high, (count, 3)))


def _inks(colours: NDArray[np.generic]) -> list[Ink]:
    return [cast(Ink, tuple(float(level) for level in colour)) for colour in colours]


def _scale(rng: Generator, values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour values from 0 to 1 by one scale, either way round, uint8 [..., 3]."""
    stops = np.array(_SCALES[int(rng.integers(len(_SCALES)))], np.float64)
    stops = stops[::-1] if rng.random() < 0.3 else stops
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(values, at, stops[:, channel]) for channel in range(3)], -1).round().astype(np.uint8)


def _lay(page: Pixels, ink: Ink, opacity: float, draw: Callable[..., object]) -> None:
    """Draw in an ink that lets some of the page through."""
    if opacity >= 1:
        draw(page=page, ink=ink)
        return
    covered = page.copy()
    draw(page=covered, ink=ink)
    cv2.addWeighted(covered, opacity, page, 1 - opacity, 0, dst=page)


def _exact(points: Points) -> NDArray[np.int32]:
    return np.asarray(points * (1 << _SHIFT), np.int32).reshape(-1, 1, 2)


def _line(page: Pixels, points: Points, ink: Ink, width: int = 1) -> None:
    cv2.polylines(page, [_exact(points)], False, ink, width, cv2.LINE_AA, _SHIFT)


def _fill(page: Pixels, points: Points, ink: Ink) -> None:
    cv2.fillPoly(page, [_exact(points)], ink, cv2.LINE_AA, _SHIFT)


def _disc(page: Pixels, ink: Ink, place: tuple[int, int], radius: int) -> None:
    cv2.circle(page, place, radius, ink, -1, cv2.LINE_AA, _SHIFT)


def _write(page: Pixels, rng: Generator, place: tuple[float, float], letters: int, share: float = 0.03) -> None:
    """Write a word whose letters are as high as a share of the page."""
    size = max(0.28, share * page.shape[0] / 22)
    words = "".join(map(chr, rng.integers(48, 123, letters)))
    grey = float(rng.choice((0, 0, 40, 90)))
    cv2.putText(page, words, (int(place[0]), int(place[1])), int(rng.choice(_FONTS)), size, (grey,) * 3, 1, cv2.LINE_AA)


def _frame(page: Pixels, rng: Generator) -> tuple[float, float, float, float]:
    """Draw axes, a grid, figures and a title, some of them or none; return left, top, right and bottom in pixels."""
    height, width = page.shape[:2]
    left, right = width * rng.uniform(0.04, 0.16), width * rng.uniform(0.84, 0.97)
    top, bottom = height * rng.uniform(0.04, 0.16), height * rng.uniform(0.82, 0.95)
    pale = (float(rng.integers(170, 245)),) * 3
    grid = rng.random() < 0.5
    for share in np.linspace(0, 1, int(rng.integers(3, 9))):
        x, y = left + share * (right - left), bottom - share * (bottom - top)
        if grid:
            _line(page, np.array([(x, top), (x, bottom)]), pale)
            _line(page, np.array([(left, y), (right, y)]), pale)
        if rng.random() < 0.9:
            _write(page, rng, (x - 0.01 * width, bottom + 0.04 * height), int(rng.integers(1, 5)), 0.02)
            _write(page, rng, (0.2 * left, y), int(rng.integers(1, 4)), 0.02)
    ink = (float(rng.choice((0, 0, 60, 200))),) * 3
    if rng.random() < 0.6:
        cv2.rectangle(page, (int(left), int(top)), (int(right), int(bottom)), ink, 1)
    elif rng.random() < 0.7:
        _line(page, np.array([(left, top), (left, bottom), (right, bottom)]), ink, int(rng.integers(1, 3)))
    if rng.random() < 0.5:
        _write(page, rng, (width * rng.uniform(0.2, 0.5), 0.8 * top), int(rng.integers(4, 24)), 0.03)
    return left, top, right, bottom


def _legend(page: Pixels, rng: Generator, inks: list[Ink]) -> None:
    if rng.random() < 0.5:
        return
    height, width = page.shape[:2]
    x, y = width * rng.uniform(0.1, 0.75), height * rng.uniform(0.1, 0.6)
    for ink in inks[:8]:
        cv2.rectangle(page, (int(x), int(y)), (int(x + 0.03 * width), int(y + 0.02 * height)), ink, -1)
        _write(page, rng, (x + 0.04 * width, y + 0.02 * height), int(rng.integers(2, 10)), 0.02)
        y += 0.04 * height


def scatter(rng: Generator) -> Levels:
    """Draw clouds of points, each of its own colour or by a scale, in part transparent."""
    page = _sheet(rng)
    left, top, right, bottom = _frame(page, rng)
    groups, count = int(rng.integers(1, 6)), int(np.exp(rng.uniform(0.7, 6)))
    by_value, inks, opacity = rng.random() < 0.3, _palette(rng, groups), float(rng.choice((1, 1, 0.7)))
    largest = float(rng.choice((0.004, 0.008, 0.015, 0.06))) * page.shape[0]
    for ink in inks:
        middle, reach = rng.uniform(0.2, 0.8, 2), rng.uniform(0.02, 0.25, 2)
        at = np.clip(middle + reach * rng.standard_normal((count, 2)), 0, 1)
        marks = zip(at, _inks(_scale(rng, rng.random(count))) if by_value else [ink] * count, strict=True)
        if largest > 0.02 * page.shape[0]:
            marks = zip(at[:8], [ink] * len(at[:8]), strict=True)
        for (x, y), colour in marks:
            place = _exact(np.array([left + x * (right - left), top + y * (bottom - top)]))[0, 0]
            radius = int(max(1, largest * rng.uniform(0.6, 1)) * (1 << _SHIFT))
            _lay(
                page,
                colour,
                opacity if count < 40 else 1,
                partial(_disc, place=(int(place[0]), int(place[1])), radius=radius),
            )
    _legend(page, rng, inks)
    return page.astype(np.float32)


def fan(rng: Generator) -> Levels:
    """Draw many thin lines over the same few stations, or fill the bands between them."""
    page = _sheet(rng)
    left, top, right, bottom = _frame(page, rng)
    stations, groups = int(rng.integers(3, 40)), int(rng.integers(1, 6))
    x, inks = np.linspace(left, right, stations), _palette(rng, groups)
    opacity, filled = float(rng.choice((1, 0.6, 0.25))), rng.random() < 0.3
    for ink in inks:
        middle = np.clip(rng.uniform(0.2, 0.8) + np.cumsum(rng.normal(0, 0.6 / np.sqrt(stations), stations)), 0, 1)
        spread = rng.uniform(0.01, 0.15)
        if filled:
            edge = [bottom - (bottom - top) * np.clip(middle + side * spread, 0, 1) for side in (-1, 1)]
            around = np.concatenate([np.stack([x, edge[0]], 1), np.stack([x, edge[1]], 1)[::-1]])
            _lay(page, ink, opacity, partial(_fill, points=around))
        for _ in range(int(rng.integers(1, 25)) if not filled else 1):
            y = bottom - (bottom - top) * np.clip(middle + spread * rng.standard_normal(stations), 0, 1)
            way = np.stack([x, middle * 0 + y], 1)
            pen = int(rng.choice((1, 1, 2, max(1, page.shape[0] // 200))))
            _lay(page, ink, opacity, partial(_line, points=way, width=pen))
    for station in x if rng.random() < 0.3 else ():
        _line(page, np.array([(station, top), (station, bottom)]), (0, 0, 0))
    _legend(page, rng, inks)
    return page.astype(np.float32)


def pale_curves(rng: Generator) -> Levels:
    """Draw few thin lines, pale or dashed: levels of a function, a grid of a circle, error bars, boxes."""
    page = _sheet(rng)
    height, width = page.shape[:2]
    left, top, right, bottom = _frame(page, rng)
    middle, most = np.array([width / 2, height / 2]), 0.45 * min(height, width)
    turn = np.linspace(0, 2 * np.pi, 200)
    round_grid, count = rng.random() < 0.3, int(rng.integers(1, 12))
    for number in range(count):
        grey = (float(rng.integers(0, 235)),) * 3
        ink = grey if rng.random() < 0.6 else _palette(rng, 1)[0]
        if round_grid:
            reach = most * (number + 1) / count
            _line(page, middle + reach * np.stack([np.cos(turn), np.sin(turn)], 1), ink)
            angle = 2 * np.pi * number / count
            _line(page, np.array([middle, middle + most * np.array([np.cos(angle), np.sin(angle)])]), ink)
            continue
        if rng.random() < 0.4:
            x, y = left + (number + 0.5) * (right - left) / count, rng.uniform(0.2, 0.8) * height
            box, reach = np.array([0.2 * (right - left) / count, 0.05 * height]), rng.uniform(0.06, 0.2) * height
            corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * box + (x, y)
            _line(page, corners, ink)
            _line(page, np.array([(x, y - reach), (x, y + reach)]), ink)
            continue
        steps = np.linspace(0, 1, 60)
        bent = rng.uniform(0, 1) + rng.uniform(-1, 1) * steps ** rng.uniform(0.2, 5)
        way = np.stack([left + steps * (right - left), bottom - (bottom - top) * bent.clip(0, 1)], 1)
        pieces = np.split(way, range(3, 60, 3)) if rng.random() < 0.3 else [way]
        for piece in pieces:
            _line(page, piece[:2] if len(pieces) > 1 else piece, ink, int(rng.integers(1, 3)))
    return page.astype(np.float32)


def matrix(rng: Generator) -> Levels:
    """Fill a table with colours by a scale: what is not there stays white."""
    page = _sheet(rng)
    left, top, right, bottom = (int(edge) for edge in _frame(page, rng))
    rows, columns = int(rng.integers(2, 30)), int(rng.integers(2, 30))
    if rng.random() < 0.5:
        columns = rows
    values = rng.random((rows, columns)) ** rng.uniform(0.3, 6)
    if rng.random() < 0.4:
        values = np.maximum(0.1 * values, np.eye(rows, columns) * rng.uniform(0.6, 1, (rows, columns)))
    cells = _scale(rng, values)
    cells[rng.random((rows, columns)) < rng.choice((0, 0, 0.5))] = 255
    page[top:bottom, left:right] = cv2.resize(cells, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    if max(rows, columns) < 12 and rng.random() < 0.7:
        for row in range(rows):
            for column in range(columns):
                place = left + (column + 0.4) * (right - left) / columns, top + (row + 0.6) * (bottom - top) / rows
                _write(page, rng, place, int(rng.integers(1, 5)), 0.02)
    return page.astype(np.float32)


def lying_bars(rng: Generator) -> Levels:
    """Draw bars that lie or stand, close together, in pure or pale colours, with soft ends or none."""
    page = _sheet(rng)
    left, top, right, bottom = _frame(page, rng)
    count, opacity = int(rng.integers(2, 20)), float(rng.choice((1, 1, 0.6)))
    thick = rng.uniform(0.4, 1) * (bottom - top) / count
    inks = _palette(rng, count if rng.random() < 0.5 else 1)
    for bar in range(count):
        length = rng.uniform(0.1, 1) * (right - left)
        y = top + (bar + 0.5) * (bottom - top) / count
        steps = np.linspace(-0.5, 0.5, 20)
        ends = left + length * (1 - 0.2 * rng.random() * np.abs(2 * steps) ** 2)
        way = np.stack([np.r_[left, ends, left], y + thick * np.r_[-0.5, steps, 0.5]], 1)
        _lay(page, inks[bar % len(inks)], opacity, partial(_fill, points=way))
    if rng.random() < 0.5:
        page = np.ascontiguousarray(np.rot90(page))
    return page.astype(np.float32)


def land(rng: Generator) -> Levels:
    """Draw a map: countries in flat colours, with borders or without, in a sea of white or grey."""
    page = _sheet(rng)
    height, width = page.shape[:2]
    count = int(rng.integers(4, 40))
    small = max(2, height // 4), max(2, width // 4)
    y, x = np.mgrid[: small[0], : small[1]].astype(np.float32)
    bent = [
        cv2.resize(rng.standard_normal((9, 9), np.float32), small[::-1], interpolation=cv2.INTER_CUBIC)
        * reach
        * small[0]
        for reach in rng.uniform(0.01, 0.05, 2)
    ]
    away = np.stack(
        [np.hypot(x + bent[0] - rng.uniform(0, small[1]), y + bent[1] - rng.uniform(0, small[0])) for _ in range(count)]
    )
    nearest = cv2.resize(away.argmin(0).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    colours = np.array(_palette(rng, count), np.uint8)
    sea = rng.random(count) < rng.uniform(0.1, 0.7)
    colours[sea] = 255 if rng.random() < 0.6 else 200
    colours[rng.integers(count)] = colours[rng.integers(count)] if rng.random() < 0.5 else 200
    page[:] = colours[nearest]
    if rng.random() < 0.7:
        border = cv2.morphologyEx(nearest, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        page[border] = 0 if rng.random() < 0.7 else 255
    for _ in range(int(rng.integers(0, 12))):
        _write(page, rng, (rng.uniform(0, 0.8) * width, rng.uniform(0.05, 1) * height), int(rng.integers(3, 12)), 0.02)
    return page.astype(np.float32)


def swatches(rng: Generator) -> Levels:
    """Lay colours side by side under a title, or a scale that runs from end to end."""
    page = _sheet(rng)
    height, width = page.shape[:2]
    page = page[: max(64, int(height * rng.uniform(0.2, 1)))]
    top, edge = int(len(page) * rng.uniform(0, 0.4)), int(0.02 * width * (rng.random() < 0.6))
    count = int(rng.integers(2, 14)) if rng.random() < 0.7 else 256
    colours = np.array(_palette(rng, count)) if count < 256 else _scale(rng, np.linspace(0, 1, count))
    strip = cv2.resize(
        np.asarray(colours, np.uint8)[None], (width - 2 * edge, len(page) - top - edge), interpolation=cv2.INTER_NEAREST
    )
    page[top : top + len(strip), edge : edge + strip.shape[1]] = strip
    if top > 12:
        _write(page, rng, (edge, 0.8 * top), int(rng.integers(3, 14)), 0.06)
    return page.astype(np.float32)


def small_multiples(rng: Generator) -> Levels:
    """Set a few small charts beside each other."""
    page = _sheet(rng)
    height, width = page.shape[:2]
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(2, 6))
    painters = rng.choice(6, rows * columns) if rng.random() < 0.4 else [int(rng.integers(6))] * (rows * columns)
    for number, chosen in enumerate(painters):
        made = (scatter, fan, pale_curves, matrix, lying_bars, land)[int(chosen)](rng)
        high, wide = height // rows * 9 // 10, width // columns * 9 // 10
        y, x = number // columns * (height // rows), number % columns * (width // columns)
        page[y : y + high, x : x + wide] = cv2.resize(made, (wide, high), interpolation=cv2.INTER_AREA).round()
    return page.astype(np.float32)


def field(rng: Generator) -> Levels:
    """Colour a smooth surface by a scale, alone or within axes."""
    page = _sheet(rng)
    left, top, right, bottom = (int(edge) for edge in _frame(page, rng))
    if rng.random() < 0.3:
        left, top, right, bottom = 0, 0, page.shape[1], page.shape[0]
    cells = int(rng.integers(3, 10))
    heights = cv2.resize(
        rng.standard_normal((cells, cells)), (right - left, bottom - top), interpolation=cv2.INTER_CUBIC
    )
    values = (heights - heights.min()) / np.ptp(heights)
    if rng.random() < 0.5:
        values = np.floor(values * rng.integers(4, 16)) / 16
    page[top:bottom, left:right] = _scale(rng, values)
    return page.astype(np.float32)


def boxes(rng: Generator) -> Levels:
    """Draw a diagram: boxes with words, pale or white, and lines from one to the next."""
    page = _sheet(rng)
    height, width = page.shape[:2]
    inks, count = _palette(rng, 4), int(rng.integers(2, 14))
    centres = rng.uniform(0.08, 0.92, (count, 2)) * (width, height)
    for first, last in zip(centres, np.roll(centres, 1, 0), strict=True):
        _line(page, np.array([first, (first[0], last[1]), last]), (0, 0, 0), int(rng.integers(1, 3)))
    filled = rng.random() < 0.6
    for x, y in centres:
        wide, high = rng.uniform(0.04, 0.12) * width, rng.uniform(0.02, 0.06) * height
        corners = (int(x - wide), int(y - high)), (int(x + wide), int(y + high))
        cv2.rectangle(page, *corners, inks[int(rng.integers(4))] if filled else (255, 255, 255), -1)
        cv2.rectangle(page, *corners, (0, 0, 0), 1)
        _write(page, rng, (x - 0.8 * wide, y), int(rng.integers(2, 10)), 0.02)
    return page.astype(np.float32)


def saved(levels: Levels, rng: Generator) -> Pixels:
    """Save as programs do: mostly exact, in part at another size, in part as JPEG of any quality."""
    page = np.asarray(levels.clip(0, 255).round(), np.uint8)
    if rng.random() < 0.3:
        scale = rng.uniform(0.4, 1.4)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        page = np.asarray(cv2.resize(page, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    if rng.random() < 0.5:
        return page
    data = cv2.imencode(".jpg", page[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 97))])[1]
    return cast(Pixels, cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))


PLOTS: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (
        scatter, fan, pale_curves, matrix, lying_bars, land, swatches, small_multiples, field, boxes
    )
}  # fmt: skip
