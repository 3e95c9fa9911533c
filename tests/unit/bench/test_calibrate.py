"""Calibration suggests by the shipped rule, promises what was measured, and changes no configuration."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.calibrate import Measured, drawn, expected, main, measured, rows, snippet
from daemon.config import Settings, parse_settings
from store.errors import UsageError
from tests.scenes import PAINTERS, draw

PICTURES = 2 * len(PAINTERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mine")
    for seed in range(PICTURES):
        Image.fromarray(draw(seed, (96, 72))).save(made / f"{seed:02d}.png")
    return made


def invented() -> Measured:
    rng = np.random.default_rng(0)
    strangers = (0.1 + rng.exponential(0.05, 100_000)).astype(np.float32)
    right = rng.uniform(0.3, 1, 1000).astype(np.float32)
    return Measured(448, right, right > 0.9, strangers, strangers)


def test_the_sample_is_reproducible_and_knows_where_pictures_lay(folder: Path) -> None:
    first, second = (drawn(folder, 40, 1, seed=2) for _ in range(2))
    assert first.copies == second.copies
    assert np.array_equal(first.source, np.sort(first.source))
    assert len(set(first.source.tolist())) == 40


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few"):
        drawn(tmp_path, 100, 1, 0)
    with pytest.raises(UsageError, match="no such folder"):
        main([str(tmp_path / "nowhere")])


def test_copies_are_nearer_than_strangers_and_neighbours_are_not_clear(folder: Path) -> None:
    found = measured(drawn(folder, PICTURES, 1, 0), Settings())
    assert np.median(found.right) > np.quantile(found.apart, 0.9)
    assert len(found.clear) < len(found.apart)
    assert found.by_hash.any()
    assert not found.by_hash.all()


def test_the_promise_is_what_was_measured() -> None:
    found = invented()
    promise = expected(found, 0.5, 0.6, 10_001)
    assert promise.candidate_recall == pytest.approx((found.right >= 0.5).mean())
    assert promise.looks_per_picture == pytest.approx(10_000 * (found.apart > 0.5).mean())
    wrong = 10_000 * np.exp(-0.5 / 0.05)  # the law they were drawn from
    assert promise.similar_precision == pytest.approx(
        promise.similar_recall / (promise.similar_recall + wrong), abs=0.2
    )
    stricter = expected(found, 0.7, 0.8, 10_001)
    assert stricter.candidate_recall < promise.candidate_recall
    assert stricter.similar_precision > promise.similar_precision
    assert len(rows(promise, stricter)) == 9


def test_the_suggestion_is_a_valid_configuration() -> None:
    text = snippet(invented(), expected(invented(), 0.41, 0.77, 10_000), "model-1", 10_000)
    settings = parse_settings(tomllib.loads(text), "suggestion")
    assert (settings.matching.candidate_similarity, settings.matching.similar_similarity) == (0.41, 0.77)


def test_the_command_writes_the_suggestion_and_leaves_the_configuration_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "dedupd.toml"
    config.write_text("[matching]\ncandidate_similarity = 0.6\nsimilar_similarity = 0.9\n", "utf-8")
    before = config.read_bytes()
    words = ["--config", config, "--out", tmp_path / "new.toml", "--json", tmp_path / "new.json", "--per-kind", 1]
    assert main([str(folder), *map(str, words)]) == 0
    assert config.read_bytes() == before
    suggested = parse_settings(tomllib.loads((tmp_path / "new.toml").read_text("utf-8")), "new").matching
    told = json.loads((tmp_path / "new.json").read_text("utf-8"))
    assert told["in_force"]["candidate"] == 0.6
    assert told["suggested"]["candidate"] == suggested.candidate_similarity
    told_there = capsys.readouterr()
    assert "in force" in told_there.out
    assert "an extrapolation" in told_there.err, "so few pictures hold no pair that lies so far out"
