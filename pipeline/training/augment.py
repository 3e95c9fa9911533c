"""Random views of one picture: the weak view that plays the original, the strong view that plays the copy.

Everything works on uint8 RGB arrays `[h, w, 3]` with OpenCV and is a pure function of the picture and of the
generator passed in. The probabilities are chosen so that about a third of the strong views carry a single edit
(that is what most copies in the wild carry) and the rest a mix; see `docs/accuracy.md`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.training.overlays import (
    border,
    drawn_picture,
    pasted_over,
    picture_in_picture,
    screenshot,
    stickers,
    text,
)

# uint8 throughout; the stubs of OpenCV do not promise a dtype.
Pixels = NDArray[Any]

# Shares of: crop, turn, rotation or warp, picture in picture, texture, shrinking, tone, colour, curves, stickers or
# text, border or screenshot, compression, another picture pasted over. What moves pixels is hardest to learn and gets
# most.
CERTAIN_EDIT_SHARES = (0.26, 0.13, 0.12, 0.13, 0.02, 0.02, 0.04, 0.05, 0.02, 0.06, 0.07, 0.01, 0.07)

_INTERPOLATIONS = (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_NEAREST)


def squash(image: Pixels, side_pixels: int) -> Pixels:
    """Resize to a square without keeping the aspect ratio: the sampling the shipped program uses."""
    return cv2.resize(image, (side_pixels, side_pixels), interpolation=cv2.INTER_AREA)


def crop(image: Pixels, rng: Generator, least_area: float, most_area: float) -> Pixels:
    """Cut a window whose area is log-uniform between two fractions, with a jittered aspect ratio."""
    height, width = image.shape[:2]
    area = np.exp(rng.uniform(np.log(least_area), np.log(most_area)))
    aspect = np.exp(rng.uniform(-0.35, 0.35))
    cut_h = int(np.clip(height * np.sqrt(area * aspect), 8, height))
    cut_w = int(np.clip(width * np.sqrt(area / aspect), 8, width))
    top = int(rng.integers(0, height - cut_h + 1))
    left = int(rng.integers(0, width - cut_w + 1))
    return image[top : top + cut_h, left : left + cut_w]


def rotate(image: Pixels, rng: Generator, most_degrees: float) -> Pixels:
    """Turn by a small angle; corners are filled, mirrored or cut away."""
    height, width = image.shape[:2]
    angle = float(rng.uniform(1.0, most_degrees) * rng.choice((-1.0, 1.0)))
    style = int(rng.integers(0, 4))
    scale = 1.0
    if style == 0:  # zoom in until no corner shows
        radians = abs(np.deg2rad(angle))
        longest = max(width / height, height / width)
        scale = float(np.cos(radians) + np.sin(radians) * longest)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    size = (width, height)
    if style == 1:  # enlarge the canvas, as editors do
        cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
        size = (int(height * sine + width * cosine), int(height * cosine + width * sine))
        matrix[:, 2] += (size[0] / 2 - width / 2, size[1] / 2 - height / 2)
    mode = cv2.BORDER_REFLECT if style == 3 else cv2.BORDER_CONSTANT
    fill = _fill(rng)
    turned: Pixels = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=fill)
    return turned


def perspective(image: Pixels, rng: Generator, most: float) -> Pixels:
    """Warp as a scan or a photo of a print would: every corner moves by up to `most` of the side."""
    height, width = image.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    shift = rng.uniform(-most, most, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(source, (source + shift).astype(np.float32))
    warped: Pixels = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_fill(rng)
    )
    return warped


def turn(image: Pixels, rng: Generator) -> Pixels:
    """Mirror, flip or turn by a quarter."""
    kind = int(rng.choice(6, p=(0.40, 0.1, 0.14, 0.16, 0.14, 0.06)))
    if kind <= 1:
        return np.ascontiguousarray(image[:, ::-1] if kind == 0 else image[::-1])
    if kind == 5:
        return np.ascontiguousarray(image.transpose(1, 0, 2))
    code = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)[kind - 2]
    turned: Pixels = cv2.rotate(image, code)
    return turned


def tone(image: Pixels, rng: Generator, strength: float) -> Pixels:
    """Change brightness, contrast and gamma by one table per channel; sometimes tint."""
    ramp = np.linspace(0.0, 1.0, 256)
    gamma = np.exp(rng.uniform(-0.7, 0.7) * strength)
    gain = np.exp(rng.uniform(-0.45, 0.45) * strength)
    shift = rng.uniform(-0.2, 0.2) * strength
    curve = (ramp**gamma - 0.5) * gain + 0.5 + shift
    tint = np.exp(rng.uniform(-0.2, 0.2, 3) * strength) if rng.random() < 0.4 else np.ones(3)
    table = np.clip(curve[:, None] * tint * 255.0, 0, 255).astype(np.uint8)
    toned: Pixels = cv2.LUT(image, table[:, None, :])
    return toned


def colour(image: Pixels, rng: Generator, strength: float) -> Pixels:
    """Change saturation and hue, go grey or sepia, rarely swap or invert channels."""
    draw = rng.random()
    if draw < 0.30:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if draw < 0.07:  # sepia
            shades = np.arange(256)[:, None] * np.array([1.0, 0.86, 0.66])
            return cv2.LUT(cv2.merge([grey] * 3), shades.astype(np.uint8)[:, None, :])
        return cv2.merge([grey] * 3)
    if draw < 0.36:
        return np.ascontiguousarray(image[:, :, rng.permutation(3)])
    if draw < 0.39:
        return 255 - image
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    table = np.empty((256, 1, 3), np.uint8)
    ramp = np.arange(256)
    table[:, 0, 0] = (ramp + int(rng.normal(0, 14 * strength))) % 180
    table[:, 0, 1] = np.clip(ramp * np.exp(rng.uniform(-1.0, 0.7) * strength), 0, 255)
    table[:, 0, 2] = ramp
    return cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB)


def recolour(image: Pixels, rng: Generator) -> Pixels:
    """Give the picture few or glaring colours: two tones, or channels scaled far apart.

    Sunsets, neon and night shots are rare in training; without these a handful of channels took over for them, and
    two sunsets looked alike (cosine 0.99) whatever they showed.
    """
    if rng.random() < 0.5:
        ramp = np.linspace(0.0, 1.0, 256)[:, None]
        low, high = rng.uniform(0, 120, 3), rng.uniform(90, 330, 3)
        table = np.clip(low * (1 - ramp) + high * ramp, 0, 255).astype(np.uint8)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return cv2.LUT(cv2.merge([grey] * 3), table[:, None, :])
    scale = np.exp(rng.uniform(-1.8, 0.7, 3)) * np.array([1.5, 1.0, 1.0])[rng.permutation(3)]
    shift = rng.uniform(-50, 50, 3)
    table = np.clip(np.arange(256)[:, None] * scale + shift, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table[:, None, :])


def equalise(image: Pixels, rng: Generator) -> Pixels:
    """Stretch the histogram, quantise, or apply a filter curve that differs per channel."""
    draw = rng.random()
    if draw < 0.4:
        luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        luma[:, :, 0] = cv2.equalizeHist(luma[:, :, 0])
        return cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB)
    if draw < 0.7:
        step = int(rng.choice((16, 32, 64)))
        return (image // step * step + step // 2).astype(np.uint8)
    knots = np.sort(rng.uniform(0, 255, (3, 3)), axis=0)
    places = np.array([0, 85, 170, 255])
    ends = np.vstack([np.zeros(3), knots[:2], np.full(3, 255.0)])
    ramp = np.arange(256)
    table = np.stack([np.interp(ramp, places, 0.5 * ends[:, c] + 0.5 * places) for c in range(3)], axis=1)
    return cv2.LUT(image, table.astype(np.uint8)[:, None, :])


def texture(image: Pixels, rng: Generator, strength: float) -> Pixels:
    """Blur, move, sharpen, add noise or pixelate."""
    kind = int(rng.choice(6, p=(0.32, 0.08, 0.2, 0.25, 0.1, 0.05)))
    if kind == 0:
        return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.6 + 2.4 * strength)))
    if kind == 1:
        length = int(rng.integers(3, 4 + int(7 * strength)))
        kernel: NDArray[Any] = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1.0 / length
        spin = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.uniform(0, 180)), 1.0)
        kernel = cv2.warpAffine(kernel, spin, (length, length))
        return cv2.filter2D(image, -1, (kernel / max(float(kernel.sum()), 1e-3)).astype(np.float32))
    if kind == 2:
        soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.6, 2.0)))
        amount = float(rng.uniform(0.5, 0.6 + 2.0 * strength))
        return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)
    if kind == 3:
        sigma = float(rng.uniform(4, 6 + 24 * strength))
        shape = image.shape if rng.random() < 0.6 else (*image.shape[:2], 1)
        grain = rng.standard_normal(shape, dtype=np.float32) * sigma
        noisy: Pixels = np.clip(image + grain, 0, 255).astype(np.uint8)
        return noisy
    if kind == 4:
        return shrink(image, rng, 0.14, 0.4, cv2.INTER_NEAREST)
    return cv2.medianBlur(image, int(rng.choice((3, 5, 7))))


def shrink(image: Pixels, rng: Generator, least: float, most: float, back: int) -> Pixels:
    """Scale down and, with the interpolation `back`, up again: the detail is gone."""
    height, width = image.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(least), np.log(most))))
    small = (max(8, round(width * factor)), max(8, round(height * factor)))
    way = int(_INTERPOLATIONS[int(rng.integers(0, 4))])
    return cv2.resize(cv2.resize(image, small, interpolation=way), (width, height), interpolation=back)


def compress(image: Pixels, rng: Generator, worst: int, best: int) -> Pixels:
    """Encode as JPEG (rarely WebP) at a random quality and decode again."""
    quality = int(rng.integers(worst, best + 1))
    webp = rng.random() < 0.08
    extension, flag = (".webp", cv2.IMWRITE_WEBP_QUALITY) if webp else (".jpg", cv2.IMWRITE_JPEG_QUALITY)
    done, data = cv2.imencode(extension, image, [int(flag), quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if done else None
    return image if decoded is None else decoded


def _fill(rng: Generator) -> tuple[int, int, int]:
    draw = rng.random()
    if draw < 0.4:
        return (0, 0, 0)
    if draw < 0.7:
        return (255, 255, 255)
    red, green, blue = rng.integers(0, 256, 3)
    return (int(red), int(green), int(blue))


def base_picture(image: Pixels, donor: Pixels, rng: Generator) -> tuple[Pixels, bool]:
    """Make a new "original" out of a training picture: cut, recoloured, mirrored or blended.

    A few thousand pictures are soon known by heart; every change here gives a picture never seen before. Both
    views are then made from the same result. The flag says whether it still shows the training picture.
    """
    if rng.random() < 0.04:
        return drawn_picture(rng), False
    return reworked(image, donor, rng), True


def reworked(image: Pixels, donor: Pixels, rng: Generator) -> Pixels:
    """Cut, blend, mirror or recolour a picture, or leave it; the same generator does the same to another picture."""
    if rng.random() < 0.45:
        image = crop(image, rng, 0.45, 1.0)
    if rng.random() < 0.06:
        other = cv2.resize(donor, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
        image = cv2.addWeighted(image, 0.6, other, 0.4, 0)
    if rng.random() < 0.25:
        image = np.ascontiguousarray(image[:, ::-1])
    if rng.random() < 0.15:
        image = recolour(image, rng)
    elif rng.random() < 0.15:
        image = colour(image, rng, 1.5)
    if rng.random() < 0.15:
        image = tone(image, rng, 0.7)
    return image


def weak_view(image: Pixels, rng: Generator, side_pixels: int) -> Pixels:
    """Return the picture as it is, or after what any camera or web site does to it anyway."""
    if rng.random() < 0.3:
        image = crop(image, rng, 0.85, 1.0)
    if rng.random() < 0.2:
        image = tone(image, rng, 0.3)
    view = squash(image, side_pixels)
    if rng.random() < 0.15:
        view = compress(view, rng, 50, 95)
    return view


def strong_view(image: Pixels, donor: Pixels, rng: Generator, side_pixels: int, severity: float) -> Pixels:
    """Return an edited copy: one edit, a few, or many; `severity` 0–1 scales how many and how hard."""
    draw = rng.random()
    rate = 0.04 if draw < 0.5 else (0.2 if draw < 0.88 else 0.38)
    rate *= 0.4 + 0.6 * severity
    rolls = rng.random(len(CERTAIN_EDIT_SHARES))
    # One edit is certain, so that no strong view is a second weak view; half of them have little else.
    rolls[int(rng.choice(len(rolls), p=CERTAIN_EDIT_SHARES))] = 0.0
    image = _geometry(image, donor, rng, rolls, rate, severity)
    if rolls[6] < rate * 1.3:
        image = tone(image, rng, 0.5 + 0.7 * severity)
    if rolls[7] < rate:
        image = colour(image, rng, 0.5 + 0.6 * severity)
    if rolls[8] < rate * 0.4:
        image = equalise(image, rng)
    if rolls[9] < rate * 0.8:
        image = stickers(image, donor, rng) if rng.random() < 0.5 else text(image, rng)
    if rolls[12] < rate * 0.4:
        image = pasted_over(image, donor, rng)
    if rolls[10] < rate * 0.8:
        image = border(image, rng) if rng.random() < 0.6 else screenshot(image, rng)
    view = squash(image, side_pixels)
    if rolls[4] < rate:
        view = texture(view, rng, severity)
    if rolls[5] < rate * 0.6:
        view = shrink(view, rng, 0.2, 0.7, int(_INTERPOLATIONS[int(rng.integers(0, 3))]))
    if rolls[11] < rate * 1.2:
        view = compress(view, rng, 5, 70)
    return view


def _geometry(
    image: Pixels, donor: Pixels, rng: Generator, rolls: NDArray[np.float64], rate: float, severity: float
) -> Pixels:
    """Crop, turn, warp and paste: the edits that move pixels."""
    if rolls[0] < rate * 1.6:
        image = crop(image, rng, 0.9 - 0.65 * severity, 0.9)
    if rolls[1] < rate * 1.3:
        image = turn(image, rng)
    if rolls[2] < rate:
        image = rotate(image, rng, 4.0 + 20.0 * severity) if rng.random() < 0.7 else perspective(image, rng, 0.12)
    if rolls[3] < rate * 0.7:
        image = picture_in_picture(image, donor, rng, 0.8 - 0.38 * severity)
    return image
