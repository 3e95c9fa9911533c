"""Curves and bars are valid pictures that hold what they were given."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from bench.charts import Axis, Series, bars, lines

SVG = "{http://www.w3.org/2000/svg}"


def test_a_chart_is_an_svg_with_its_curves_and_words() -> None:
    drawn = lines(
        "Recall & <precision>",
        Axis("recall", 0, 1),
        Axis("pictures", 1, 1e4, log=True),
        [Series("one", [(0, 1), (1, 1e4)]), Series("what follows from it", [(0, 10), (2, 1e-9)], dashed=True)],
        [(0.5, "here")],
    )
    root = ElementTree.fromstring(drawn)
    curves = [line.get("points", "").split() for line in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in curves] == [2, 2]
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"Recall & <precision>", "one", "here", "recall", "pictures", "10⁴", "0.2"} <= set(words)


def test_shares_fill_a_bar_from_left_to_right() -> None:
    root = ElementTree.fromstring(bars("kinds", [("jpeg", [0.5, 0.25])], ("copy", "edited")))
    copied, edited = [r for r in root.iter(f"{SVG}rect") if r.get("height") == "17"]
    assert float(copied.get("width", 0)) == 2 * float(edited.get("width", 0))
    assert float(edited.get("x", 0)) == float(copied.get("x", 0)) + float(copied.get("width", 0))


@given(st.floats(-100, 100), st.floats(0.01, 1000), st.booleans())
def test_ticks_lie_on_the_axis_in_order(low: float, length: float, log: bool) -> None:
    axis = Axis("x", 10.0**-3, 10.0**4, log=True) if log else Axis("x", low, low + length)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(ticks)
    assert all(-1e-6 <= axis.place(tick) <= 1 + 1e-6 for tick in ticks)
