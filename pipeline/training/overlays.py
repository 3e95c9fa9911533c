"""What people put on, around and beside pictures: text, stickers, borders, screenshots, other pictures.

All functions take and return uint8 RGB arrays `[h, w, 3]` and draw only from the generator passed in.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# uint8 throughout; the stubs of OpenCV do not promise a dtype.
Pixels = NDArray[Any]

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!?.,-@#&     ")


def _colour(rng: Generator) -> tuple[int, int, int]:
    draw = rng.random()
    if draw < 0.35:
        return (255, 255, 255)
    if draw < 0.6:
        return (0, 0, 0)
    red, green, blue = rng.integers(0, 256, 3)
    return (int(red), int(green), int(blue))


def text(image: Pixels, rng: Generator) -> Pixels:
    """Write one to four lines of random letters, sometimes see-through or on a bar."""
    canvas = image.copy()
    height, width = image.shape[:2]
    lines = int(rng.integers(1, 5))
    size = float(np.exp(rng.uniform(np.log(0.3), np.log(2.2)))) * height / 160
    hue = _colour(rng)
    font = int(rng.choice(_FONTS))
    thick = int(rng.integers(1, 4))
    top = int(rng.integers(0, height))
    if rng.random() < 0.25:
        cv2.rectangle(canvas, (0, top - int(24 * size)), (width, top + int(8 * size)), _colour(rng), -1)
    for line in range(lines):
        words = "".join(rng.choice(_LETTERS, int(rng.integers(3, 22))))
        place = (int(rng.integers(-10, max(1, width // 2))), top + int(line * 26 * size))
        cv2.putText(canvas, words, place, font, size, hue, thick, cv2.LINE_AA)
    if rng.random() < 0.3:
        return cv2.addWeighted(canvas, 0.5, image, 0.5, 0)
    return canvas


def stickers(image: Pixels, donor: Pixels, rng: Generator) -> Pixels:
    """Put discs, faces, boxes, logos or a patch of another picture on the image."""
    canvas = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        side = int(min(height, width) * rng.uniform(0.1, 0.42))
        x, y = int(rng.integers(0, max(1, width - side))), int(rng.integers(0, max(1, height - side)))
        kind = int(rng.integers(0, 5))
        if kind == 0:
            _face(canvas, x + side // 2, y + side // 2, side // 2, rng)
        elif kind == 1:
            cv2.rectangle(canvas, (x, y), (x + int(side * rng.uniform(0.5, 2)), y + side), _colour(rng), -1)
        elif kind == 2:
            points = rng.integers(0, side + 1, (int(rng.integers(3, 8)), 2)) + np.array([x, y])
            cv2.fillPoly(canvas, [points.astype(np.int32)], _colour(rng))
        elif kind == 3:
            cut = donor[: max(8, donor.shape[0] // 2), : max(8, donor.shape[1] // 2)]
            canvas[y : y + side, x : x + side] = cv2.resize(cut, (side, side))[: height - y, : width - x]
        else:
            axes = (side // 2, int(side * rng.uniform(0.2, 0.6)))
            fill = int(rng.choice((-1, 2, 4)))
            cv2.ellipse(canvas, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, _colour(rng), fill, cv2.LINE_AA)
    return canvas


def _face(canvas: Pixels, x: int, y: int, radius: int, rng: Generator) -> None:
    """Draw a smiling disc: two eyes and a mouth are what most emoji have in common."""
    skin = (255, int(rng.integers(170, 230)), int(rng.integers(0, 90)))
    cv2.circle(canvas, (x, y), radius, skin, -1, cv2.LINE_AA)
    eye = max(1, radius // 6)
    for side in (-1, 1):
        cv2.circle(canvas, (x + side * radius // 3, y - radius // 4), eye, (60, 40, 20), -1, cv2.LINE_AA)
    start = 0 if rng.random() < 0.7 else 180
    mouth = (max(1, radius // 2), max(1, radius // 3))
    cv2.ellipse(canvas, (x, y + radius // 5), mouth, 0, start, start + 180, (60, 40, 20), max(1, radius // 8))


def border(image: Pixels, rng: Generator) -> Pixels:
    """Add a frame, or bars above and below or left and right."""
    height, width = image.shape[:2]
    amount = rng.uniform(0.03, 0.3, 4) * (height, height, width, width)
    style = int(rng.integers(0, 4))
    if style == 0:
        amount[:] = rng.uniform(0.03, 0.18) * min(height, width)
    elif style == 1:
        amount[2:] = 0
        amount[1] = amount[0]
    elif style == 2:
        amount[:2] = 0
        amount[3] = amount[2]
    top, bottom, left, right = (int(side) for side in amount)
    if rng.random() < 0.15:
        blurred: Pixels = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
        return blurred
    framed: Pixels = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=_colour(rng))
    return framed


def background(rng: Generator, height: int, width: int) -> Pixels:
    """Draw a flat, graded or noisy background."""
    first, second = rng.integers(0, 256, (2, 3))
    draw = rng.random()
    if draw < 0.4:
        return np.full((height, width, 3), _colour(rng), np.uint8)
    if draw < 0.8:
        across = np.linspace(0, 1, width)[None, :, None]
        down = np.linspace(0, 1, height)[:, None, None]
        mix = across * rng.random() + down * rng.random()
        mix = mix / max(float(mix.max()), 1e-6)
        graded: Pixels = (first * (1 - mix) + second * mix).astype(np.uint8)
        return graded
    coarse = rng.integers(0, 256, (int(rng.integers(2, 12)), int(rng.integers(2, 12)), 3)).astype(np.uint8)
    smooth: Pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth


def picture_in_picture(image: Pixels, donor: Pixels, rng: Generator, least_scale: float) -> Pixels:
    """Paste the picture, at least `least_scale` of the side, on another picture or a drawn background."""
    height, width = image.shape[:2]
    scale = float(rng.uniform(least_scale, 0.92))
    if rng.random() < 0.55:
        canvas = cv2.resize(donor, (width, height), interpolation=cv2.INTER_AREA)
    else:
        canvas = background(rng, height, width)
    inner_h = max(8, int(height * scale))
    inner_w = max(8, min(width, int(width * scale * np.exp(rng.uniform(-0.15, 0.15)))))
    top, left = int(rng.integers(0, height - inner_h + 1)), int(rng.integers(0, width - inner_w + 1))
    inner = cv2.resize(image, (inner_w, inner_h), interpolation=cv2.INTER_AREA)
    canvas[top : top + inner_h, left : left + inner_w] = inner
    return canvas


def pasted_over(image: Pixels, donor: Pixels, rng: Generator) -> Pixels:
    """Paste another picture over up to a third of this one, mostly into a corner: the reverse of the above."""
    canvas = image.copy()
    height, width = image.shape[:2]
    scale = float(rng.uniform(0.2, 0.58))
    inner_h = max(4, int(height * scale))
    inner_w = max(4, min(width, int(width * scale * np.exp(rng.uniform(-0.2, 0.1)))))
    free_h, free_w = height - inner_h, width - inner_w
    top, left = int(rng.integers(0, free_h + 1)), int(rng.integers(0, free_w + 1))
    if rng.random() < 0.7:
        top, left = int(rng.choice((0, free_h))), int(rng.choice((0, free_w)))
    canvas[top : top + inner_h, left : left + inner_w] = cv2.resize(
        donor, (inner_w, inner_h), interpolation=cv2.INTER_AREA
    )
    return canvas


def screenshot(image: Pixels, rng: Generator) -> Pixels:
    """Show the picture in an application: bars, buttons, lines of text around it."""
    height, width = image.shape[:2]
    dark = rng.random() < 0.5
    paper, ink = (int(rng.integers(0, 50)), 220) if dark else (int(rng.integers(215, 256)), 40)
    top = int(height * rng.uniform(0.05, 0.3))
    bottom = int(height * rng.uniform(0.03, 0.4))
    side = int(width * rng.uniform(0.0, 0.15)) if rng.random() < 0.6 else 0
    page: Pixels = cv2.copyMakeBorder(image, top, bottom, side, side, cv2.BORDER_CONSTANT, value=(paper, paper, paper))
    full_h, full_w = page.shape[:2]
    cv2.rectangle(page, (0, 0), (full_w, max(2, top // 2)), tuple(int(c) for c in rng.integers(0, 256, 3)), -1)
    cv2.putText(page, "12:45", (4, max(6, top // 3)), cv2.FONT_HERSHEY_PLAIN, 0.6, (ink, ink, ink), 1)
    for line in range(int(rng.integers(0, 6))):
        y = full_h - bottom + 6 + line * 8
        if y < full_h - 2:
            end = (6 + int(full_w * rng.uniform(0.2, 0.85)), y)
            cv2.line(page, (6, y), end, (ink, ink, ink), int(rng.integers(1, 4)))
    for spot in range(int(rng.integers(0, 5))):
        cv2.circle(page, (12 + spot * 22, full_h - max(3, bottom // 4)), 4, _colour(rng), -1)
    return page


def drawn_picture(rng: Generator) -> Pixels:
    """Draw an abstract picture: shapes and letters on a background, for slides, icons and line art."""
    height, width = int(rng.integers(120, 220)), int(rng.integers(120, 220))
    canvas = background(rng, height, width)
    for _ in range(int(rng.integers(2, 14))):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        other = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        kind = int(rng.integers(0, 5))
        fill = int(rng.choice((-1, -1, 1, 2, 5)))
        if kind == 0:
            cv2.circle(canvas, centre, int(rng.integers(3, 60)), _colour(rng), fill, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(canvas, centre, other, _colour(rng), fill)
        elif kind == 2:
            cv2.line(canvas, centre, other, _colour(rng), int(rng.integers(1, 8)), cv2.LINE_AA)
        elif kind == 3:
            points = rng.integers(0, min(height, width), (int(rng.integers(3, 7)), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [points], _colour(rng), cv2.LINE_AA)
        else:
            canvas = text(canvas, rng)
    return canvas
