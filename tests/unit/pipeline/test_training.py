"""The recipe: views, packs, negatives, loss, schedule, checkpoints; and the edited copies it is judged by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.copies import KINDS, edited_copy, random_grade
from bench.embedders import measure
from pipeline.embedding import load_compact
from pipeline.models.compact import CompactNet, CompactShape
from pipeline.training.__main__ import chosen_sets, net_plan
from pipeline.training.augment import base_picture, squash, strong_view, weak_view
from pipeline.training.data import (
    BatchPlan,
    build_pack,
    make_batch,
    open_pack,
    sampling_weights,
    unlabelled_pairs,
)
from pipeline.training.objective import KeyQueue, Known, ObjectiveSettings, copy_loss, forbidden_pairs, stranger_scores
from pipeline.training.stream import sampling_of
from pipeline.training.train import (
    SMALL_SIDE,
    NetPlan,
    TrainingSettings,
    as_tensor,
    export_weights,
    load_checkpoint,
    momentum_at,
    on_device,
    rate_at,
    run,
    save_checkpoint,
    severity_at,
    shrunk,
    side_at,
    start,
    take_step,
)

Pixels = NDArray[np.uint8]
SMALL = CompactShape(widths=(8, 8, 16, 16), depths=(1, 1, 1, 1), dimension=16)


def drawn(seed: int, height: int = 120, width: int = 160) -> Pixels:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


@pytest.fixture(scope="module")
def pack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for name, seeds in (("many", range(12)), ("few", range(20, 24))):
        (root / name).mkdir()
        for seed in seeds:
            cv2.imwrite(str(root / name / f"{seed:02d}.jpg"), drawn(seed, 200, 260))
    cv2.imwrite(str(root / "few" / "again.png"), drawn(20, 200, 260) // 2)
    (root / "few" / "broken.jpg").write_bytes(b"no picture")
    build_pack(chosen_sets([root], []), root / "pack")
    return root / "pack"


def test_views_are_pure_functions_of_picture_and_seed() -> None:
    for seed in range(40):
        first, second = (strong_view(drawn(1), drawn(2), np.random.default_rng(seed), 64, 1.0) for _ in range(2))
        assert np.array_equal(first, second)


@pytest.mark.parametrize(("height", "width"), [(160, 213), (16, 16), (17, 480), (480, 17)])
def test_views_of_any_picture_have_the_side_asked_for(height: int, width: int) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        base, _ = base_picture(drawn(seed, height, width), drawn(seed + 1), rng)
        for view in (weak_view(base, rng, 32), strong_view(base, drawn(seed + 2), rng, 32, 1.0)):
            assert view.shape == (32, 32, 3)
            assert view.dtype == np.uint8


def test_the_sampling_is_the_one_the_program_uses() -> None:
    image = drawn(4, 288, 384)
    assert np.array_equal(squash(image, 96), cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA))


def test_a_pack_holds_every_readable_picture_once(pack_folder: Path) -> None:
    pack = open_pack(pack_folder)
    assert len(pack) == 17
    assert pack.sets == ("few", "many")
    assert min(pack.picture(0).shape[:2]) == 160


def test_look_alikes_and_the_picture_itself_are_unlabelled(pack_folder: Path) -> None:
    pack = open_pack(pack_folder)
    mask = unlabelled_pairs(pack)
    assert mask.diagonal().all()
    assert np.array_equal(mask, mask.T)
    assert mask.sum() == len(pack) + 2  # 20.jpg and its darker copy, both ways


def test_a_large_set_does_not_drown_the_others(pack_folder: Path) -> None:
    pack = open_pack(pack_folder)
    weights = sampling_weights(pack, 5)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[pack.set_of == 0].sum() == pytest.approx(weights[pack.set_of == 1].sum())


def test_a_batch_is_the_same_for_the_same_number(pack_folder: Path) -> None:
    pack = open_pack(pack_folder)
    sampling, plan = sampling_of(pack, pack_folder), BatchPlan(bases=6, views=2)
    first, second, other = (make_batch(pack, sampling, number, 1, plan, 32, 1.0) for number in (3, 3, 4))
    assert np.array_equal(first.strong, second.strong)
    assert not np.array_equal(first.strong, other.strong)
    assert first.weak.shape == (6, 32, 32, 3)
    assert first.strong.shape == (12, 32, 32, 3)
    assert len(set(first.ids.tolist()) - {-1}) == int((first.ids >= 0).sum())


def test_strangers_are_negatives_and_look_alikes_are_not() -> None:
    unlabelled = torch.eye(4, dtype=torch.bool)
    unlabelled[0, 1] = unlabelled[1, 0] = True
    forbidden = forbidden_pairs(torch.tensor([0, 2, -1]), torch.tensor([0, 1, 3, -1, -2]), unlabelled)
    assert forbidden.tolist() == [
        [True, True, False, False, True],
        [False, False, False, False, True],
        [False, False, False, False, True],
    ]


def test_the_loss_rewards_finding_the_own_picture() -> None:
    keys = torch.eye(16)[:4]
    memory, unlabelled = KeyQueue(32, 16), torch.eye(4, dtype=torch.bool)
    known = Known(torch.arange(4), torch.full((8,), 99), torch.full((4,), -1))
    right, facts = copy_loss(keys.repeat(2, 1), keys, known, memory, unlabelled, ObjectiveSettings())
    wrong, _ = copy_loss(keys.roll(1, 0).repeat(2, 1), keys, known, memory, unlabelled, ObjectiveSettings())
    assert right < wrong
    assert facts["top1"] == 1.0


def test_a_picture_that_was_pasted_in_is_no_stranger() -> None:
    keys, memory, unlabelled = torch.eye(16)[:4], KeyQueue(32, 16), torch.eye(4, dtype=torch.bool)
    known = Known(torch.arange(4), torch.tensor([2, 99, 99, 99]), torch.full((4,), -1))
    scores = stranger_scores(keys, keys, known, memory, unlabelled)
    lowest = torch.finfo(torch.float32).min
    assert scores[0, :4].tolist() == [lowest, 0.0, lowest, 0.0]
    assert scores[1, :4].tolist() == [0.0, lowest, 0.0, 0.0]


def test_the_queue_forgets_the_oldest() -> None:
    memory = KeyQueue(4, 2)
    memory.push(torch.ones(3, 2), torch.tensor([1, 2, 3]))
    memory.push(torch.zeros(2, 2), torch.tensor([4, 5]))
    assert memory.ids.tolist() == [5, 2, 3, 4]
    assert memory.cursor == 1


def test_schedules_run_from_start_to_end() -> None:
    settings = TrainingSettings()
    assert side_at(settings, 0.0) == SMALL_SIDE
    assert side_at(settings, 1.0) == 96
    assert side_at(replace(settings, device="cuda"), 0.0) == 96
    assert severity_at(settings, 0.0) < severity_at(settings, 0.2) == 1.0
    assert rate_at(settings, 0, 0.0) < settings.learning_rate / 100
    assert rate_at(settings, 10_000, 0.5) == pytest.approx(settings.learning_rate / 2)
    assert rate_at(settings, 10_000, 1.0) < settings.learning_rate / 100
    momenta = [momentum_at(settings, step, progress) for step, progress in ((0, 0.0), (5000, 0.0), (5000, 1.0))]
    assert momenta[0] < 0.2 < momenta[1] < momenta[2] < 1


def test_a_run_goes_on_where_it_stopped(pack_folder: Path, tmp_path: Path) -> None:
    pack = open_pack(pack_folder)
    plan = NetPlan(side=32, shape=SMALL)
    settings = replace(TrainingSettings(), nets=(plan,), queue_size=64, plan=BatchPlan(bases=6))
    unlabelled = torch.from_numpy(unlabelled_pairs(pack))
    batch = make_batch(pack, sampling_of(pack, pack_folder), 0, 1, settings.plan, 32, 1.0)
    state = start(settings, plan)
    assert not load_checkpoint(state, tmp_path)
    for _ in range(2):
        facts = take_step(state, on_device(batch, "cpu"), unlabelled, settings, 0.0)
    assert np.isfinite(float(facts["loss"]))
    state.trained_seconds = 12.5
    save_checkpoint(state, tmp_path)
    again = start(replace(settings, seed=9), plan)
    assert load_checkpoint(again, tmp_path)
    assert (again.step, again.trained_seconds, again.memory.cursor) == (2, 12.5, 12)
    for name, value in state.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name


def test_several_networks_learn_from_one_stream_of_batches(pack_folder: Path, tmp_path: Path) -> None:
    nets = (net_plan("small:32:8,8,16,16:0,1,1,1"), net_plan("large:48:8,8,16,16:1,1,1,1"))
    settings = TrainingSettings(minutes=1e-5, nets=nets, queue_size=64, processes=1, plan=BatchPlan(bases=6))
    states = run(pack_folder, tmp_path, settings)
    assert [state.step for state in states] == [1, 1]
    assert all((tmp_path / name / "snapshot.safetensors").exists() for name in ("small", "large"))
    steps = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in steps] == ["start", "end"]


def test_views_are_shrunk_by_averaging() -> None:
    views = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4)
    assert shrunk(views, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert shrunk(views, 8) is views


def test_exported_weights_embed_like_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = CompactNet(SMALL)
    with torch.no_grad():
        net(torch.randint(0, 255, (16, 3, 64, 64)))  # gives the batch norms something to remember
    net.eval()
    export_weights(net, tmp_path / "net.safetensors")
    pixels = as_tensor(np.stack([squash(drawn(seed), 64) for seed in range(5)]))
    with torch.inference_mode():
        cosine = (net(pixels) * load_compact(tmp_path / "net.safetensors")(pixels)).sum(dim=1)
    assert float(cosine.min()) > 0.999


def test_there_are_enough_kinds_of_copies() -> None:
    assert len(KINDS) >= 20
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_copies_are_reproducible_and_of_every_grade(kind: object) -> None:
    kind = next(k for k in KINDS if k is kind)
    assert 0 <= random_grade(kind, 7) < len(kind.grades)
    for grade in range(len(kind.grades)):
        first, second = (edited_copy(drawn(1), kind, grade, 5, drawn(2)) for _ in range(2))
        assert first.dtype == np.uint8
        assert first.ndim == 3
        assert np.array_equal(first, second)
        changed = first.shape != drawn(1).shape or not np.array_equal(first, drawn(1))
        assert changed == (kind.name != "metadata")


def test_precision_and_recall_are_read_off_one_ranking() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.3, 0.8, 0.85], [0.1, 0.2, 0.7]], np.float32)
    silent = np.eye(3, dtype=bool)
    figures = measure(scores, np.arange(3), silent)
    assert figures.micro_ap == pytest.approx((1 + 2 / 3 + 3 / 4) / 3, abs=1e-6)
    assert figures.recall_99 == pytest.approx(1 / 3)
    silent[1, 2] = True  # now nobody can say whether that pair is wrong
    assert measure(scores, np.arange(3), silent).recall_99 == 1.0


def test_sets_are_subfolders_and_can_be_left_out(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in chosen_sets([tmp_path], ["two"])] == ["one", "three"]
    (tmp_path / "one" / "a.jpg").write_bytes(b"")
    assert chosen_sets([tmp_path / "one"], []) == [tmp_path / "one"]
