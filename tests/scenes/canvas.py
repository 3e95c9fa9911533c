"""The paint box: a canvas with gradients, noise, masks and anti-aliased shapes."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.floating[Any]]
Colour = str | tuple[float, float, float]
Point = tuple[float, float]

_SHIFT = 4  # shapes are placed to a sixteenth of a pixel


def rgb(colour: Colour) -> tuple[float, float, float]:
    """Read a colour: "#rrggbb" or three numbers in 0..255."""
    if not isinstance(colour, str):
        return colour
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _painted(pixels: object) -> Image:
    return np.asarray(pixels, np.uint8)


def mix(first: Colour, second: Colour, share: float) -> tuple[float, float, float]:
    """Blend two colours; `share` is that of the second."""
    (r, g, b), (s, h, c) = rgb(first), rgb(second)
    return r + (s - r) * share, g + (h - g) * share, b + (c - b) * share


class Canvas:
    """A picture being painted. Places are shares of width and height; lengths are shares of the height."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng = rng
        self.width, self.height = size
        self.aspect = self.width / self.height
        self.pixels: Image = np.zeros((self.height, self.width, 3), np.uint8)
        self.y, self.x = (
            np.ascontiguousarray(plane)
            for plane in np.meshgrid(
                np.linspace(0, 1, self.height, dtype=np.float32),
                np.linspace(0, 1, self.width, dtype=np.float32),
                indexing="ij",
            )
        )

    def between(self, low: float, high: float) -> float:
        """Draw a number."""
        return float(self.rng.uniform(low, high))

    def pick(self, *choices: str) -> str:
        """Draw one of the choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def sky(self, *colours: Colour, top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill a band with a vertical gradient through the colours."""
        first, last = int(top * self.height), max(round(bottom * self.height), 1)
        table = np.array([rgb(colour) for colour in colours])
        steps = np.linspace(0, len(colours) - 1, last - first)
        ramp = np.stack([np.interp(steps, range(len(colours)), table[:, c]) for c in range(3)], axis=1)
        self.pixels[first:last] = ramp[:, None, :].astype(np.uint8)

    def noise(self, cells: float, octaves: int = 4, stretch: float = 1.0) -> Plane:
        """Make smooth fractal noise in 0..1; `cells` across the height, drawn out sideways by `stretch`."""
        total = np.zeros((self.height, self.width), np.float32)
        for octave in range(octaves):
            rows = max(round(cells * 2**octave), 1) + 1
            columns = max(round(cells * 2**octave * self.aspect / stretch), 1) + 1
            grid = self.rng.random((rows, columns), np.float32) / np.float32(2**octave)
            total += cv2.resize(grid, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
        low, high = float(total.min()), float(total.max())
        return np.asarray((total - low) / (high - low), np.float32)

    def ridge(self, points: int, octaves: int = 5) -> Plane:
        """Make a rough line in 0..1, one value per column: mountains, dunes, waves."""
        total = np.zeros(self.width)
        for octave in range(octaves):
            knots = self.rng.random(points * 2**octave + 3)
            at = np.linspace(0, len(knots) - 1.001, self.width)
            left, part = at.astype(int), at % 1
            part = part * part * (3 - 2 * part)
            total += (knots[left] * (1 - part) + knots[left + 1] * part) / 2**octave
        return np.asarray((total - total.min()) / np.ptp(total), np.float32)

    def below(self, line: Plane | float) -> Plane:
        """Make the mask of everything under a line; its edge is one pixel soft."""
        return np.asarray(np.clip((self.y - line) * self.height, 0, 1), np.float32)

    def lay(self, mask: Plane, colour: Colour) -> None:
        """Paint a colour through a mask in 0..1."""
        paint = np.full_like(self.pixels, np.array(rgb(colour), np.uint8))
        mask = np.asarray(mask, np.float32)
        self.pixels = _painted(cv2.blendLinear(self.pixels, paint, 1 - mask, mask))

    def shade(self, plane: Plane, strength: float, mask: Plane | None = None) -> None:
        """Lighten and darken by a plane in 0..1 around its middle, where the mask lets it."""
        gain = np.asarray(1 + strength * (2 * plane - 1) * (1 if mask is None else mask), np.float32)
        self.pixels = _painted(cv2.multiply(self.pixels, cv2.merge([gain] * 3), dtype=cv2.CV_8U))

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """Lay light that fades with the distance."""
        away = ((self.x - x) * self.aspect) ** 2 + (self.y - y) ** 2
        self.lay(np.exp(-away / radius**2) * np.float32(strength), colour)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.pixels, [self._fixed(points)], rgb(colour), cv2.LINE_AA, _SHIFT)

    def stroke(self, points: Sequence[Point], colour: Colour, thickness: float) -> None:
        """Draw an open line through the points."""
        pen = max(round(thickness * self.height), 1)
        cv2.polylines(self.pixels, [self._fixed(points)], False, rgb(colour), pen, cv2.LINE_AA, _SHIFT)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        turn: float = 0,
        arc: float = 360,
        pen: float = 0,
    ) -> None:
        """Fill an ellipse or its arc (degrees, clockwise from `turn`); with a pen, draw its outline."""
        centre = self._fixed([(x, y)])[0]
        axes = (round(rx * self.height * 2**_SHIFT), round(ry * self.height * 2**_SHIFT))
        thickness = max(round(pen * self.height), 1) if pen else -1
        place = (int(centre[0]), int(centre[1]))
        cv2.ellipse(self.pixels, place, axes, turn, 0, arc, rgb(colour), thickness, cv2.LINE_AA, _SHIFT)

    def ball(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Paint a lit sphere with its shadow side and highlight."""
        self.oval(x, y, radius, radius, mix(colour, "#150d12", 0.45))
        for step in range(1, 9):
            share = step / 9
            off = radius * share * 0.35
            self.oval(
                x - off / self.aspect,
                y - off,
                radius * (1 - share * 0.9),
                radius * (1 - share * 0.9),
                mix(mix(colour, "#150d12", 0.45), mix(colour, "#fff6e0", 0.45), share),
            )

    def words(self, x: float, y: float, text: str, height: float, colour: Colour) -> None:
        """Write on the canvas; `height` is that of a capital letter."""
        scale = height * self.height / 21
        place = (round(x * self.width), round(y * self.height))
        pen = max(round(scale * 1.6), 1)
        cv2.putText(self.pixels, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, rgb(colour), pen, cv2.LINE_AA)

    def developed(self) -> Image:
        """Return the picture with the grain and the falling-off light of a camera."""
        self.shade(0.5 - 0.44 * ((self.x - 0.5) ** 2 + (self.y - 0.5) ** 2), 0.5)
        grain = 5 * self.rng.standard_normal((self.height, self.width), np.float32)
        return _painted(cv2.add(self.pixels, cv2.merge([grain] * 3), dtype=cv2.CV_8U))

    def _fixed(self, points: Sequence[Point]) -> NDArray[np.int32]:
        place = np.array(points) * (self.width, self.height) * 2**_SHIFT
        return np.asarray(np.round(place), np.int32)
