"""The album keeps its word: its files are what the plan says, nothing leaks into their names, a stopped run goes on."""

import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.album import (
    COPY,
    LOOKALIKE,
    ORIGINAL,
    REAL,
    Item,
    Recipe,
    load_plan,
    original_file,
    plan_album,
    save_plan,
    stripped,
    write_album,
)
from bench.copies import KINDS
from tests.scenes import PAINTERS, draw

SIZE = (96, 72)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    for seed in range(len(PAINTERS)):
        exif = Image.Exif()
        exif[0x010F] = "dedupd"
        Image.fromarray(draw(seed, SIZE)).save(folder / f"{seed:02d}.jpg", quality=92, exif=exif)
    return folder


@pytest.fixture(scope="module")
def recipe(drawn: Path) -> Recipe:
    return Recipe((drawn,), limit=10, copies=len(KINDS), seed=3)


@pytest.fixture(scope="module")
def plan(recipe: Recipe) -> list[Item]:
    return plan_album(recipe)


def test_the_same_recipe_gives_the_same_plan(recipe: Recipe, plan: list[Item], tmp_path: Path) -> None:
    assert plan_album(recipe) == plan
    assert plan_album(replace(recipe, seed=4)) != plan
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan


def test_kinds_are_dealt_out_evenly_and_never_twice_to_one_original(drawn: Path) -> None:
    many = tuple(drawn for _ in range(4))  # the planner does not mind the same pictures again
    items = plan_album(Recipe(many, limit=len(KINDS), copies=3, seed=1))
    assert set(Counter(i.kind for i in items if i.role == COPY).values()) == {3}
    assert set(Counter(i.kind for i in items if i.role == COPY and i.paired).values()) == {1}
    assert max(Counter((i.family, i.kind) for i in items if i.role == COPY).values()) == 1


def test_names_tell_nothing(plan: list[Item]) -> None:
    names = [Path(item.path).stem for item in plan]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("0123456789abcdef") for name in names)
    parts = {item.path.split("-")[0] for item in plan if item.paired}
    assert parts == {"pairs"}


def test_pictures_that_are_pasted_in_are_not_in_the_album(plan: list[Item]) -> None:
    donors = {item.donor for item in plan if item.role == COPY}
    assert donors
    assert not donors & {item.origin for item in plan}


def test_originals_that_were_trained_on_are_left_out_at_any_size(drawn: Path, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    for seed in range(0, len(PAINTERS), 2):
        Image.fromarray(draw(seed, SIZE)).resize((60, 45)).save(trained / f"{seed}.png")
    items = plan_album(Recipe((drawn,), trained_on=(trained,), limit=100, copies=1))
    assert {int(Path(i.origin).stem) % 2 for i in items if i.role == ORIGINAL} == {1}


def test_look_alikes_that_lie_in_two_folders_count_once(drawn: Path, tmp_path: Path) -> None:
    others = tmp_path / "others"
    others.mkdir()
    Image.fromarray(draw(0, SIZE)).resize((64, 48)).save(others / "again.png")
    Image.fromarray(draw(1000, SIZE)).save(others / "new.png")
    said: list[str] = []
    items = plan_album(Recipe((drawn,), negatives=(others,), limit=100, copies=1), said.append)
    assert [Path(i.origin).name for i in items if i.role == LOOKALIKE] == ["new.png"]
    assert "1 look-alikes left out" in said[0]


def test_real_copies_come_from_the_truth_file(drawn: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(draw(ord(name[0]), SIZE)).save(pairs / name)
    (pairs / "broken.jpg").write_bytes(b"no picture")
    (pairs / "truth.json").write_text(json.dumps({"pairs": [["a.png", "b.png", "broken.jpg"], ["c.png"]]}), "utf-8")
    items = [i for i in plan_album(Recipe((drawn,), truth=pairs / "truth.json", limit=3, copies=1)) if i.role == REAL]
    assert [Path(i.origin).name for i in items] == ["a.png", "b.png", "c.png"]
    assert items[0].family == items[1].family != items[2].family


def stop_after(files: int) -> Callable[[int, int], None]:
    def proceed(done: int, total: int) -> None:
        if done >= files:
            raise TimeoutError

    return proceed


def bytes_of(folder: Path, items: Sequence[Item]) -> dict[str, bytes]:
    return {item.path: (folder / item.path).read_bytes() for item in items}


def test_a_stopped_run_goes_on_to_the_same_files(plan: list[Item], tmp_path: Path) -> None:
    some = [item for item in plan if item.family < 2]
    with pytest.raises(TimeoutError):
        write_album(some, tmp_path / "stopped", 3, stop_after(9))
    assert len([path for path in (tmp_path / "stopped").rglob("*") if path.is_file()]) == 9
    write_album(some, tmp_path / "stopped", 3)
    write_album(some, tmp_path / "whole", 3)
    assert bytes_of(tmp_path / "stopped", some) == bytes_of(tmp_path / "whole", some)
    for item in some:
        with Image.open(tmp_path / "whole" / item.path) as picture:
            assert picture.format is not None
            assert picture.format.lower() in (Path(item.path).suffix[1:], "jpeg")
            picture.load()


def test_copies_that_only_lose_metadata_keep_their_pixels(plan: list[Item], tmp_path: Path) -> None:
    plain = [item for item in plan if item.kind == "metadata"]
    assert {item.grade for item in plain} == {0, 1}
    write_album(plain, tmp_path, 3)
    for item in plain:
        original, copy = (cv2.imread(path, cv2.IMREAD_COLOR) for path in (item.origin, str(tmp_path / item.path)))
        assert original is not None
        assert copy is not None
        assert np.array_equal(original, copy)
        with Image.open(tmp_path / item.path) as picture:
            assert not picture.getexif()


def test_what_is_turned_by_its_metadata_is_not_stripped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(draw(5, SIZE)).save(buffer, "JPEG", exif=exif)
    assert stripped(buffer.getvalue()) is None


def test_large_originals_are_shrunk_and_keep_their_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "dedupd", 6
    Image.fromarray(draw(5, (1600, 400))).save(tmp_path / "large.jpg", exif=exif)
    with Image.open(io.BytesIO(original_file(tmp_path / "large.jpg"))) as picture:
        assert picture.size == (320, 1280)  # upright
        assert dict(picture.getexif()) == {0x010F: "dedupd", 0x0112: 1}


def test_frames_of_a_clip_are_look_alikes(drawn: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    writer = cv2.VideoWriter(str(clips / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, SIZE)
    for shade in (10, 120, 230):
        writer.write(np.full((SIZE[1], SIZE[0], 3), shade, np.uint8))
    writer.release()
    items = plan_album(Recipe((drawn,), negatives=(clips,), limit=2, copies=1, frames=2))
    frames = [item for item in items if item.frame >= 0]
    assert [item.frame for item in frames] == [0, 1]
    assert len({item.family for item in frames}) == 2
    write_album(frames, tmp_path / "album", 0)
    shades = [np.asarray(Image.open(tmp_path / "album" / item.path)).mean() for item in frames]
    assert shades == pytest.approx([10, 120], abs=3)


def test_no_original_left_is_said(drawn: Path) -> None:
    with pytest.raises(SystemExit, match="no original left"):
        plan_album(Recipe((drawn,), trained_on=(drawn,)))
