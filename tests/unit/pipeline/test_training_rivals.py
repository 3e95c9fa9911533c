"""Rivals: pictures of one scene that are two pictures, found in a pack or made, and how batch and loss take them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.models.compact import CompactNet, CompactShape
from pipeline.training.__main__ import chosen_sets
from pipeline.training.augment import base_picture
from pipeline.training.data import BatchPlan, Pack, Sampling, build_pack, choose, make_batch, open_pack
from pipeline.training.objective import KeyQueue, Known, stranger_scores
from pipeline.training.rivals import Rivals, build_rivals, find_rivals, may_be_one, open_rivals
from pipeline.training.scenes import moved, rival_bases
from pipeline.training.stream import sampling_of
from pipeline.training.train import NetPlan, TrainingSettings, export_weights, not_strangers
from pipeline.verify import SecondLook
from store.records import MatchKind

Pixels = NDArray[np.uint8]
BOARD, BOARD_MOVED, PLAIN, PLAIN_AGAIN = range(4)


def drawn(seed: int, height: int = 160, width: int = 210) -> Pixels:
    fine = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def with_board(left: int) -> Pixels:
    scene = drawn(1)
    scene[40:120, left : left + 70] = drawn(2, 80, 70)
    return scene


@pytest.fixture(scope="module")
def pack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    (root / "set").mkdir()
    for name, picture in {"0": with_board(60), "1": with_board(85), "2": drawn(3), "3": drawn(3)}.items():
        cv2.imwrite(str(root / "set" / f"{name}.png"), picture)
    for number in range(4, 12):
        cv2.imwrite(str(root / "set" / f"{number:02d}.png"), drawn(number))
    build_pack(chosen_sets([root], []), root / "pack")
    return root / "pack"


def pack_in_order(pack_folder: Path) -> tuple[Pack, list[int]]:
    """Return the pack and the numbers of the four special pictures: names are sorted, 04 comes before 1."""
    names = sorted([f"{number}.png" for number in range(4)] + [f"{number:02d}.png" for number in range(4, 12)])
    return open_pack(pack_folder), [names.index(f"{number}.png") for number in range(4)]


def alike_vectors(count: int, groups: list[tuple[int, int]]) -> NDArray[np.float32]:
    rows = np.eye(count, dtype=np.float32)
    for first, second in groups:
        rows[second] = 0.6 * rows[second] + 0.8 * rows[first]
    return rows


def test_a_copy_is_no_stranger_and_a_moved_thing_makes_rivals(pack_folder: Path) -> None:
    pack, place = pack_in_order(pack_folder)
    board, board_moved, plain, again = place
    near = alike_vectors(len(pack), [(board, board_moved), (plain, again)])
    rivals = find_rivals(pack, near)
    assert rivals.same.tolist() == [sorted((plain, again))]
    assert rivals.near[board, 0] == board_moved
    assert rivals.near[board_moved, 0] == board
    assert (rivals.near[[plain, again]] == -1).all()
    mask = rivals.unlabelled()
    assert mask.sum() == len(pack) + 2
    assert mask[again, plain]
    assert not mask[board, board_moved]


@pytest.mark.parametrize(
    ("kind", "overlap", "agreement", "open_question"),
    [
        (MatchKind.COPY, 0.5, 0.95, True),
        (MatchKind.EDITED, 1.0, 0.99, True),
        (MatchKind.EDITED, 1.0, 0.8, False),
        (MatchKind.EDITED, 0.8, 0.99, False),
        (None, 1.0, 1.0, False),
    ],
)
def test_what_a_second_look_leaves_open(
    kind: MatchKind | None, overlap: float, agreement: float, open_question: bool
) -> None:
    assert may_be_one(SecondLook(kind, "", 0, overlap, agreement, None, "")) == open_question


def test_rivals_are_sought_once_with_the_weights_to_go_on_from(pack_folder: Path, tmp_path: Path) -> None:
    pack, folder = open_pack(pack_folder), tmp_path / "pack"
    folder.mkdir()
    for file in pack_folder.iterdir():
        (folder / file.name).symlink_to(file)
    assert open_rivals(folder) is None
    wanted = TrainingSettings(plan=BatchPlan(rival_share=0.5))
    with pytest.raises(ValueError, match="weights of the first network"):
        not_strangers(pack, folder, wanted)
    shape = CompactShape(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), dimension=16)
    export_weights(CompactNet(shape).eval(), tmp_path / "net.safetensors")
    build_rivals(folder, tmp_path / "net.safetensors", 32)
    found = open_rivals(folder)
    assert found is not None
    assert found.near.shape[0] == len(pack)
    going_on = TrainingSettings(nets=(NetPlan(),), plan=BatchPlan(rival_share=0.5))
    assert np.array_equal(not_strangers(pack, folder, going_on), found.unlabelled())
    assert np.array_equal(sampling_of(pack, folder).rivals, found.near)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(16, 200), st.integers(16, 300))
def test_a_moved_thing_changes_part_of_the_picture(seed: int, height: int, width: int) -> None:
    image = drawn(seed % 50, height, width)
    first, second = moved(image, drawn(seed % 50 + 1, 40, 60), np.random.default_rng(seed))
    assert first.dtype == second.dtype == np.uint8
    assert min(first.shape[0], second.shape[0]) >= 0.85 * height
    assert min(first.shape[1], second.shape[1]) >= 0.85 * width
    assert first.shape != second.shape or not np.array_equal(first, second)


def test_rivals_are_reworked_alike_and_differ_in_what_moved() -> None:
    for seed in range(30):
        shots = rival_bases((drawn(5), drawn(5)), drawn(6), np.random.default_rng(seed), move=False)
        assert np.array_equal(*shots)
        base, _ = base_picture(drawn(5), drawn(6), np.random.default_rng(seed))
        assert base.dtype == shots[0].dtype


def test_rivals_stand_in_pairs_between_the_look_alikes(pack_folder: Path) -> None:
    pack, place = pack_in_order(pack_folder)
    near = np.full((len(pack), 2), -1, np.int64)
    near[place[BOARD], 0], near[place[BOARD_MOVED], 0] = place[BOARD_MOVED], place[BOARD]
    sampling = Sampling(np.full(len(pack), 1 / len(pack)), np.full((len(pack), 1), -1), near)
    plan = BatchPlan(bases=8, look_alike_share=0.125, rival_share=0.5)
    real = made = 0
    for number in range(100):
        chosen, rivals = choose(sampling, plan, np.random.default_rng(number))
        rows = np.flatnonzero(rivals >= 0)
        assert rows.tolist() == [1, 2, 3, 4]
        assert np.array_equal(rivals[rivals[rows]], rows)
        for first in (1, 2):
            pair = {int(chosen[first]), int(chosen[rivals[first]])}
            real += pair == {place[BOARD], place[BOARD_MOVED]}
            made += len(pair) == 1
    assert real > 5
    assert made > 5
    assert real + made == 200


def test_a_batch_names_the_rows_of_rivals(pack_folder: Path) -> None:
    pack = open_pack(pack_folder)
    sampling, plan = sampling_of(pack, pack_folder), BatchPlan(bases=8, look_alike_share=0.0, rival_share=0.5)
    batch = make_batch(pack, sampling, 1, 1, plan, 32, 1.0)
    assert batch.rivals.tolist() == [2, 3, 0, 1, -1, -1, -1, -1]
    assert batch.ids[:2].tolist() == batch.ids[2:4].tolist()  # nothing is near here, so all were made
    assert not np.array_equal(batch.weak[:2], batch.weak[2:4])


def test_rivals_made_of_one_picture_are_strangers_in_the_batch_but_not_in_the_queue() -> None:
    keys, memory = torch.eye(16)[:3], KeyQueue(4, 16)
    memory.push(torch.eye(16)[8:9], torch.tensor([7]))
    table = torch.eye(9, dtype=torch.bool)
    known = Known(torch.tensor([7, 7, 2]), torch.full((3,), 99), torch.tensor([1, 0, -1]))
    scores = stranger_scores(keys, keys, known, memory, table)
    lowest = torch.finfo(torch.float32).min
    assert scores[0].tolist() == [lowest, 0.0, 0.0, *[lowest] * 4, lowest, 0.0, 0.0]
    apart = Known(known.ids, known.donors, torch.full((3,), -1))
    assert stranger_scores(keys, keys, apart, memory, table)[0, 1] == lowest


def test_no_rivals_is_a_table_of_itself_alone() -> None:
    rivals = Rivals(np.zeros((0, 2), np.int64), np.full((3, 8), -1))
    assert np.array_equal(rivals.unlabelled(), np.eye(3, dtype=bool))
