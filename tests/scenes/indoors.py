"""Scenes on a table, a wall or a sheet of paper."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from tests.scenes.canvas import Canvas, mix, rgb

_WORDS = (
    "light", "harbour", "of", "the", "slow", "river", "and", "orchard", "stone", "a", "window", "letter",
    "in", "winter", "garden", "north", "with", "copper", "morning", "field", "paper", "on", "quiet", "road",
)  # fmt: skip


def still_life(c: Canvas) -> None:
    """Paint fruit and a jug on a table."""
    wall = c.pick("#31474a", "#6b3f36", "#59603f", "#3d3a5c")
    c.sky(mix(wall, "#000000", 0.35), wall, mix(wall, "#ffffff", 0.18), bottom=0.62)
    c.shade(c.noise(5, 5), 0.22)
    c.sky("#8a5a34", "#b98450", top=0.62)
    c.shade(c.noise(40, 4, stretch=14), 0.3, c.below(0.62))
    _cloth_and_paper(c, wall)
    x = c.between(0.24, 0.4)
    jug = c.pick("#d8d0bd", "#6f93a8", "#a7553a")
    c.box(x - 0.035, 0.16, x + 0.035, 0.4, mix(jug, "#20150f", 0.2))
    c.ball(x, 0.5, 0.2, jug)
    c.oval(x, 0.16, 0.062, 0.018, mix(jug, "#20150f", 0.6))
    c.oval(x + 0.15, 0.44, 0.1, 0.13, mix(jug, "#20150f", 0.3), -90, 180, 0.022)
    fruit = ("#c8352b", "#e58a1f", "#7fa03a", "#e9c23c", "#6a2b52", "#d96a4a")
    for at in np.sort(c.rng.uniform(0.66, 0.86, 9)):
        across, size = c.between(0.1, 0.92), c.between(0.07, 0.115)
        c.oval(across + 0.03, at + size * 0.8, size * 1.25, size * 0.32, "#4f2f1a")
        c.ball(across, at, size, fruit[int(c.rng.integers(len(fruit)))])
        c.stroke([(across, at - size * 0.85), (across + 0.012, at - size * 1.25)], "#3a2413", 0.008)


def _cloth_and_paper(c: Canvas, wall: str) -> None:
    for row in range(5):
        for column in range(13):
            for turn in (20, 80, 140):
                place = (column + row % 2 / 2) / 12, 0.05 + 0.13 * row
                c.oval(*place, 0.024, 0.006, mix(wall, "#f2e3c0", 0.45), turn)
    cloth, stripe = c.pick("#f1ebe0", "#e3e8ea"), c.pick("#b23a3a", "#35608a", "#4d7a4f")
    c.polygon([(0.05, 0.66), (0.95, 0.66), (1.1, 0.97), (-0.1, 0.97)], cloth)
    for line in np.linspace(0, 1, 19):
        c.stroke([(0.05 + 0.9 * line, 0.66), (-0.1 + 1.2 * line, 0.97)], stripe, 0.006)
    for line in np.linspace(0, 1, 9):
        y, out = 0.66 + 0.31 * line, 0.15 * line
        c.stroke([(0.05 - out, y), (0.95 + out, y)], stripe, 0.006)


def page_of_text(c: Canvas) -> None:
    """Set a page: headline, columns, a boxed picture."""
    paper, ink = c.pick("#f3ecdc", "#efe7d2", "#e9ebe6"), c.pick("#26221e", "#1d2a38", "#3a2222")
    c.sky(paper, mix(paper, "#cbbf9f", 0.25))
    c.shade(c.noise(50, 3), 0.035)
    title = " ".join(c.rng.choice(_WORDS, 3)).capitalize()
    c.words(0.07, 0.13, title, 0.055, ink)
    c.box(0.07, 0.17, 0.93, 0.176, ink)
    columns = int(c.rng.integers(2, 4))
    wide = 0.86 / columns
    boxed, top = int(c.rng.integers(columns)), c.between(0.26, 0.55)
    tint = c.pick("#b4573c", "#3f6c7a", "#8b8a3d")
    for column in range(columns):
        left, y = 0.07 + column * wide, 0.235
        while y < 0.95:
            if column == boxed and top - 0.03 < y < top + 0.28:
                y = top + 0.31
                continue
            line, room = "", int(wide * c.aspect / 0.0092)
            while len(line) < room - 9:
                line += str(c.rng.choice(_WORDS)) + " "
            c.words(left, y, line[: room - 2], 0.0135, ink)
            y += 0.036
        if column == boxed:
            c.box(left, top, left + wide - 0.03, top + 0.26, tint)
            for step in range(6):
                across = left + wide * 0.08 + step * wide * 0.13
                tall = c.between(0.04, 0.2)
                c.box(across, top + 0.24 - tall, across + wide * 0.09, top + 0.24, mix(tint, "#fff5df", 0.75))


def street_map(c: Canvas) -> None:
    """Draw a town: blocks, a river, parks, roads, names."""
    c.sky("#efe9dc", "#efe9dc")
    turn = c.between(0, 3.1)
    along = (c.x - 0.5) * c.aspect * np.cos(turn) + (c.y - 0.5) * np.sin(turn) + 0.05 * (c.noise(2, 2) - 0.5)
    across = (c.y - 0.5) * np.cos(turn) - (c.x - 0.5) * c.aspect * np.sin(turn) + 0.05 * (c.noise(2, 2) - 0.5)
    cells = np.floor(along / 0.085) * 57 + np.floor(across / 0.062) * 131
    tone = np.sin(cells * 12.9898) * 43758.5453 % 1
    c.lay((tone > 0.35).astype(np.float32), "#e2d6c2")
    c.lay((tone > 0.72).astype(np.float32), "#d8c4ad")
    c.lay((tone > 0.93).astype(np.float32), "#a9cb8e")
    for plane, pitch, wide in ((along, 0.085, 0.012), (across, 0.062, 0.010)):
        c.lay((np.abs((plane / pitch) % 1 - 0.0) < wide / pitch).astype(np.float32), "#ffffff")
    park = c.noise(1.6, 3)
    c.lay(np.clip((park - 0.7) * 40, 0, 1), "#a6c98a")
    stream = np.abs(across - 0.16 * np.sin(along * 4 + turn * 3) - c.between(-0.15, 0.15))
    c.lay(np.clip((0.05 - stream) * 90, 0, 1), "#8fbfdc")
    for offset, ink in ((c.between(-0.3, 0.3), "#f2a65a"), (c.between(-0.3, 0.3), "#e8c14d")):
        road = np.abs(along * c.between(-1, 1) + across * c.between(0.6, 1) - offset)
        c.lay(np.clip((0.018 - road) * 160, 0, 1), mix(ink, "#7a5020", 0.4))
        c.lay(np.clip((0.013 - road) * 160, 0, 1), ink)
    for _ in range(11):
        place = str(c.rng.choice([word for word in _WORDS if len(word) > 4])).capitalize()
        x, y = c.between(0.02, 0.8), c.between(0.06, 0.96)
        for lift, ink in ((0.002, "#ffffff"), (0.0, "#4a4038")):
            c.words(x + lift, y + lift, place, 0.022, ink)
        c.oval(x - 0.012, y - 0.01, 0.007, 0.007, "#c0392b")


def pot_plant(c: Canvas) -> None:
    """Paint a large-leaved plant before a wall."""
    wall = c.pick("#e6c9b8", "#cdd8d2", "#e9dfc3", "#bcc6d6")
    c.sky(mix(wall, "#ffffff", 0.25), wall)
    c.shade(c.noise(4, 5), 0.08)
    for stripe in range(4):
        light = 0.12 + 0.16 * stripe
        shaft = [(light, 0), (light + 0.09, 0), (light - 0.06, 0.8), (light - 0.15, 0.8)]
        c.polygon(shaft, mix(wall, "#fffaf0", 0.5))
    c.sky("#a8794f", "#8a5f3b", top=0.85)
    c.shade(c.noise(50, 3, stretch=16), 0.25, c.below(0.85))
    pot = c.pick("#b5573a", "#3f5b6d", "#e8e2d5", "#2f2f33")
    c.polygon([(0.38, 0.68), (0.62, 0.68), (0.58, 0.95), (0.42, 0.95)], pot)
    c.polygon([(0.53, 0.68), (0.62, 0.68), (0.58, 0.95), (0.53, 0.95)], mix(pot, "#1a1210", 0.3))
    c.box(0.365, 0.645, 0.635, 0.7, mix(pot, "#ffffff", 0.12))
    for angle in c.rng.permutation(np.linspace(-2.95, -0.2, 19)):
        long, green = c.between(0.28, 0.55), c.pick("#2f6b3a", "#4d8c45", "#1e4d34", "#7aa84f")
        tip = 0.5 + np.cos(angle) * long / c.aspect, 0.66 + np.sin(angle) * long
        middle = 0.5 + np.cos(angle) * long * 0.7 / c.aspect, 0.66 + np.sin(angle) * long * 0.7
        c.stroke([(0.5, 0.66), tip], mix(green, "#20301a", 0.4), 0.007)
        size, degrees = long * 0.42, float(np.degrees(angle))
        c.oval(*middle, size, size * 0.4, green, degrees)
        c.oval(*middle, size, size * 0.4, mix(green, "#0e2014", 0.3), degrees, 180)
        for vein in np.linspace(-0.7, 0.8, 6):
            base = middle[0] + np.cos(angle) * size * vein / c.aspect, middle[1] + np.sin(angle) * size * vein
            for side in (-0.75, 0.75):
                reach = size * 0.36 * (1 - vein**2)
                end = (
                    base[0] + np.cos(angle + side) * reach / c.aspect,
                    base[1] + np.sin(angle + side) * reach,
                )
                c.stroke([base, end], mix(green, "#e8f2c0", 0.45), 0.003)


def quilt(c: Canvas) -> None:
    """Sew a patchwork of triangles."""
    inks = c.rng.permutation(np.array(["#d95d39", "#f0a202", "#202c59", "#581f18", "#f4e9cd", "#468189", "#9dbebb"]))
    side = int(c.rng.integers(5, 8))
    step = 1 / side
    columns = int(side * c.aspect) + 1
    for row in range(side):
        for column in range(columns):
            left, top = column * step / c.aspect, row * step
            right, low = left + step / c.aspect, top + step
            first, second = c.rng.choice(inks, 2, replace=False)
            c.box(left, top, right, low, first)
            corners = [(left, top), (right, top), (right, low), (left, low)]
            if (row + column) % 3 == 0:
                middle = [((left + right) / 2, top), (right, (top + low) / 2), ((left + right) / 2, low)]
                c.polygon([*middle, (left, (top + low) / 2)], second)
                c.oval((left + right) / 2, (top + low) / 2, step * 0.16, step * 0.16, first)
            else:
                start = int(c.rng.integers(4))
                c.polygon([corners[start], corners[(start + 1) % 4], corners[(start + 2) % 4]], second)
            for edge in (0.08, 0.92):
                across = [(left + step * edge / c.aspect, top + step * t) for t in np.linspace(0.08, 0.92, 2)]
                c.stroke(across, mix(first, "#ffffff", 0.4), 0.002)
    c.shade(c.noise(110, 2), 0.22)
    c.shade(c.noise(4, 3), 0.14)


def portrait(c: Canvas) -> None:
    """Compose a face from circles and planes."""
    ground = c.pick("#e8d8b8", "#27496d", "#c8553d", "#8aa29e")
    skin = c.pick("#f2c9a0", "#b97a56", "#8d5a3b", "#f7ddc0")
    dark, warm, cool = (
        "#1f1d2b",
        c.pick("#e4572e", "#f3a712", "#a23b72"),
        c.pick("#2e86ab", "#3d7068", "#5b5f97"),
    )
    c.sky(ground, mix(ground, "#ffffff", 0.12))
    for _ in range(7):
        place, size, ink = (c.between(0, 1), c.between(0, 1)), c.between(0.08, 0.3), c.pick(warm, cool, dark)
        c.oval(*place, size, size, mix(ground, ink, 0.35), c.between(0, 360), 180 * int(c.rng.integers(1, 3)))
    x = c.between(0.44, 0.56)
    c.polygon([(x - 0.34, 1), (x - 0.2, 0.76), (x + 0.2, 0.76), (x + 0.34, 1)], cool)
    for stripe in range(6):
        c.stroke(
            [(x - 0.25 + 0.1 * stripe, 1), (x - 0.16 + 0.065 * stripe, 0.77)],
            mix(cool, "#ffffff", 0.5),
            0.012,
        )
    c.box(x - 0.05, 0.64, x + 0.05, 0.82, mix(skin, dark, 0.2))
    c.oval(x, 0.4, 0.31, 0.36, dark, 180, 180)
    c.oval(x, 0.45, 0.23, 0.3, skin)
    c.oval(x, 0.45, 0.23, 0.3, mix(skin, warm, 0.35), -90, 180)
    c.polygon([(x, 0.4), (x + 0.05, 0.56), (x - 0.012, 0.57)], mix(skin, dark, 0.35))
    for side, ink in ((-0.1, cool), (0.1, warm)):
        at = x + side / c.aspect
        c.oval(at, 0.4, 0.05, 0.032, "#fdf8ee")
        c.oval(at, 0.4, 0.026, 0.028, ink)
        c.oval(at, 0.4, 0.011, 0.012, dark)
        c.stroke([(at - 0.04, 0.335), (at, 0.32), (at + 0.04, 0.335)], dark, 0.014)
    c.oval(x, 0.63, 0.07, 0.025, "#9c2f34", 0, 180)
    c.oval(x, 0.63, 0.07, 0.012, "#c5484a", 180, 180)
    c.polygon([(x - 0.27, 0.3), (x + 0.27, 0.25), (x + 0.2, 0.1), (x - 0.17, 0.08)], warm)
    c.stroke([(x - 0.27, 0.3), (x + 0.27, 0.25)], dark, 0.02)
    c.shade(c.noise(70, 3), 0.13)


def bookshelf(c: Canvas) -> None:
    """Fill shelves with books."""
    wood = c.pick("#6b4226", "#8b6a48", "#3f2d23", "#c9b08c")
    c.sky(mix(wood, "#000000", 0.55), mix(wood, "#000000", 0.45))
    inks = ("#7d2a2a", "#22475e", "#d9b44a", "#2f5d47", "#e7dcc4", "#5a3a6b", "#b3592e", "#1f1f2a", "#8ea3a6")
    shelves = int(c.rng.integers(3, 5))
    for shelf in range(shelves):
        floor, tall = (shelf + 1) / shelves - 0.03, 1 / shelves - 0.06
        x = 0.01
        while x < 0.985:
            wide, high = c.between(0.016, 0.05), tall * c.between(0.68, 0.98)
            ink = inks[int(c.rng.integers(len(inks)))]
            if c.rng.random() < 0.06:
                c.ball(x + 0.045, floor - 0.07, 0.07, c.pick("#c9a227", "#6a8caf", "#d8d2c4"))
                x += 0.11
                continue
            lean = c.between(0.01, 0.03) if c.rng.random() < 0.08 else 0
            spine = [(x + lean, floor - high), (x + wide + lean, floor - high), (x + wide, floor), (x, floor)]
            c.polygon(spine, ink)
            c.polygon(
                [spine[1], spine[2], (x + wide * 0.8, floor), (x + wide * 0.8 + lean, floor - high)],
                mix(ink, "#000000", 0.35),
            )
            trim = mix(ink, "#f6e7b4", 0.6)
            for band in (0.08, 0.12, 0.86):
                y = floor - high * (1 - band)
                c.box(x + lean * (1 - band), y, x + wide * 0.8 + lean * (1 - band), y + 0.005, trim)
            c.box(x + wide * 0.25, floor - high * 0.7, x + wide * 0.55, floor - high * 0.35, trim)
            x += wide + lean + 0.002
        c.box(0, floor, 1, floor + 0.03, wood)
        c.box(0, floor + 0.024, 1, floor + 0.032, mix(wood, "#000000", 0.4))
    c.shade(c.noise(80, 3, stretch=0.3), 0.16)


def marble(c: Canvas) -> None:
    """Cut an agate: bands around two hearts."""
    inks = (
        ("#12343b", "#2d6a73", "#8fc1b5", "#f3ead3", "#e1b382"),
        ("#3b1c32", "#6a1e55", "#d06b7e", "#f6d3b3", "#fbf3e4"),
    )
    palette = inks[c.rng.integers(2)]
    hearts = [(c.between(0.15, 0.85), c.between(0.15, 0.85)) for _ in range(2)]
    far = [np.hypot((c.x - x) * c.aspect, c.y - y) for x, y in hearts]
    field = np.minimum(*far) * 5 + 1.5 * c.noise(2, 5) + 0.25 * c.noise(14, 3)
    bands = [mix(palette[step % 5], palette[(step * 3 + 1) % 5], c.between(0, 0.5)) for step in range(60)]
    at = np.clip(field / 0.16, 0, 58)
    step = at.astype(int)
    soft = np.clip((at - step) * 8, 0, 1)[..., None]
    table = np.array(bands, np.float32)
    c.pixels = (table[step] * (1 - soft) + table[step + 1] * soft).astype(np.uint8)
    c.shade(c.noise(90, 2), 0.14)


def aquarium(c: Canvas) -> None:
    """Paint striped fish, weed and bubbles."""
    c.sky("#63c7d4", "#1f86a8", "#0d4a75", "#0a2f55")
    rays = np.sin(c.x * 22 + c.y * 7 + 3 * c.noise(2, 2)) ** 4 * (1 - c.y)
    c.lay((rays * 0.35).astype(np.float32), "#e4fbf5")
    sand = c.below(0.9 - 0.05 * c.ridge(3, 3))
    c.lay(sand, "#d8bd86")
    c.shade(c.noise(70, 3), 0.3, sand)
    for x in c.rng.uniform(0, 1, 22):
        tall, green = c.between(0.15, 0.5), c.pick("#2f8f5b", "#1f6f5b", "#8ab84a", "#b0466a")
        rise = np.linspace(0, 1, 14)
        sway = x + 0.025 * np.sin(rise * 9 + x * 40) * rise
        c.stroke(list(zip(sway, 0.93 - rise * tall, strict=True)), green, 0.014)
    for _ in range(int(c.rng.integers(8, 13))):
        _fish(c, c.between(0.1, 0.9), c.between(0.1, 0.78), c.between(0.04, 0.1))
    for _ in range(70):
        x, y, size = c.between(0, 1), c.between(0, 0.9), c.between(0.003, 0.014)
        c.oval(x, y, size, size, "#c9f1f2", 0, 360, 0.002)


def _fish(c: Canvas, x: float, y: float, size: float) -> None:
    to = size * float(c.rng.choice((-1, 1))) / c.aspect
    body = c.pick("#ff7b25", "#f9d423", "#e84a5f", "#7c5cff")
    fins = c.pick("#fff6e5", "#22223b", "#1b998b")
    c.polygon([(x - to * 0.8, y), (x - to * 1.7, y - size * 0.6), (x - to * 1.7, y + size * 0.6)], fins)
    c.polygon([(x - to * 0.3, y - size * 0.5), (x - to * 0.5, y - size), (x + to * 0.4, y - size * 0.5)], fins)
    c.oval(x, y, size * 1.15, size * 0.62, body)
    for stripe in (-0.5, 0.0, 0.45):
        c.oval(x + to * stripe, y, size * 0.09, size * 0.56 * (1 - stripe**2 * 0.5), fins)
    c.oval(x + to * 0.78, y - size * 0.1, size * 0.15, size * 0.15, "#ffffff")
    c.oval(x + to * 0.82, y - size * 0.1, size * 0.07, size * 0.08, "#10101a")


def cubes(c: Canvas) -> None:
    """Stack isometric cubes."""
    inks = (
        ("#f4d35e", "#ee964b", "#9c3f2a"),
        ("#a8dadc", "#457b9d", "#1d3557"),
        ("#e9f5db", "#97a97c", "#4f5d3a"),
    )
    size = c.between(0.06, 0.095)
    wide, slope = size * 0.866 / c.aspect, size / 2
    for row in range(-1, int(1 / (size * 1.5)) + 3):
        for column in range(-1, int(0.5 / wide) + 3):
            x, y = (column + (row % 2) / 2) * 2 * wide, row * size * 1.5
            top, left, right = inks[int(np.sin(column * 2.3 + row * 1.7) * 1.5 + c.rng.random() * 1.4) % 3]
            lift = size * float(c.rng.integers(3)) * 0.5
            up = y - lift
            c.polygon([(x, up), (x + wide, up - slope), (x, up - size), (x - wide, up - slope)], top)
            c.polygon([(x, up), (x - wide, up - slope), (x - wide, y + slope), (x, y + size)], left)
            c.polygon([(x, up), (x + wide, up - slope), (x + wide, y + slope), (x, y + size)], right)
    c.shade(c.noise(60, 3), 0.12)


def stained_glass(c: Canvas) -> None:
    """Lead coloured glass around a rose."""
    half = (c.width // 2, c.height // 2)  # panes need no fine pixels; the lead hides their edges
    x, y = (cv2.resize(plane, half) for plane in ((c.x - 0.5) * c.aspect, c.y - 0.5))
    count = int(c.rng.integers(50, 80))
    nearest, second = np.full_like(x, 9), np.full_like(x, 9)
    owner = np.zeros(x.shape, np.int32)
    for index in range(count):
        away = (x - c.between(-0.5, 0.5) * c.aspect) ** 2 + (y - c.between(-0.5, 0.5)) ** 2
        closer = away < nearest
        second = np.where(closer, nearest, np.minimum(second, away))
        owner[closer] = index
        nearest = np.minimum(nearest, away)
    inks = np.array([rgb(ink) for ink in ("#c42c34", "#f0aa30", "#1e5ca0", "#22805c", "#7a3c96", "#eee2be", "#46aabe")])
    table = np.clip(inks[c.rng.integers(len(inks), size=count)] * c.rng.uniform(0.7, 1.05, (count, 1)), 0, 255)
    rim = np.hypot(x, y) - 0.27 - 0.05 * np.cos(int(c.rng.integers(5, 10)) * np.arctan2(y, x))
    panes = np.where((rim < 0)[..., None], 255 - 0.6 * table[owner][..., [2, 0, 1]], table[owner])
    c.pixels = np.asarray(cv2.resize(panes.astype(np.uint8), (c.width, c.height)), np.uint8)
    c.shade(c.noise(10, 4), 0.3)
    c.glow(0.5, 0.4, 0.5, "#fff8e0", 0.22)
    gap = np.minimum((np.sqrt(second) - np.sqrt(nearest)) / 2, np.abs(rim))
    lead = np.clip(2.2 - cv2.resize(gap, (c.width, c.height)) * c.height / 2, 0, 1)
    c.lay(lead, "#1a1712")


def scallops(c: Canvas) -> None:
    """Print waves of concentric arcs under a red sun."""
    deep, pale = c.pick("#1f3a5f", "#23504a", "#6b2737"), c.pick("#f5efe0", "#f0e3ca")
    gold = c.pick("#d4a24c", "#e07a5f")
    c.sky(pale, pale)
    size = c.between(0.1, 0.14)
    for row in range(-1, int(2 / size) + 3):
        for column in range(-1, int(c.aspect / size / 2) + 2):
            x, y = (column * 2 + row % 2) * size / c.aspect, row * size / 2
            special = c.rng.random() < 0.12
            faded = 0.12 * float(np.sin(row * 0.35 + column * 0.2) + 1)
            dark = rgb(gold) if special else mix(deep, "#5fa8b8", faded)
            for ring in range(5):
                share, ink = 1 - ring * 0.2, rgb(pale) if ring % 2 else dark
                c.oval(x, y, size * share, size * share, ink)
    x, y = c.between(0.25, 0.75), c.between(0.2, 0.4)
    c.oval(x, y, 0.17, 0.17, "#c8402f")
    c.oval(x, y, 0.185, 0.185, pale, 0, 360, 0.012)
    c.shade(c.noise(100, 2), 0.16)


PAINTERS: Sequence[Callable[[Canvas], None]] = (
    still_life, page_of_text, street_map, pot_plant, quilt, portrait, bookshelf, marble, aquarium, cubes,
    stained_glass, scallops,
)  # fmt: skip
