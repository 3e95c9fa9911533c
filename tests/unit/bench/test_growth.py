"""What is said of the tail of strangers agrees with laws whose tail is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.embedders import stranger_cosines, suggested_thresholds
from bench.growth import (
    Looks,
    exceedance,
    fitted,
    forecast,
    hash_share,
    most_likely_at_most,
    shares,
    tail_points,
    tail_quantile,
)


def cosines(pairs: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Draw cosines as unrelated pictures have: exponential above 0.1, one in e per 0.05."""
    return (0.1 + np.random.default_rng(seed).exponential(0.05, pairs)).astype(np.float32)


def test_the_tail_is_extrapolated_where_the_law_is_known() -> None:
    found = cosines(400_000)
    for share in (1e-5, 1e-6, 1e-7):
        assert tail_quantile(found, share) == pytest.approx(0.1 - 0.05 * np.log(share), abs=0.08)
    assert exceedance(found, 0.1 - 0.05 * np.log(1e-6)) == pytest.approx(1e-6, rel=2)


def test_what_can_be_counted_is_counted() -> None:
    found = cosines(100_000)
    assert tail_quantile(found, 1e-2) == pytest.approx(np.quantile(found, 0.99))
    assert exceedance(found, 0.3) == (found > 0.3).mean()


def test_a_bounded_tail_ends() -> None:
    found = np.random.default_rng(0).uniform(0, 0.5, 200_000).astype(np.float32)
    assert fitted(found).shape == pytest.approx(-1, abs=0.2)
    assert exceedance(found, 0.7) == 0
    assert tail_quantile(found, 1e-8) == pytest.approx(0.5, abs=0.01)


@given(st.floats(1e-9, 1e-3))
def test_quantile_and_share_undo_each_other(share: float) -> None:
    law = fitted(cosines(50_000))
    assert law.exceeding(law.cosine_at(share)) == pytest.approx(share, rel=1e-6)


def test_rates_that_may_still_be_true() -> None:
    assert most_likely_at_most(0, 1000) == pytest.approx(2.996e-3, rel=1e-3)  # the rule of three
    assert most_likely_at_most(1, 1000) == pytest.approx(4.744e-3, rel=1e-3)
    assert most_likely_at_most(20, 10_000) == pytest.approx(29.06e-4, rel=1e-3)
    assert most_likely_at_most(0, 0) == 1


def test_partners_grow_with_the_catalog_and_thresholds_hold_up_to_a_size() -> None:
    share = shares(cosines(100_000), 0.4, 0.6, by_hash=1e-6)
    told = forecast(share, Looks(1000, 0), catalogs=(1001, 10_001))
    small, large = told["rows"]
    assert large["candidates"] == pytest.approx(10 * small["candidates"])
    assert small["candidates"] == pytest.approx(1000 * (share["cosine"] + 1e-6))
    assert small["wrong_per_10k"] == 0 < small["wrong_per_10k_at_most"]
    assert told["candidate_holds"] == pytest.approx(50 / (share["cosine"] + share["hash"]))


def test_where_nothing_was_looked_at_nothing_is_promised() -> None:
    rows = forecast({"cosine": 0.0, "hash": 0.0, "similar": 0.0}, Looks(0, 0))["rows"]
    assert {(row["wrong_per_10k"], row["wrong_per_10k_at_most"]) for row in rows} == {(None, None)}


def test_hash_partners_are_those_of_the_naive_count() -> None:
    rng = np.random.default_rng(1)
    phash = rng.integers(0, 1 << 8, 60).astype(np.uint64)  # eight bits: many are close
    dhash = rng.integers(0, 1 << 8, 60).astype(np.uint64) << np.uint64(20)
    silent = np.eye(60, dtype=bool)
    pairs = [(i, j) for i in range(60) for j in range(60) if i != j]
    close = [
        (int(phash[i]) ^ int(phash[j])).bit_count() <= 2 or (int(dhash[i]) ^ int(dhash[j])).bit_count() <= 1
        for i, j in pairs
    ]
    assert hash_share(phash, dhash, (2, 1), silent) == pytest.approx(np.mean(close))


def test_strangers_are_all_pairs_that_are_not_silent() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 4)).astype(np.float32)
    silent = rng.random((30, 30)) < 0.2
    wanted = [vectors[i] @ vectors[j] for i in range(30) for j in range(i + 1, 30) if not silent[i, j]]
    assert np.allclose(np.sort(stranger_cosines(vectors, silent)), np.sort(wanted), atol=1e-5)


def test_a_larger_catalog_asks_for_higher_thresholds() -> None:
    found = cosines(200_000)
    small, large = (suggested_thresholds(found, pictures) for pictures in (10_000, 1_000_000))
    assert small["candidate"] < large["candidate"]
    assert small["similar"] < large["similar"]
    # Half a picture of 10,000 exceeds it, rounded up to the next hundredth.
    assert small["candidate"] == pytest.approx(0.1 - 0.05 * np.log(5e-5), abs=0.02)


def test_the_chart_of_the_tail_falls() -> None:
    points = tail_points(cosines(20_000))
    for curve in (points["counted"], points["fitted"]):
        levels = [share for _, share in sorted(curve)]
        assert levels == sorted(levels, reverse=True)
