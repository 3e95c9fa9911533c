"""Tables go where a page marks them, and nowhere else; wrong removals are laid out for a person."""

from pathlib import Path

import cv2
import numpy as np

from bench.scorecard import Table, fill_page, write_sheets

TABLE = Table("ranking", ("", "one"), (("recall", "0.9"),))
KEPT = "kept\n\n<!-- bench: growth -->\nalso kept\n<!-- /bench -->\n"
PAGE = f"# Page\n\n<!-- bench: ranking -->\nold\n<!-- /bench -->\n\n{KEPT}"


def test_a_page_is_filled_between_its_marks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")
    fill_page(page, [TABLE], {"curve.svg": "<svg/>"})
    text = page.read_text("utf-8")
    assert "old" not in text
    assert "|  | one |\n| --- | --- |\n| recall | 0.9 |" in text
    assert text.endswith(KEPT)
    assert (tmp_path / "images" / "curve.svg").read_text("utf-8") == "<svg/>"
    fill_page(page, [TABLE], {})
    assert page.read_text("utf-8") == text  # filling again changes nothing


def test_wrong_removals_lie_side_by_side(tmp_path: Path) -> None:
    for name, shape in (("a.png", (40, 60, 3)), ("b.png", (80, 30, 3))):
        cv2.imwrite(str(tmp_path / name), np.full(shape, 99, np.uint8))
    write_sheets([{"path": "a.png", "keeper": "b.png"}], tmp_path, tmp_path / "sheets")
    sheet = cv2.imread(str(tmp_path / "sheets" / "wrong-000.jpg"))
    assert sheet is not None
    assert sheet.shape[:2] == (80, 150)
