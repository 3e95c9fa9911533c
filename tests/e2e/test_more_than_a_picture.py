"""Files that hold more than one look shows, and files that are whole but for their rim, through the real command."""

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.e2e.command import contents, dedupd, scan, verdicts, write_config
from tests.gallery import draw

SIZE = (480, 360)
SCENES = [Image.fromarray(draw(seed, SIZE)) for seed in range(30, 36)]


def several(path: Path, first: int, *others: int) -> None:
    rest = [SCENES[other] for other in others]
    SCENES[first].copy().save(path, save_all=True, append_images=rest, lossless=path.suffix == ".webp")


def with_white_text(path: Path, text: str) -> None:
    page = Image.new("RGBA", (SIZE[0], SIZE[1] + 140), (255, 255, 255, 0))
    page.paste(SCENES[5], (0, 0))
    ImageDraw.Draw(page).text((20, SIZE[1] + 20), text, fill=(255, 255, 255, 255), font=ImageFont.load_default(80))
    page.save(path)


def encoded(scene: int, name: str) -> bytes:
    buffer = io.BytesIO()
    SCENES[scene].save(buffer, name, **({"quality": 90} if name == "JPEG" else {}))
    return buffer.getvalue()


def diagram(words: str) -> Image.Image:
    """Draw a white sheet with boxes and words, and dark words below it, on clear ground."""
    page, font = Image.new("RGBA", SIZE, (0, 0, 0, 0)), ImageFont.load_default(22)
    pen = ImageDraw.Draw(page)
    pen.rectangle((15, 15, 465, 300), fill=(255, 255, 255, 255))
    for number, word in enumerate(words.split()):
        left, top = 30 + 145 * (number % 3), 40 + 90 * (number // 3)
        pen.rectangle((left, top, left + 120, top + 50), outline=(30, 60, 120, 255), width=2)
        pen.text((left + 10, top + 10), word, fill=(20, 20, 20, 255), font=font)
    pen.text((30, 315), f"Figure of {words}", fill=(20, 20, 20, 255), font=ImageFont.load_default(16))
    return page


def test_a_flattened_drawing_goes_for_its_transparent_original(tmp_path: Path) -> None:
    """Even where it has more bytes, as a JPEG of a drawing has."""
    album, out, state = tmp_path / "album", tmp_path / "out", tmp_path / "state"
    album.mkdir()
    for number, words in enumerate(("north south east west up down", "apple plum pear quince fig sloe")):
        page = diagram(words)
        page.save(album / f"{number}.png", optimize=True)
        flat = Image.new("RGB", SIZE, "white")
        flat.paste(page, mask=page.getchannel("A"))
        flat.save(album / f"{number}.jpg", quality=92)
        assert (album / f"{number}.jpg").stat().st_size > (album / f"{number}.png").stat().st_size
    before = contents(album)
    found = verdicts(scan(album, "--output", out, "--state", state, "--action", "move")["log"], album)
    assert [found[f"{number}.png"][0] for number in (0, 1)] == ["keep", "keep"]
    assert [found[f"{number}.jpg"][:2] for number in (0, 1)] == [("duplicate", "0.png"), ("duplicate", "1.png")]
    assert dedupd("check", "--state", state).code == 0
    assert dedupd("undo", "--all", "--state", state).code == 0
    assert contents(album) == before


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif", "mpo"])
def test_a_file_of_several_pictures_is_never_removed_for_its_first(tmp_path: Path, suffix: str) -> None:
    album, archive = tmp_path / "album", tmp_path / "archive"
    album.mkdir()
    archive.mkdir()
    several(album / f"a.{suffix}", 0, 1, 2)
    several(album / f"b.{suffix}", 0, 3, 4)
    (album / f"bytes.{suffix}").write_bytes((album / f"a.{suffix}").read_bytes())
    several(album / f"of-archive.{suffix}", 5, 1)
    SCENES[5].save(archive / "still.png")
    SCENES[0].save(album / "small.jpg", quality=60)
    before = contents(album)
    out, state = tmp_path / "out", tmp_path / "state"
    config = write_config(
        tmp_path / "c.toml", {"path": archive, "protected": True}, {"path": album}, actions={"similar": "follow"}
    )
    where = ("--output", out, "--state", state, "--config", config)
    answer = scan(archive, album, *where, "--action", "move")
    found = verdicts(answer["log"], album)
    assert found[f"b.{suffix}"][0] == found[f"of-archive.{suffix}"][0] == "keep"
    assert {found[f"a.{suffix}"][0], found[f"bytes.{suffix}"][0]} == {"keep", "duplicate"}
    assert {kind for _, keeper, kind in found.values() if keeper and keeper.endswith(suffix)} <= {"exact", "copy"}
    assert dedupd("check", "--state", state).code == 0
    assert dedupd("undo", "--all", "--state", state).code == 0
    assert contents(album) == before


def test_transparency_and_whole_files_with_a_worn_rim_are_kept(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    with_white_text(album / "sale.png", "SALE 50%")
    with_white_text(album / "closed.png", "CLOSED")
    (album / "again.png").write_bytes((album / "sale.png").read_bytes())
    logo = Image.new("RGBA", (600, 400), (0, 0, 0, 0))
    ImageDraw.Draw(logo).text((100, 150), "LOGO", fill=(255, 255, 255, 255), font=ImageFont.load_default(120))
    logo.save(album / "logo.png")
    jpegs = [encoded(scene, "JPEG") for scene in range(4)]
    (album / "no-end.jpg").write_bytes(jpegs[0][:-2])
    (album / "newline.jpg").write_bytes(b"\n" + jpegs[1])
    (album / "half.jpg").write_bytes(jpegs[2][: len(jpegs[2]) // 2])
    png = encoded(3, "PNG")
    (album / "bad-note.png").write_bytes(png[:33] + b"\0\0\0\4tEXtabcd\0\0\0\0" + png[33:])
    answer = scan(album, "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    found = {name: verdict for name, (verdict, _, _) in verdicts(answer["log"], album).items()}
    assert sorted((found.pop("sale.png"), found.pop("again.png"))) == ["duplicate", "keep"]
    assert found.pop("half.jpg") == "corrupt"
    assert set(found.values()) == {"keep"}, found


@pytest.mark.parametrize(("missing", "verdict"), [(2, "duplicate"), (12, "keep")])
def test_only_a_picture_that_lost_nothing_replaces_a_whole_one(tmp_path: Path, missing: int, verdict: str) -> None:
    album, archive = tmp_path / "album", tmp_path / "archive"
    album.mkdir()
    archive.mkdir()
    data = encoded(0, "JPEG")
    (album / "whole.jpg").write_bytes(data)
    (archive / "cut.jpg").write_bytes(data[:-missing])
    config = write_config(tmp_path / "c.toml", {"path": archive, "protected": True}, {"path": album})
    answer = scan(archive, album, "--output", tmp_path / "out", "--state", tmp_path / "state", "--config", config)
    found = verdicts(answer["log"], tmp_path)
    assert (found["archive/cut.jpg"][0], found["album/whole.jpg"][0]) == ("keep", verdict)
