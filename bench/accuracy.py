"""The scorecard: embedders, hashes, the whole matcher and the whole program, on copies with known truth.

    dedupd bench accuracy FOLDER… --out DIR [--negatives DIR…] [--truth truth.json] [--limit N --copies M --seed S]

Builds an album (bench.album): originals, graded edited copies of them, look-alikes, video frames, real copies. Runs a
real `dedupd scan --action report` over it, asks the matcher about every copy, and ranks all pairs by every embedder
and hash. Everything made is kept in `--out`: the same command goes on where an earlier one stopped (`--minutes`), and
starts over where the recipe changed. After a change of code or settings, `--again` keeps only the album.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.album import (
    COPY,
    LOOKALIKE,
    ORIGINAL,
    OTHERS,
    PAIRS,
    REAL,
    Item,
    Recipe,
    load_plan,
    plan_album,
    save_plan,
    write_album,
)
from bench.embedders import (
    HASHES,
    Describe,
    curve,
    describe_with_embedder,
    judge_scores,
    stranger_cosines,
    unclear_pairs,
)
from bench.gallery import Gallery
from bench.growth import Looks, forecast, hash_share, shares, tail_points
from bench.matcher import TIERS, Opened, accepted, gallery_of, match, open_album, outcomes, tier_names
from bench.neighbours import against_neighbours
from bench.program import keepers, overall, read_log, read_reviewed, scan, tally
from bench.scorecard import AGAINST_NEIGHBOURS, MATCHER, curves, fill_page, tables, write_sheets
from daemon.config import Settings, parse_settings
from daemon.terminal import progress, say, table
from pipeline.embedding import model_facts
from store.errors import UsageError
from store.records import MatchKind

_TRY_AGAIN = 75  # exit code of a run that stopped in time: the same command goes on
_REVIEWED = Path(__file__).with_name("reviewed.json")


class Paused(Exception):
    """The time given is used up; everything done so far is on disk."""


@dataclass(frozen=True, slots=True)
class Work:
    """The folder of one scorecard, and the time until it pauses."""

    folder: Path
    deadline: float = float("inf")
    quiet: bool = False

    @property
    def album(self) -> Path:
        """The pictures."""
        return self.folder / "album"

    @property
    def state(self) -> Path:
        """The state folder of the scan."""
        return self.folder / "state"

    @property
    def output(self) -> Path:
        """Report and log of the scan of everything."""
        return self.folder / "scan"

    @property
    def pairs_output(self) -> Path:
        """Report and log of the scan of originals with one copy each."""
        return self.folder / "scan-pairs"

    @property
    def part_output(self) -> Path:
        """Where the scan of a part writes what nobody reads."""
        return self.folder / "scan-part"

    @property
    def matched(self) -> Path:
        """The copy of the catalog that the matcher works on, and what it found."""
        return self.folder / "matched"

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Show the progress of a step; the function given raises Paused at the deadline."""
        with progress(what, quiet=self.quiet) as advance:

            def proceed(done: int, total: int) -> None:
                advance(done, total)
                if time.monotonic() > self.deadline:
                    raise Paused

            yield proceed

    def forget(self, *, album: bool) -> None:
        """Delete what was measured, and the album too where asked."""
        kept = () if album else (self.album.name,)
        for name in {"album", "state", "scan", "scan-pairs", "scan-part", "matched"} - {*kept}:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name in ("scanned.json", *(("plan.json", "recipe.json") if album else ())):
            (self.folder / name).unlink(missing_ok=True)


def prepared_album(work: Work, recipe: Recipe) -> list[Item]:
    """Plan and write the album, or go on with the one that is there; another recipe starts over."""
    note, plan = work.folder / "recipe.json", work.folder / "plan.json"
    wanted = json.dumps(asdict(recipe), default=str, sort_keys=True)
    if not note.exists() or note.read_text(encoding="utf-8") != wanted:
        work.forget(album=True)
        work.folder.mkdir(parents=True, exist_ok=True)
        say("planning the album", quiet=work.quiet)
        save_plan(plan_album(recipe, lambda line: say(line, quiet=work.quiet)), plan)
        note.write_text(wanted, encoding="utf-8")
    items = load_plan(plan)
    with work.step("writing the album") as proceed:
        write_album(items, work.album, recipe.seed, proceed)
    return items


def scanned(work: Work, config: str) -> float:
    """Scan the album part by part; return the seconds that all scans took."""
    note = work.folder / "scanned.json"
    settings = work.folder / "dedupd.toml"
    model = model_facts(parse_settings(tomllib.loads(config), "bench").embedding).model_id
    judged = hashlib.sha256(f"{config} {model}".encode()).hexdigest()
    done = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    if done.get("judged") != judged:
        work.forget(album=False)
        settings.write_text(config, encoding="utf-8")
        done = {"judged": judged, "runs": 0, "seconds": 0.0}
    pairs, others = (sorted(work.album.glob(f"{name}-*")) for name in (PAIRS, OTHERS))
    # Part by part, for the sake of pauses, the last of them together with all before it, for the log. First originals
    # with one copy each, where keepers are right or wrong one by one, then everything.
    runs = [([part], work.part_output) for part in pairs[:-1]] + [(pairs, work.pairs_output)]
    runs += [([part], work.part_output) for part in others[:-1]] + [([*pairs, *others], work.output)]
    with work.step("scanning") as proceed:
        for number, (folders, output) in enumerate(runs):
            if number >= done["runs"]:
                proceed(number, len(runs))
                answer = scan(folders, work.state, output, settings)
                done |= {"runs": number + 1, "seconds": done["seconds"] + answer["seconds"]}
                note.write_text(json.dumps(done), encoding="utf-8")
    return float(done["seconds"])


def matched(work: Work, opened: Opened) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Ask the matcher, or read what it answered before."""
    kept = work.matched / "scores.npz"
    if kept.exists():
        with np.load(kept) as data:
            return data["scores"], data["strangers"]
    with work.step("asking the matcher") as proceed:
        scores, strangers = match(opened, proceed)
    np.savez_compressed(kept, scores=scores, strangers=strangers)
    return scores, strangers


def vectors(work: Work, name: str, gallery: Gallery, describe: Describe) -> tuple[NDArray[Any], NDArray[Any]]:
    """Describe originals and copies by one method, or read what was described before."""
    kept = work.matched / f"vectors-{name}.npz"
    if not kept.exists():
        with work.step(f"describing by {name}") as proceed:
            proceed(0, 1)
            np.savez(kept, originals=describe(gallery.originals), copies=describe(gallery.copies))
    with np.load(kept) as data:
        return data["originals"], data["copies"]


def stored_vectors(opened: Opened) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the embeddings of distinct pictures and copies as the catalog holds them."""
    model_id = opened.knowledge.model_id

    def rows(places: NDArray[np.int64]) -> NDArray[np.float32]:
        found = [opened.catalog.embedding(int(opened.ids[place]), model_id) for place in places]
        return np.stack([row for row in found if row is not None]).astype(np.float32)

    return rows(opened.distinct), rows(opened.copies)


def ranked(
    work: Work, opened: Opened, gallery: Gallery, unclear: NDArray[np.bool_], extra: Sequence[str]
) -> dict[str, Any]:
    """Rank all pairs by every method and return its figures, with the curve over clear pairs."""
    result: dict[str, Any] = {}

    def judge(name: str, scores: NDArray[np.float32]) -> None:
        result[name] = judge_scores(gallery, scores, unclear) | {"curve": curve(scores, gallery.own, unclear)}

    originals, copies = stored_vectors(opened)
    judge(MATCHER, matched(work, opened)[0])
    judge(opened.knowledge.model_id, copies @ originals.T)
    judge(AGAINST_NEIGHBOURS, against_neighbours(originals, copies))
    methods = dict(HASHES)
    for entry in extra:
        model, _, weights = entry.partition("=")
        describe, model_id = describe_with_embedder(weights, model, 1)
        methods[model_id] = describe
    for name, describe in methods.items():
        originals, copies = vectors(work, name, gallery, describe)
        with work.step(f"judging {name}"):
            judge(name, copies @ originals.T)
    return result


def grown(
    opened: Opened, gallery: Gallery, unclear: NDArray[np.bool_], strangers: NDArray[np.float64]
) -> dict[str, Any]:
    """Measure what strangers share, and say how that grows with the catalog.

    Only clear pairs: relatives (bursts, frames) become more with the number of shots of a scene, not of pictures.
    """
    originals, _ = stored_vectors(opened)
    apart, clear = (stranger_cosines(originals, unknown) for unknown in (gallery.silent, unclear))
    limits = opened.knowledge.matcher.thresholds
    images = opened.catalog.images(opened.ids[opened.distinct].tolist())
    seen = [images[int(opened.ids[place])].observation for place in opened.distinct]
    words = [(o.hashes.phash, o.hashes.dhash) if o is not None and o.hashes.hashable else None for o in seen]
    usable = np.flatnonzero([word is not None for word in words])
    phash, dhash = (np.array([w[side] for w in words if w is not None], np.uint64) for side in (0, 1))
    most = limits.max_phash_bits, limits.max_dhash_bits
    by_hash = hash_share(phash, dhash, most, unclear[np.ix_(usable, usable)])
    share = shares(clear, limits.candidate_similarity, limits.similar_similarity, by_hash)
    pairs = strangers[:, :2].astype(int)
    silent, vague = gallery.silent[pairs[:, 0], pairs[:, 1]], unclear[pairs[:, 0], pairs[:, 1]]
    groups = {"clear": strangers[~vague], "one source": strangers[vague & ~silent], "alike": strangers[silent]}
    found = {name: dict(Counter(tier_names(rows[:, 2]))) for name, rows in groups.items()}
    same = int((groups["clear"][:, 2] >= TIERS[MatchKind.COPY]).sum())
    tails = {"tail": tail_points(apart), "clear_tail": tail_points(clear)}
    return {**forecast(share, Looks(len(groups["clear"]), same)), **tails, "stranger_outcomes": found}


def score(work: Work, recipe: Recipe, config: str, options: argparse.Namespace) -> dict[str, Any]:
    """Do every step that is not done yet and return all results. Raises Paused at the deadline."""
    items = prepared_album(work, recipe)
    seconds = scanned(work, config)
    settings: Settings = parse_settings(tomllib.loads(config), "bench")
    opened = open_album(items, work.album, work.state, work.matched, settings)
    try:
        same = read_reviewed(options.reviewed)
        gallery = gallery_of(opened, same)
        unclear = unclear_pairs(gallery, options.bursts)
        scores, strangers = matched(work, opened)
        images = opened.catalog.images(opened.ids[opened.ids > 0].tolist())
        plain = frozenset(
            item.path
            for item, image_id in zip(items, opened.ids.tolist(), strict=True)
            if image_id and (o := images[image_id].observation) is not None and not o.picture.metadata_fields
        )
        program = tally(items, read_log(work.output, work.album), same)
        program["keepers"] = keepers(items, read_log(work.pairs_output, work.album), plain)
        program |= {"overall": overall(program), "seconds": seconds}
        limits = opened.knowledge.matcher.thresholds
        return {
            "schema": 1,
            "recipe": json.loads(json.dumps(asdict(recipe), default=str)),
            "counts": counts(items),
            "model": {"id": opened.knowledge.model_id, "candidate": limits.candidate_similarity,
                      "similar": limits.similar_similarity},
            "ranking": ranked(work, opened, gallery, unclear, options.embedder),
            "matcher": {"outcomes": outcomes(gallery, scores), "accepted": accepted(gallery, scores, unclear)},
            "program": program,
            "growth": grown(opened, gallery, unclear, strangers),
        }  # fmt: skip
    finally:
        opened.catalog.close()


def counts(items: Sequence[Item]) -> dict[str, int]:
    """Count the files of an album by what they are."""
    roles = Counter(item.role for item in items)
    return {
        "originals": roles[ORIGINAL],
        "edited copies": roles[COPY],
        "look-alikes and others, no copies made": sum(i.role == LOOKALIKE and i.frame < 0 for i in items),
        "frames of clips": sum(item.frame >= 0 for item in items),
        "real copies and their originals": roles[REAL],
        "of all, trained on": sum(item.seen for item in items),
        "all": len(items),
    }


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    about = (__doc__ or "").split("\n")[0] + " @FILE reads arguments from a file, one per line."
    made = argparse.ArgumentParser(prog="dedupd bench accuracy", description=about, fromfile_prefix_chars="@")
    made.add_argument("folders", type=Path, nargs="+", help="folders of originals, none of them trained on")
    made.add_argument("--out", type=Path, required=True, help="folder for album, state and results")
    made.add_argument("--negatives", type=Path, nargs="*", default=[], help="look-alikes and clips; no copies are made")
    made.add_argument("--truth", type=Path, help="truth.json of families of real copies")
    made.add_argument(
        "--trained-on", type=Path, nargs="*", default=[], help="no original may lie in these, at any size"
    )
    made.add_argument("--bursts", nargs="*", default=[], help="sources that repeat scenes (figures `clear`)")
    made.add_argument("--limit", type=int, default=100, help="originals [100]")
    made.add_argument("--copies", type=int, default=3, help="copies of each original [3]")
    made.add_argument("--frames", type=int, default=64, help="frames of each clip [64]")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--embedder", action="append", default=[], help="NAME or NAME=WEIGHTS, to be ranked as well")
    made.add_argument("--config", type=Path, help="configuration to judge with [the defaults]")
    made.add_argument("--minutes", type=float, default=float("inf"), help="pause after so long (exit code 75)")
    made.add_argument("--again", action="store_true", help="measure again what was measured, on the same album")
    made.add_argument("--reviewed", type=Path, default=_REVIEWED, help="pairs that a person found to be one picture")
    made.add_argument("--json", type=Path, help="file for all figures [OUT/accuracy.json]")
    made.add_argument("--page", type=Path, help="page whose marked tables are to be filled, with curves in images/")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write figures, curves and sheets of wrong removals."""
    options = parser().parse_args(arguments)
    folders, negatives, trained = (
        tuple(path.resolve() for path in paths) for paths in (options.folders, options.negatives, options.trained_on)
    )
    for folder in (*folders, *negatives, *trained):
        if not folder.is_dir():
            raise UsageError(f"no such folder: {folder}", "clips are named by the folder that holds them")
    truth = options.truth.resolve() if options.truth else None
    recipe = Recipe(folders, negatives, truth, trained, options.limit, options.copies, options.frames, options.seed)
    config = options.config.read_text(encoding="utf-8") if options.config else ""
    work = Work(options.out.resolve(), time.monotonic() + 60 * options.minutes)
    if options.again:
        work.forget(album=False)
    try:
        results = score(work, recipe, config, options)
    except Paused:
        say("Time is up; everything so far is kept. The same command goes on from here.")
        raise SystemExit(_TRY_AGAIN) from None
    found, pictures = tables(results), curves(results)
    for one in found:
        say(f"\n{one.name}")
        table(one.head, one.rows, right=range(1, len(one.head)))
    (options.json or work.folder / "accuracy.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    for name, svg in pictures.items():
        (work.folder / name).write_text(svg, encoding="utf-8")
    write_sheets(results["program"]["wrong"], work.album, work.folder / "sheets")
    if options.page:
        fill_page(options.page, found, pictures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
