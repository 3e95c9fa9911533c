"""Measure the report: how long it takes to write, and how soon a browser shows it.

    python -m bench.report [--groups 5000] [--pictures 3] [--runs 3] [--json FILE]

Every picture has a preview of its own on disk. The browser is a real headless Chromium with an empty profile;
the time to open runs from the start of the navigation to the end of the load event, by its own clock.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from statistics import median

from PIL import Image as Pillow

from daemon.report import Report, ReportFile, ReportGroup, write_report
from store.records import Evidence, Level, MatchKind, Quality, VerdictKind
from tests import chromium
from tests.scenes import PAINTERS, draw

_WHEN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_TIMING = """(() => {
    const page = performance.getEntriesByType("navigation")[0];
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return {
        opened_seconds: page.loadEventEnd / 1000,
        parsed_seconds: page.domContentLoadedEventEnd / 1000,
        first_paint_seconds: paint ? paint.startTime / 1000 : null,
        elements: document.getElementsByTagName("*").length,
    };
})()"""
_SEARCH = """new Promise((done) => {
    const start = performance.now(), box = document.getElementById("find");
    box.value = "holiday 4711";
    box.dispatchEvent(new Event("input"));
    setTimeout(() => requestAnimationFrame(() => done((performance.now() - start) / 1000)), 121);
})"""
_SCROLL = """new Promise((done) => {
    const start = performance.now();
    document.documentElement.scrollTop = 1e9;
    requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - start) / 1000)));
})"""


def contents(groups: int, pictures: int) -> Report:
    """Make a report of so many groups, with so many pictures each."""
    found = [
        ReportGroup(Level.DUPLICATES, _file(number, 0), tuple(_file(number, member) for member in range(1, pictures)))
        for number in range(groups)
    ]
    totals = {VerdictKind.KEEP: groups, VerdictKind.DUPLICATE: groups * (pictures - 1)}
    settings = (("Blur", "sharpness below 50"), ("Keeper", "most detail, more pixels, more bytes, older"))
    return Report(
        "Cleaning report",
        _WHEN,
        ["/pictures"],
        "report",
        totals,
        groups * pictures,
        60.0,
        found,
        settings=settings,
    )


def _file(group: int, member: int) -> ReportFile:
    name = f"2026/holiday {group:05d}/IMG_{group:05d}_{member}.jpg"
    evidence = Evidence(MatchKind.COPY, 2, 3, 0.984, True, "re-encoded, 212 points agree, 97 % is the same")
    kind = VerdictKind.DUPLICATE if member else VerdictKind.KEEP
    shrink = 1 + member
    return ReportFile(
        path=f"/pictures/{name}",
        name=name,
        sha256=hashlib.sha256(name.encode()).digest(),
        verdict=kind,
        reason="the same picture, and the keeper has more detail" if member else "most detail of its group",
        evidence=evidence if member else None,
        width=4032 // shrink,
        height=3024 // shrink,
        byte_size=4_300_000 // shrink + group,
        scores=Quality(812.0 / shrink, 120.0, 50.0, 12.2 / shrink, 7.0, 900.0, 1.0, 200.0),
        target=None,
        modified_ns=1_777_000_000_000_000_000 + group * 60_000_000_000,
    )


def _previews() -> list[bytes]:
    encoded = []
    for seed in range(len(PAINTERS)):
        out = BytesIO()
        Pillow.fromarray(draw(seed, (320, 240))).save(out, "JPEG", quality=75)
        encoded.append(out.getvalue())
    return encoded


def _open(browser: str, page: Path) -> dict[str, float]:
    with chromium.running(browser) as tab:
        tab.look(1360, 900)
        tab.open(page.as_uri())
        figures: dict[str, float] = tab.run(_TIMING)
        figures["previews_loaded"] = len(
            [event for event in tab.of("Network.requestWillBeSent") if event["request"]["url"].endswith(".jpg")]
        )
        figures["scroll_to_end_seconds"] = tab.run(_SCROLL)
        figures["search_seconds"] = tab.run(_SEARCH)
        return figures


def measure(folder: Path, groups: int, pictures: int, runs: int) -> dict[str, float]:
    """Write a report into a folder, open it several times, and return the median figures."""
    previews = _previews()
    report = contents(groups, pictures)
    start = time.perf_counter()
    page = write_report(folder, report, lambda sha256: previews[sha256[0] % len(previews)])
    first = time.perf_counter() - start
    start = time.perf_counter()
    write_report(folder, report, lambda _: None)
    again = time.perf_counter() - start
    figures = {"groups": groups, "pictures": groups * pictures, "page_megabytes": page.stat().st_size / 1e6}
    figures |= {"write_seconds": first, "write_again_seconds": again}
    browser = chromium.find()
    if browser:
        opened = [_open(browser, page) for _ in range(runs)]
        figures |= {name: median(run[name] for run in opened) for name in opened[0]}
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    """Measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=3, help="in each group")
    parser.add_argument("--runs", type=int, default=3, help="how often the page is opened")
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-report-") as folder:
        figures = measure(Path(folder), chosen.groups, chosen.pictures, chosen.runs)
    for name, value in figures.items():
        sys.stdout.write(f"{name.replace('_', ' '):24}{value:12,.3f}\n")
    if "opened_seconds" not in figures:
        sys.stdout.write("no Chromium found: opening was not measured\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
