"""Who shows a little more along the rims is whole, unless that is a border."""

from pathlib import Path

import pytest
from PIL import Image, ImageOps

from pipeline.frames import by_rims, each_has_its_own
from pipeline.recompressed import Preference
from store.records import Lineage, Relation
from tests.unit.pipeline.test_drawings import screen
from tests.unit.pipeline.test_interpolating import opened
from tests.unit.pipeline.test_originals import drawn, judged, saved, seen


@pytest.mark.parametrize("cut", [(2, 2, 638, 478), (0, 3, 640, 480), (1, 0, 637, 478)])
@pytest.mark.parametrize("quality", [60, 95])
def test_the_whole_stays_beside_a_copy_cut_by_a_few_pixels(
    cut: tuple[int, int, int, int], quality: int, tmp_path: Path
) -> None:
    original = saved(drawn(), quality=80)
    copy = saved(opened(original).crop(cut), quality=quality)
    found = judged(original, copy, tmp_path)
    assert found.original == 1, found


@pytest.mark.parametrize("width", [2, 4])
def test_a_thin_border_shows_no_more(width: int, tmp_path: Path) -> None:
    original = saved(drawn(), quality=80)
    copy = saved(ImageOps.expand(opened(original), width, "white"), quality=92)
    assert judged(original, copy, tmp_path).original == 1


@pytest.mark.parametrize("ground", ["white", "#dde8f0"])
def test_a_sheet_cut_nearly_to_its_frame_shows_less_and_a_framed_one_was_there_before(
    ground: str, tmp_path: Path
) -> None:
    """A preview has no place for the few pixels of the margin that are left; the files have."""
    panel = Image.new("RGB", (1520, 1120), "black")
    panel.paste(screen().resize((1500, 1100), Image.Resampling.NEAREST), (10, 10))
    sheet = ImageOps.expand(panel, 20, ground)
    whole, cut = saved(sheet), saved(sheet.crop((16, 16, 1544, 1144)))
    assert judged(whole, cut, tmp_path).original == 1
    bordered = saved(ImageOps.expand(sheet, 24, "#404048"))
    assert judged(whole, bordered, tmp_path).original == 1, "a border of another colour"


def test_rims_are_asked_of_two_of_one_scale_alone(tmp_path: Path) -> None:
    picture = drawn()
    whole = seen(saved(picture), tmp_path)[0]
    part = seen(saved(picture.crop((0, 0, 640, 472))), tmp_path)[0]
    small = seen(saved(picture.resize((632, 474), Image.Resampling.LANCZOS)), tmp_path)[0]
    lineage = Lineage(Relation.SAME, 0, 472 / 480, 1.0)
    assert by_rims(whole, part, lineage) == Preference(1, "the other is a part of it")
    assert by_rims(part, whole, Lineage(Relation.SAME, 0, 1.0, 472 / 480)).original == 2
    assert by_rims(whole, small, Lineage(Relation.SAME)) == Preference(), "reduced"
    assert by_rims(whole, small, lineage) == Preference(), "of another scale"
    assert by_rims(whole, whole, lineage) == Preference(), "of one size"


def test_a_part_that_shows_far_more_and_a_coarse_whole_both_have_something_of_their_own(tmp_path: Path) -> None:
    picture = drawn()
    half, part = picture.resize((320, 240), Image.Resampling.LANCZOS), picture.crop((0, 0, 320, 240))
    whole, coarse = seen(saved(picture), tmp_path)[0], seen(saved(half), tmp_path)[0]
    tile, enlarged = (
        seen(saved(each), tmp_path)[0]
        for each in (part, half.crop((0, 0, 80, 60)).resize((320, 240), Image.Resampling.NEAREST))
    )
    lineage = Lineage(Relation.PART, 1, 0.25, 1.0)
    assert each_has_its_own(coarse, tile, lineage)
    assert each_has_its_own(tile, coarse, Lineage(Relation.PART, 2, 1.0, 0.25))
    assert not each_has_its_own(whole, tile, lineage), "cut"
    blown_up = Lineage(Relation.PART, 1, 0.0625, 1.0)
    assert not each_has_its_own(coarse, enlarged, blown_up), "cut and enlarged: it shows no more"
    for other in (Lineage(Relation.INSET, 1, 0.25, 1.0), Lineage(Relation.PART, 0, 0.25, 1.0)):
        assert not each_has_its_own(coarse, tile, other)
