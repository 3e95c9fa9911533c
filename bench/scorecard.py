"""The scorecard on paper: tables for the terminal and for Markdown, and curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.album import REAL
from bench.charts import Axis, Series, bars, lines
from bench.copies import KINDS
from bench.program import DEGRADED, overall

MATCHER = "whole matcher"
AGAINST_NEIGHBOURS = "the same, against neighbours"
_OUTCOMES = ("pixels", "copy", "edited", "similar", "none")
_BRIEF = ("micro_ap", "recall_99")
_SHEET_SIDE_PIXELS = 480


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name is that of the block in the page it belongs to."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines_ = [self.head, ("---",) * len(self.head), *self.rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines_)


def tables(results: Mapping[str, Any]) -> list[Table]:
    """Return all tables."""
    ranking = [_ranking(results), _ranking_by(results, "kinds", _kind_names())]
    sources = sorted({name for method in results["ranking"].values() for name in method["sources"]})
    ranking.append(_ranking_by(results, "sources", sources))
    whole = [_outcomes(results), _program(results), _program_kinds(results), _growth(results)]
    return [_album(results), *ranking, *whole]


def _album(results: Mapping[str, Any]) -> Table:
    rows = [(name, f"{number:,}") for name, number in results["counts"].items()]
    return Table("album", ("files", "number"), tuple(rows))


def _share(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f} %"


def _ranking(results: Mapping[str, Any]) -> Table:
    labels = (("micro-AP", "micro_ap"), ("recall at 99 % precision", "recall_99"),
              ("recall at 99.9 % precision", "recall_999"))  # fmt: skip
    methods = results["ranking"]
    rows = [
        (f"{label}, {pairs} pairs", *(_share(methods[name][pairs][key]) for name in methods))
        for pairs in ("all", "clear")
        for label, key in labels
    ]
    return Table("ranking", ("", *map(_label, methods)), tuple(rows))


def _label(method: str) -> str:
    """Set the hash in a model id apart, where a line may break."""
    return re.sub(r"-([0-9a-f]{12})$", r" \1", method)


def _ranking_by(results: Mapping[str, Any], group: str, names: Sequence[str]) -> Table:
    """Tabulate micro-AP and recall at 99 % precision of every method, for the parts of a group."""
    methods = results["ranking"]
    rows = [
        (name, *(" / ".join(_share(m[group][name][key]) for key in _BRIEF) for m in methods.values()))
        for name in names
        if all(name in m[group] for m in methods.values())
    ]
    return Table(f"ranking-{group}", ("micro-AP / recall at 99 %", *map(_label, methods)), tuple(rows))


def _kind_names() -> list[str]:
    return [*(kind.name for kind in KINDS), REAL]


def _outcomes(results: Mapping[str, Any]) -> Table:
    table = results["matcher"]["outcomes"]
    rows = [(name, *(_percent(table[name][tier]) for tier in _OUTCOMES)) for name in _kind_names() if name in table]
    return Table("outcomes", ("kind", *_OUTCOMES), tuple(rows))


def _program(results: Mapping[str, Any]) -> Table:
    program, matcher = results["program"], results["matcher"]["accepted"]
    sums = overall(program)
    looks = f"{results['growth']['looked_at']:,}; {results['growth']['called_the_same']}"
    families = f"{_percent(program['right_keeper_of_families'])} of {program['families']} groups"
    keeper = f"{_percent(sums['right_keeper'])} of {sums['right_keeper_pairs']:.0f} pairs"
    rows = (
        ("matcher as it stands: copies accepted", _percent(matcher["recall"])),
        ("its precision (all pairs; clear pairs)", f"{matcher['precision']:.4f}; {matcher['precision_clear']:.4f}"),
        ("second looks at clearly different pictures, of these called the same", looks),
        ("program: files judged", f"{program['files']:,}"),
        ("of these, different pictures", f"{program['distinct']:,}"),
        ("wrong removals", f"{program['wrong_removals']}"),
        ("wrong removals per 10,000 files", f"{program['wrong_per_10k']:.2f}"),
        ("the same, at most (95 % confidence)", f"{program['wrong_per_10k_at_most']:.2f}"),
        ("copies found, all kinds", _percent(sums["recall"])),
        ("right keeper, original against degraded, in pairs", keeper),
        (f"right keeper, groups of an original and {results['recipe']['copies']} copies", families),
        ("originals and look-alikes rejected by quality", f"{program['rejected_originals']}"),
    )  # fmt: skip
    return Table("program", ("figure", "value"), rows)


def _program_kinds(results: Mapping[str, Any]) -> Table:
    program = results["program"]
    names = [name for name in _kind_names() if name in program["kinds"]]
    rows = []
    for name in names:
        counts = program["kinds"][name]
        right, pairs = program["keepers"].get(name, (0, 0))
        keeper = f"{right} of {pairs}" if pairs else "–"
        rest = ", ".join(f"{what} {number}" for what, number in sorted(counts.items()) if what != "duplicate")
        mark = "" if name in DEGRADED else " *"
        rows.append((name + mark, str(sum(counts.values())), _percent(program["recall"][name]), keeper, rest))
    return Table("program-kinds", ("kind", "copies", "found", "right keeper", "other outcomes"), tuple(rows))


def _growth(results: Mapping[str, Any]) -> Table:
    wrong = "wrong_per_10k", "wrong_per_10k_at_most"
    rows = [
        (f"{row['pictures']:,}", f"{row['candidates']:.3g}", f"{row['similar']:.2g}",
         *("unknown" if row[each] is None else f"{row[each]:.2g}" for each in wrong))
        for row in results["growth"]["rows"]
    ]  # fmt: skip
    head = ("pictures in the catalog", "second looks per picture", "unproven similar per picture",
            "wrong copies per 10,000 pictures", "the same, at most")  # fmt: skip
    return Table("growth", head, tuple(rows))


# -- curves ---------------------------------------------------------------------------------------------------------


def curves(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVG pictures by file name."""
    ranking, growth = results["ranking"], results["growth"]
    percent = [Series(_label(name), [(r, p) for r, p in one["curve"]]) for name, one in ranking.items()]
    rows = [(name, [results["matcher"]["outcomes"][name][tier] for tier in _OUTCOMES]) for name in _kind_names()
            if name in results["matcher"]["outcomes"]]  # fmt: skip
    joined = [(name, [shares[0] + shares[1], *shares[2:]]) for name, shares in rows]
    sizes = [row["pictures"] for row in growth["rows"]]
    grown = [
        Series("second looks per picture", _pairs(sizes, growth["rows"], "candidates")),
        Series("called similar without proof, per picture", _pairs(sizes, growth["rows"], "similar")),
        Series(
            "wrong copies per 10,000 pictures, at most", _pairs(sizes, growth["rows"], "wrong_per_10k_at_most"), True
        ),
    ]
    marks = [(results["model"]["candidate"], "candidate"), (results["model"]["similar"], "similar")]
    tail = [
        Series("pairs of different pictures, counted", growth["tail"]["counted"]),
        Series("fitted tail", growth["tail"]["fitted"], dashed=True),
        Series("clearly different ones, counted", growth["clear_tail"]["counted"]),
        Series("fitted tail of these", growth["clear_tail"]["fitted"], dashed=True),
    ]
    return {
        "accuracy-precision-recall.svg": lines(
            "Precision and recall, clear pairs", Axis("recall", 0, 1), Axis("precision", 0.9, 1), percent
        ),
        "accuracy-kinds.svg": bars(
            "What the matcher makes of copies, by kind", joined, ("copy", "edited", "similar", "not matched")
        ),
        "accuracy-growth.svg": lines(
            "What one picture meets in a growing catalog", Axis("pictures in the catalog", 1e3, 1e8, True),
            Axis("number", 1e-5, 1e5, True), grown,
        ),
        "accuracy-strangers.svg": lines(
            "Cosines of different pictures", Axis("cosine", 0.2, 1), Axis("share of pairs above", 1e-9, 0.1, True),
            tail, marks,
        ),
    }  # fmt: skip


def _pairs(sizes: Sequence[float], rows: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(float(size), float(row[key])) for size, row in zip(sizes, rows, strict=True) if row[key] is not None]


# -- pages ----------------------------------------------------------------------------------------------------------


def fill_page(page: Path, found: Sequence[Table], pictures: Mapping[str, str]) -> None:
    """Put tables between the marks `<!-- bench: NAME -->` and `<!-- /bench -->` of a page, and curves beside it."""
    text = page.read_text(encoding="utf-8")
    for table in found:
        pattern = rf"(<!-- bench: {re.escape(table.name)} -->\n).*?(<!-- /bench -->)"
        text = re.sub(pattern, lambda m, t=table: f"{m[1]}\n{t.markdown()}\n\n{m[2]}", text, flags=re.DOTALL)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")
    for name, svg in pictures.items():
        (page.parent / "images" / name).write_text(svg, encoding="utf-8")


def write_sheets(wrong: Sequence[Mapping[str, str]], album: Path, folder: Path) -> None:
    """Write each wrong removal beside its keeper as one picture, for a person to judge."""
    for number, removal in enumerate(wrong):
        shown = [cv2.imread(str(album / removal[key]), cv2.IMREAD_COLOR) for key in ("path", "keeper")]
        if any(picture is None for picture in shown):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        height = min(_SHEET_SIDE_PIXELS, max(picture.shape[0] for picture in shown if picture is not None))
        sized = [
            cv2.resize(p, (max(1, round(p.shape[1] * height / p.shape[0])), height)) for p in shown if p is not None
        ]
        cv2.imwrite(str(folder / f"wrong-{number:03d}.jpg"), np.concatenate(sized, axis=1))
