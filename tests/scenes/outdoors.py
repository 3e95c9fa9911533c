"""Scenes under the sky."""

from collections.abc import Callable, Sequence

import numpy as np

from tests.scenes.canvas import Canvas, mix


def mountains(c: Canvas) -> None:
    """Paint ridges in the haze, firs in front."""
    top, low, near = (("#27466e", "#f3c9a5", "#1c2f3a"), ("#5c8fc2", "#f7efe2", "#23453a"))[c.rng.integers(2)]
    c.sky(top, mix(top, low, 0.6), low)
    sun = c.between(0.2, 0.8)
    c.glow(sun, 0.33, 0.22, "#fff3d6", 0.8)
    c.oval(sun, 0.33, 0.05, 0.05, "#fffbe9")
    for step in range(5):
        line = 0.30 + 0.11 * step + 0.22 * (1 - step / 7) * (1 - c.ridge(3 + step))
        mask = c.below(line)
        c.lay(mask, mix(mix(low, top, 0.35), near, (step + 1) / 5.5))
        c.shade(c.noise(14, 4), 0.16 + 0.05 * step, mask)
        snow = c.noise(16, 5) - 2.6 * (c.y - line)
        c.lay(mask * np.clip((snow - 0.42) * 12, 0, 1) * (0.85 - 0.2 * step), "#fdf8f0")
    for x in np.sort(c.rng.uniform(-0.02, 1.02, 26)):
        tall, foot = c.between(0.12, 0.3), c.between(0.97, 1.08)
        for tier in range(5):
            y, wide = foot - tall * (0.2 + 0.2 * tier), 0.05 * tall / 0.2 * (1 - tier / 6)
            roof = [(x - wide, y + tall * 0.18), (x + wide, y + tall * 0.18), (x, y - tall * 0.12)]
            c.polygon(roof, mix(near, "#07120f", c.between(0.3, 0.7)))
            c.polygon(
                [(x - wide, y + tall * 0.18), (x - wide * 0.4, y + tall * 0.18), roof[2]],
                mix(near, "#dfe8e4", 0.2),
            )


def sailing(c: Canvas) -> None:
    """Paint the sea at sunset with boats."""
    c.sky("#3c3a74", "#c9607a", "#ffb36b", "#ffe2a8", bottom=0.56)
    c.shade(c.noise(3, 5, stretch=4), 0.22)
    c.glow(0.62, 0.52, 0.3, "#fff0c0", 0.8)
    c.oval(0.62, 0.5, 0.09, 0.09, "#fff3cf")
    c.sky("#d98a63", "#6d4b72", "#242c52", top=0.56)
    sea = c.below(0.56)
    c.shade(c.noise(26, 3, stretch=9), 0.32, sea)
    glitter = (c.noise(44, 2, stretch=7) > 0.62) & (np.abs(c.x - 0.62) < 0.04 + 0.3 * (c.y - 0.56))
    c.lay(glitter.astype(np.float32) * sea * 0.8, "#ffe9b0")
    for y in c.rng.uniform(0.57, 1, 420):
        x, long = c.between(0, 1), c.between(0.004, 0.03) * (y - 0.45) * 4
        c.stroke([(x, y), (x + long, y)], c.pick("#f2b98a", "#1d2347", "#8d5a78"), 0.003)
    for _ in range(int(c.rng.integers(3, 6))):
        x, y = c.between(0.06, 0.94), c.between(0.6, 0.86)
        size = (y - 0.5) * 0.75
        c.polygon([(x, y), (x, y - size), (x + size * 0.5 / c.aspect, y - size * 0.12)], "#fbf3e4")
        c.polygon([(x - 0.01, y), (x - 0.01, y - size * 0.8), (x - size * 0.32, y - size * 0.1)], "#e8c7a8")
        hull = [
            (x - size * 0.4, y + 0.01),
            (x + size * 0.45, y + 0.01),
            (x + size * 0.3, y + 0.06 * size + 0.03),
        ]
        c.polygon([*hull, (x - size * 0.3, y + 0.06 * size + 0.03)], "#3a2233")


def skyline(c: Canvas) -> None:
    """Paint a city at dusk with lit windows."""
    c.sky("#1d2b57", "#5c5a93", "#e58f7b", "#ffc98f")
    c.shade(c.noise(3, 4, stretch=3), 0.15)
    for depth in range(3):
        x = -0.05
        wall = mix("#7d6c93", "#141a33", (depth + 1) / 3)
        while x < 1.02:
            wide, top = c.between(0.06, 0.13), c.between(0.18, 0.5) + 0.13 * depth
            c.box(x, top, x + wide, 1, mix(wall, "#000000", c.between(0, 0.2)))
            columns, rows = int(wide / 0.016), int((1 - top) / 0.036)
            for row in range(rows):
                for column in range(columns):
                    if c.rng.random() < 0.3 + 0.14 * depth:
                        left, high = x + 0.006 + column * 0.016, top + 0.018 + row * 0.036
                        light = c.pick("#ffd98a", "#ffedb8", "#ffb765", "#9fc4e8")
                        c.box(left, high, left + 0.008, high + 0.02, mix(wall, light, 0.4 + 0.25 * depth))
            if c.rng.random() < 0.3:
                c.stroke([(x + wide / 2, top), (x + wide / 2, top - 0.09)], wall, 0.005)
            x += wide + c.between(0, 0.02)


def balloons(c: Canvas) -> None:
    """Paint striped balloons over hills."""
    c.sky("#4d9bd6", "#a7d3ee", "#f4efe0")
    cloud = np.clip((c.noise(2.5, 5, stretch=2) - 0.52) * 3.2, 0, 0.9)
    c.lay(cloud, "#ffffff")
    for step, green in enumerate(("#8fae6b", "#5f8d4e")):
        hill = c.below(0.84 + 0.08 * step - 0.08 * c.ridge(2, 3))
        c.lay(hill, green)
        c.shade(c.noise(40, 3), 0.25, hill)
    for _ in range(int(c.rng.integers(4, 7))):
        x, y, size = c.between(0.1, 0.9), c.between(0.14, 0.56), c.between(0.07, 0.16)
        inks = [
            c.pick("#d8402f", "#f2a922", "#1f6f8b", "#f7ecd8"),
            c.pick("#7a2048", "#fbe3b2", "#e86f3a", "#2b3f73"),
        ]
        c.polygon(
            [(x - size * 0.55, y + size * 0.6), (x + size * 0.55, y + size * 0.6), (x, y + size * 1.75)],
            inks[0],
        )
        for stripe in range(7, 0, -1):
            c.oval(x, y, size * stripe / 7, size * 1.08, inks[stripe % 2])
        c.stroke([(x - 0.012, y + size * 1.3), (x - 0.008, y + size * 1.7)], "#4a3526", 0.003)
        c.stroke([(x + 0.012, y + size * 1.3), (x + 0.008, y + size * 1.7)], "#4a3526", 0.003)
        c.box(x - 0.014, y + size * 1.68, x + 0.014, y + size * 1.68 + 0.04, "#7b5230")


def canal(c: Canvas) -> None:
    """Paint gabled houses and their reflection."""
    c.sky("#b9d5e6", "#eef2ec", bottom=0.62)
    c.shade(c.noise(3, 4, stretch=3), 0.07)
    x = -0.02
    while x < 1:
        wide, top = c.between(0.1, 0.16), c.between(0.2, 0.32)
        wall = c.pick("#9c4a35", "#c98b52", "#5f6f78", "#d9c7a0", "#7d3b3b", "#3f5a5c")
        c.box(x, top, x + wide, 0.68, wall)
        gable = [
            (x, top),
            (x + wide * 0.2, top - 0.07),
            (x + wide * 0.5, top - 0.13),
            (x + wide * 0.8, top - 0.07),
        ]
        c.polygon([*gable, (x + wide, top)], mix(wall, "#2a1a14", 0.25))
        for row in range(4):
            for column in range(3):
                left, high = x + wide * (0.14 + 0.27 * column), top + 0.03 + 0.085 * row
                c.box(left - 0.004, high - 0.006, left + wide * 0.18 + 0.004, high + 0.058, "#f3eee2")
                c.box(left, high, left + wide * 0.18, high + 0.052, c.pick("#26343d", "#3b4d57", "#e9c87a"))
        c.box(x + wide * 0.4, 0.585, x + wide * 0.6, 0.68, c.pick("#23402f", "#55221c", "#1d2c45"))
        x += wide
    c.box(0, 0.66, 1, 0.7, "#6d675d")
    at = round(0.7 * c.height)
    rows = c.height - at
    ripple = (np.sin(np.arange(rows) * 0.9) * np.linspace(1, 9, rows) * c.width / 900).astype(int)
    for row in range(rows):
        c.pixels[at + row] = np.roll(c.pixels[max(at - 1 - int(row * 1.9), 0)], ripple[row], axis=0)
    c.lay(c.below(0.7) * 0.42, "#2c4a4f")
    c.shade(c.noise(30, 3, stretch=8), 0.25, c.below(0.7))


def meadow(c: Canvas) -> None:
    """Paint flowers in the grass, near ones large."""
    c.sky("#cfe6c2", "#7fae55", "#3f7431", "#254d22")
    for _ in range(1500):
        x, y = c.between(0, 1), c.between(0.1, 1.1)
        lean, tall = c.between(-0.02, 0.02), 0.05 + 0.16 * y * c.between(0.5, 1)
        green = mix(c.pick("#9cc65a", "#5f9a3c", "#2f6a2c"), "#16351a", c.between(0, 0.5))
        c.stroke([(x, y), (x + lean * 0.4, y - tall * 0.6), (x + lean, y - tall)], green, 0.003)
    inks = ("#f25c54", "#f7b538", "#fdf6ec", "#b56ee0", "#ff8fab", "#5a7be0")
    for y in np.sort(c.rng.uniform(0.08, 1.02, 75)):
        x, size = c.between(0, 1), 0.008 + 0.05 * y**1.6
        ink = inks[int(c.rng.integers(len(inks)))]
        turn = c.between(0, 6.3)
        for petal in range(7):
            angle = turn + petal * 6.2832 / 7
            px, py = x + np.cos(angle) * size * 0.62 / c.aspect, y + np.sin(angle) * size * 0.55
            c.oval(
                px,
                py,
                size * 0.55,
                size * 0.27,
                mix(ink, "#ffffff", 0.25 * (petal % 2)),
                float(np.degrees(angle)),
            )
        c.oval(x, y, size * 0.27, size * 0.25, "#7a4b12" if ink != "#f7b538" else "#4c2a10")


def dunes(c: Canvas) -> None:
    """Paint sand with ripples and a lit side."""
    c.sky("#3f86b8", "#bfdbe2", "#f6e3bf", bottom=0.5)
    for step in range(5):
        line = 0.36 + 0.13 * step + (0.16 + 0.03 * step) * (c.ridge(1 + step % 2, 2) - 0.5)
        mask = c.below(line)
        c.lay(mask, mix("#f0c98b", "#c9763a", step / 5))
        deep = np.clip((c.y - line) * 7, 0, 1)
        c.lay(mask * (1 - deep) * (0.75 if step % 2 else 0.25), "#7a3b22")
        waves = np.sin((c.y * 190 + 9 * np.sin(c.x * 8 + step) + 14 * c.noise(3, 2)) * (1.2 - 0.13 * step))
        c.shade((waves + 1) / 2, 0.1 + 0.03 * step, mask * deep)
    for y in c.rng.uniform(0.72, 1.02, 60):
        x, tall = c.between(0, 1), 0.1 * (y - 0.5)
        for blade in range(5):
            tip = (x + c.between(-0.5, 0.5) * tall, y - tall * c.between(0.7, 1.3))
            c.stroke([(x + 0.002 * blade, y), tip], c.pick("#5d5a2c", "#8a7a3a", "#3d3a22"), 0.003)
    for step in range(int(c.rng.integers(3, 7))):
        x, y = 0.15 + 0.055 * step, 0.6 + 0.008 * step
        c.oval(x, y - 0.02, 0.03, 0.016, "#3b2416")
        c.oval(x + 0.022, y - 0.05, 0.01, 0.012, "#3b2416")
        for leg in (-0.016, -0.008, 0.008, 0.016):
            c.stroke([(x + leg, y - 0.015), (x + leg, y + 0.03)], "#3b2416", 0.005)
        c.stroke([(x + 0.016, y - 0.02), (x + 0.022, y - 0.05)], "#3b2416", 0.009)


def birches(c: Canvas) -> None:
    """Paint pale trunks before autumn leaves."""
    warm = c.rng.random() < 0.5
    c.sky(*(("#f5d58a", "#dd9138", "#7d4a1c") if warm else ("#dcebc0", "#8fb24c", "#3a5a26")))
    inks = ("#f7c948", "#e8892b", "#c4501f", "#fbe7a1") if warm else ("#c5dd6b", "#7fa83a", "#4d7c2a", "#f2f0b5")
    for _ in range(1100):
        x, y = c.between(0, 1), c.between(0, 0.95) ** 1.3
        c.oval(x, y, c.between(0.006, 0.02), c.between(0.004, 0.01), c.pick(*inks), c.between(0, 180))
    for x in np.sort(c.rng.uniform(0.02, 0.98, 13)):
        wide, lean = c.between(0.012, 0.04), c.between(-0.02, 0.02)
        c.polygon([(x, 1), (x + lean, 0), (x + lean + wide * 0.8, 0), (x + wide, 1)], "#efece3")
        edge = [(x + wide * 0.7, 1), (x + lean + wide * 0.6, 0), (x + lean + wide * 0.8, 0), (x + wide, 1)]
        c.polygon(edge, "#b9b3a6")
        for _ in range(16):
            y, at = c.between(0, 1), c.between(0, 0.6)
            left = x + lean * (1 - y) + wide * at
            c.oval(left, y, wide * c.between(0.1, 0.5), 0.004, "#2e2a27")
    c.lay(c.below(0.93 - 0.06 * c.ridge(4)), "#4b3318" if warm else "#29401c")


def rows_of_lavender(c: Canvas) -> None:
    """Paint rows that run to the horizon, a farm at their end."""
    c.sky("#74aee0", "#d8e8ef", "#fdeccc", bottom=0.4)
    c.lay(np.clip((c.noise(2, 5, stretch=4) - 0.55) * 3, 0, 0.8) * (1 - c.below(0.36)), "#ffffff")
    c.lay(c.below(0.36 - 0.1 * c.ridge(2, 4)), "#8aa0b8")
    c.lay(c.below(0.4), "#9a8a52")
    vanish = c.between(0.3, 0.7)
    for row in range(-16, 17):
        foot = vanish + row * 0.14
        for shade, wide in (("#3f2f6b", 0.052), ("#7d5bb5", 0.04), ("#a98be0", 0.016)):
            c.polygon([(vanish + row * 0.006, 0.4), (foot - wide, 1.02), (foot + wide, 1.02)], shade)
    field = c.below(0.405)
    c.shade(c.noise(70, 2, stretch=0.7), 0.45, field * np.clip((c.y - 0.35) * 2.5, 0, 1))
    x = vanish + 0.16
    c.box(x, 0.335, x + 0.12, 0.41, "#e9d3a8")
    c.polygon([(x - 0.01, 0.34), (x + 0.06, 0.28), (x + 0.13, 0.34)], "#b2573a")
    for tree in (-0.03, 0.15, 0.18):
        c.oval(x + tree, 0.36, 0.02, 0.07, "#2e4a2c")


def planet(c: Canvas) -> None:
    """Paint a ringed planet over the night, its moons and stars."""
    c.sky("#0d1233", "#2a2356", "#5a3c78")
    c.lay(np.clip((c.noise(2, 5) - 0.45) * 1.6, 0, 0.7), "#3f6aa8")
    c.lay(np.clip((c.noise(3, 5) - 0.6) * 2, 0, 0.6), "#d06a8f")
    for _ in range(420):
        star = c.between(0.0016, 0.004)
        c.oval(c.between(0, 1), c.between(0, 1), star, star, c.pick("#ffffff", "#ffe9c4", "#bcd4ff"))
    x, y, size = c.between(0.35, 0.65), c.between(0.4, 0.6), c.between(0.2, 0.28)
    ring = c.pick("#e9d2a6", "#b8e0dc")
    rings = [
        (size * (2.1 - 0.13 * step), size * (0.6 - 0.04 * step), mix(ring, "#2a2356", 0.17 * step)) for step in range(5)
    ]
    for wide, high, ink in rings:
        c.oval(x, y, wide, high, ink, -18, 360, 0.008)
    c.ball(x, y, size, c.pick("#d98545", "#4f9aa6", "#b9607c"))
    disc = ((c.x - x) * c.aspect) ** 2 + (c.y - y) ** 2 < (size * 0.985) ** 2
    bands = np.sin((c.y + 0.33 * (c.x - x)) * 60 / size * 0.25 + 4 * c.noise(4, 3, stretch=4))
    c.shade((bands.astype(np.float32) + 1) / 2, 0.2, disc.astype(np.float32))
    for wide, high, ink in rings:
        c.oval(x, y, wide, high, ink, -18, 180, 0.008)
    c.ball(x - 0.3, y - 0.27, 0.05, "#cfc8c0")


def beach(c: Canvas) -> None:
    """Paint umbrellas seen from above, foam and water."""
    c.sky("#e9cf9f", "#f4e2bd", "#dcb982")
    c.shade(c.noise(60, 3), 0.16)
    shore = 0.62 + 0.1 * (c.ridge(3, 3) - 0.5)
    away = c.y - shore
    for off, colour, share in (
        (0, "#bfe3dd", 0.7),
        (0.05, "#5cbfc0", 0.8),
        (0.16, "#1c8ca3", 0.85),
        (0.28, "#0f5f86", 0.8),
    ):
        c.lay(np.clip((away - off) * 30, 0, 1) * share, colour)
    c.shade(c.noise(16, 4, stretch=2), 0.22, np.clip(away * 9, 0, 1))
    foam = np.exp(-(((away - 0.015 - 0.02 * c.noise(9, 3)) / 0.011) ** 2))
    c.lay(foam.astype(np.float32), "#ffffff")
    for _ in range(int(c.rng.integers(12, 19))):
        x, y, size = c.between(0.04, 0.96), c.between(0.06, 0.5), c.between(0.035, 0.07)
        inks = c.pick("#d9412f", "#1f6fa8", "#f2b632", "#2f9d78"), "#fff8ea"
        c.oval(x + 0.02, y + 0.025, size, size, "#b08f5d")
        turn = c.between(0, 90)
        for wedge in range(8):
            c.oval(x, y, size, size, inks[wedge % 2], turn + 45 * wedge, 45)
        c.box(
            x + size * 0.9,
            y + 0.01,
            x + size * 0.9 + 0.03,
            y + 0.1,
            c.pick("#e88f6a", "#6ab0c8", "#f3e3c3", "#8a6fb0"),
        )


def bridge(c: Canvas) -> None:
    """Paint a suspension bridge in the fog."""
    c.sky("#8fa9b8", "#cfd6d2", "#efd9bd")
    for step in range(3):
        c.lay(
            c.below(0.5 + 0.06 * step - 0.14 * c.ridge(2 + step, 4)) * 0.6,
            mix("#93a3a3", "#50686e", step / 3),
        )
    c.lay(c.below(0.68), "#6f8f97")
    c.shade(c.noise(30, 3, stretch=8), 0.26, c.below(0.68))
    for y in c.rng.uniform(0.69, 1, 420):
        x, long = c.between(0, 1), c.between(0.01, 0.05) * (y - 0.55) * 3
        c.stroke([(x, y), (x + long, y)], c.pick("#c3d2d0", "#48656e", "#9db4b6"), 0.003)
    red, deck, (left, right) = (
        c.pick("#b6402c", "#3d5a73", "#7a5a3a"),
        0.6,
        (c.between(0.16, 0.28), c.between(0.7, 0.82)),
    )
    for at in np.linspace(-0.2, 1.2, 90):
        near = min((-0.5, left, right, 1.5), key=lambda tower: abs(tower - at))
        reach = (right - left) / 2 if left < at < right else 0.45
        hang = 0.16 + 0.42 * min(abs(at - near) / reach, 1) * (2 - min(abs(at - near) / reach, 1)) * 0.98
        c.stroke([(at, hang), (at, deck)], mix(red, "#dfe3df", 0.25), 0.0025)
        c.oval(at, hang, 0.007, 0.007, red)
    c.box(0, deck, 1, deck + 0.022, red)
    for x in np.arange(0, 1, 0.028):
        c.stroke([(x, deck + 0.022), (x + 0.014, deck + 0.05), (x + 0.028, deck + 0.022)], red, 0.004)
    c.box(0, deck + 0.048, 1, deck + 0.056, red)
    for x in (left, right):
        for side in (-0.022, 0.012):
            c.box(x + side, 0.1, x + side + 0.012, 0.86, mix(red, "#2a1512", 0.2))
        for y in (0.14, 0.28, 0.42, 0.7):
            c.box(x - 0.022, y, x + 0.024, y + 0.025, red)
    c.lay(np.clip((c.noise(2, 5, stretch=4) - 0.5) * 2, 0, 0.75) * np.clip((c.y - 0.3) * 2, 0, 1), "#f1ece2")


PAINTERS: Sequence[Callable[[Canvas], None]] = (
    mountains, sailing, skyline, balloons, canal, meadow, dunes, birches, rows_of_lavender, planet, beach,
    bridge,
)  # fmt: skip
