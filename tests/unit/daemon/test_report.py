"""The page: what it shows, that hostile names stay words, where links and previews lead."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from daemon.report import Report, ReportFile, ReportGroup, write_report
from daemon.report_page import MAX_CARDS, MAX_LINES, MAX_REJECTS
from daemon.report_words import MINUS, TIMES, headline, summary
from store.errors import StateError
from store.records import Evidence, Level, MatchKind, Quality, VerdictKind

WHEN = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
JPEG = b"\xff\xd8 a preview \xff\xd9"
QUALITY = Quality(412.4, 101.5, 50.0, 2.25, 7.1, 500.0, 0.9, 180.0)
COPY = Evidence(MatchKind.COPY, 2, 3, 0.9876543, True, "re-encoded, 212 points agree")


def file(
    name: str, verdict: VerdictKind = VerdictKind.DUPLICATE, evidence: Evidence | None = COPY, scale: int = 1
) -> ReportFile:
    return ReportFile(
        path=f"/pictures/{name}",
        name=name,
        sha256=hashlib.sha256(os.fsencode(name)).digest(),
        verdict=verdict,
        reason="the same picture",
        evidence=evidence,
        width=1600 // scale,
        height=1200 // scale,
        byte_size=800_000 // scale,
        scores=replace(QUALITY, detail=2.25 / scale),
        target=None,
        modified_ns=1_777_000_000_000_000_000,
    )


def group(*members: ReportFile, keeper: str = "keeper.jpg", level: Level = Level.DUPLICATES) -> ReportGroup:
    return ReportGroup(level, file(keeper, VerdictKind.KEEP, None), members)


def report(*groups: ReportGroup, **changes: Any) -> Report:
    extras = sum(len(g.members) for g in groups)
    totals = {VerdictKind.KEEP: len(groups), VerdictKind.DUPLICATE: extras}
    made = Report("Cleaning report", WHEN, ["/pictures"], "report", totals, 3, 1.5, groups)
    return replace(made, **changes)


class Page(HTMLParser):
    """What a browser would find in the page: elements, links, pictures, words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words += data

    def every(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] for name, found in self.elements if name == tag and attribute in found]

    @property
    def pictures(self) -> list[str]:
        return self.every("img", "src")

    @property
    def originals(self) -> list[bytes]:
        links = [a["href"] for tag, a in self.elements if tag == "a" and a.get("class", "").split(" ")[0] == "p"]
        return [unquote_to_bytes(link) for link in links]


def written(folder: Path, contents: Report) -> Page:
    return Page(write_report(folder, contents, lambda _: JPEG))


# --- the page


def test_the_page_shows_keeper_and_extras_side_by_side(tmp_path: Path) -> None:
    page = written(tmp_path, report(group(file("day/small.jpg", scale=2))))
    roles = [found["class"].split()[1] for tag, found in page.elements if tag == "figure" and "class" in found]
    assert roles == ["keeper", "extra"]
    for words in (
        "keeper.jpg",
        "small.jpg",
        "the same picture",
        "pHash 2 bits",
        "dHash 3 bits",
        "0.988",
        "verified",
    ):
        assert words in page.words
    assert f"1,600 {TIMES} 1,200" in page.words
    assert f"800 {TIMES} 600 {MINUS}75 %" in page.words
    assert f"400 kB {MINUS}50 %" in page.words
    # The better value is marked, and only where there is one: sharpness is equal, the rest is the keeper's.
    assert [found.get("class") for tag, found in page.elements if tag == "dd"].count("b") == 3


def test_rejects_stand_under_their_reason_with_numbers(tmp_path: Path) -> None:
    blurred = replace(file("soft.jpg", VerdictKind.BLUR, None), reason="sharpness 12, limit 50")
    broken = replace(
        file("torn.jpg", VerdictKind.CORRUPT, None),
        sha256=None,
        width=0,
        height=0,
        scores=None,
        reason="ends early",
    )
    rejects = {VerdictKind.BLUR: [blurred], VerdictKind.CORRUPT: [broken]}
    page = written(tmp_path, report(rejects=rejects, totals=dict.fromkeys(rejects, 1)))
    assert page.every("section", "id") == ["blur", "corrupt"]
    for words in ("sharpness 12, limit 50", "Brightness102 of 255", "ends early", "no preview"):
        assert words in page.words
    assert "2 of 2 files could go." in page.words


HOSTILE = (
    "<script>window.hit=1</script>.jpg",
    '"><img src=x onerror=window.hit=1>.jpg',
    "' onmouseover='window.hit=1.jpg",
    "</title></style></script></noscript><b>.jpg",
    "line\nbreak\r\x1b[31m.jpg",
    "\u202egpj.exe.jpg",
    os.fsdecode(b"caf\xe9 \xff.jpg"),
    "{{ 7 * 7 }}.jpg",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_words(tmp_path: Path, name: str) -> None:
    plain, hostile = (
        written(
            tmp_path,
            report(
                group(replace(file(text), reason=text, target=f"/out/{text}"), keeper=text),
                folders=[text],
                problems=[text],
                settings=[(text, text)],
                title=text,
                action="move",
            ),
        )
        for text in ("folder/" * name.count("/") + "plain.jpg", name)
    )
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    names = [set(found) for _, found in hostile.elements]
    assert names == [set(found) for _, found in plain.elements]
    assert not any(attribute.startswith("on") or attribute == "style" for found in names for attribute in found)
    for hidden in ("\x1b", "\r", "\u202e", "\udce9", "49.jpg"):
        assert hidden not in hostile.source


def test_nothing_comes_from_elsewhere_and_the_policy_fits(tmp_path: Path) -> None:
    page = written(tmp_path, report(group(file("a.jpg"))))
    assert not re.search(r"https?://|//[a-z]", page.source.split("<script>")[0])
    policy = page.every("meta", "content")[0]
    for element in ("style", "script"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page.source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_links_lead_to_the_file_where_it_lies_now(tmp_path: Path) -> None:
    raw = b"caf\xe9 #1?100%.jpg"
    kept = file(os.fsdecode(raw))
    moved = replace(file("b.jpg"), target=os.fspath(tmp_path / "out/duplicates/javascript:hit().jpg"))
    page = written(tmp_path / "out", report(group(moved, keeper=kept.name), action="move"))
    assert [os.path.normpath(os.fsencode(tmp_path / "out") + b"/" + link) for link in page.originals] == [
        b"/pictures/" + raw,
        os.fsencode(tmp_path / "out/duplicates/javascript:hit().jpg"),
    ]
    assert not any(href.startswith("javascript") for href in page.every("a", "href"))


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", "script", "x.jpg.xhtml"])
def test_files_that_a_browser_could_run_are_not_linked(tmp_path: Path, name: str) -> None:
    page = written(tmp_path, report(group(file(name))))
    assert [link.rpartition(b"/")[2] for link in page.originals] == [b"keeper.jpg"]


def test_previews_are_written_once_and_only_where_needed(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def preview(sha256: bytes) -> bytes | None:
        asked.append(sha256)
        return None if sha256 == gone else JPEG

    gone = hashlib.sha256(b"gone.jpg").digest()
    contents = report(group(file("a.jpg"), file("gone.jpg")), group(file("b.jpg")))
    page = Page(write_report(tmp_path, contents, preview))
    files = tmp_path / "cleaning_report_files"
    there = {path.name: path.stat().st_ino for path in files.iterdir()}
    names = [f"{hashlib.sha256(name).hexdigest()}.jpg" for name in (b"keeper.jpg", b"a.jpg", b"b.jpg")]
    assert sorted(there) == sorted(names)
    assert set(page.pictures) == {f"cleaning_report_files/{name}" for name in names}
    assert all((files / name).read_bytes() == JPEG for name in names)
    (files / names[1]).write_bytes(b"")  # as a power cut may leave it
    asked.clear()
    write_report(tmp_path, contents, preview)
    assert asked == [hashlib.sha256(b"a.jpg").digest(), gone]
    assert (files / names[0]).stat().st_ino == there[names[0]]
    assert (files / names[1]).read_bytes() == JPEG


def test_huge_groups_end_in_lines_and_a_count(tmp_path: Path) -> None:
    members = [file(f"frame {number}.jpg") for number in range(MAX_CARDS + MAX_LINES + 5)]
    page = written(tmp_path, report(group(*members)))
    assert len(page.pictures) == MAX_CARDS + 1
    assert len(re.findall("<li><bdi>frame", page.source)) == MAX_LINES
    assert "and 5 more" in page.words
    assert len(list((tmp_path / "cleaning_report_files").iterdir())) == MAX_CARDS + 1


def test_countless_rejects_end_in_a_count(tmp_path: Path) -> None:
    rejects = {VerdictKind.DARK: [file(f"{n}.jpg", VerdictKind.DARK, None) for n in range(MAX_REJECTS + 7)]}
    page = written(tmp_path, report(rejects=rejects))
    assert len(page.pictures) == MAX_REJECTS
    assert "7 more files are in cleaning_log.json" in page.words


def test_most_groups_wait_as_text_and_none_is_missing(tmp_path: Path) -> None:
    page = written(tmp_path, report(*(group(file(f"{n}.jpg"), keeper=f"k{n}.jpg") for n in range(200))))
    folded = "".join(re.findall("<noscript>(.*?)</noscript>", page.source, re.DOTALL))
    assert page.source.count('data-k="copy"') == 200
    assert folded.count('data-k="copy"') == 80


def test_the_same_report_gives_the_same_page(tmp_path: Path) -> None:
    contents = report(group(file("a.jpg")), group(file("b.jpg"), level=Level.SIMILAR))
    assert written(tmp_path, contents).source == written(tmp_path, contents).source
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cleaning_report.html",
        "cleaning_report_files",
    ]


def test_an_empty_report_says_so(tmp_path: Path) -> None:
    assert "No pictures were found." in written(tmp_path, report()).words


@pytest.mark.parametrize(
    ("action", "title", "words"),
    [
        ("report", "3 of 4 files could go.", "That would free 1.6 MB. Nothing was touched."),
        ("move", "3 of 4 files were moved out.", "“dedupd undo” brings every one of them back"),
        ("copy", "3 of 4 files were copied out.", "The originals are where they were"),
    ],
)
def test_the_headline_says_what_happened(action: str, title: str, words: str) -> None:
    contents = report(
        group(file("a.jpg", scale=2), file("b.jpg", scale=2)),
        action=action,
        rejects={VerdictKind.DARK: [file("night.jpg", VerdictKind.DARK, None)]},
        totals={VerdictKind.KEEP: 1, VerdictKind.DUPLICATE: 2, VerdictKind.DARK: 1},
    )
    assert headline(contents) == title
    assert words in summary(contents)


def test_similar_pictures_are_not_counted_as_leaving() -> None:
    similar = group(file("a.jpg", VerdictKind.SIMILAR), level=Level.SIMILAR)
    contents = report(similar, totals={VerdictKind.KEEP: 1, VerdictKind.SIMILAR: 1})
    assert headline(contents) == "All clean: nothing to remove among 2 files."
    assert contents.leaving_bytes == 0


def test_a_file_where_the_folder_should_be_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StateError, match="could not be written") as caught:
        write_report(tmp_path / "out", report(), lambda _: None)
    assert caught.value.hint


def test_importing_the_report_loads_no_heavy_library() -> None:
    code = "import sys, daemon.report; print(*{'cv2', 'torch', 'faiss', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
