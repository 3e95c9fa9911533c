"""The report in a real browser: hostile names do nothing, folded groups unfold, links open, filters find."""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image as Pillow

from daemon.report import Report, ReportFile, ReportGroup, write_report
from store.records import REJECTS, Evidence, Level, MatchKind, Quality, VerdictKind
from store.text import printable
from tests import chromium
from tests.patience import PATIENCE_SECONDS
from tests.scenes import draw

BROWSER = chromium.find()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("report in a browser"),  # one worker starts one browser
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: the page was not opened"),
]

HIT = "window.hit=1"
PAYLOADS = (
    f"<script>{HIT}</script>.jpg",
    f"<img src=x onerror={HIT}>.jpg",
    f'"><svg onload={HIT}>.jpg',
    f"'><body onpageshow={HIT}>.jpg",
    f'" onmouseover="{HIT}" x=".jpg',
    f"' autofocus onfocus='{HIT}.jpg",
    f" autofocus tabindex=1 onfocus={HIT} .jpg",
    f"</title><script>{HIT}</script>.jpg",
    f"</style><script>{HIT}</script>.jpg",
    f"</script><script>{HIT}</script>.jpg",
    f"</noscript><script>{HIT}</script>.jpg",
    f"--><script>{HIT}</script><!--.jpg",
    f"]]><script>{HIT}</script>.jpg",
    f"<iframe srcdoc='<script>top.hit=1</script>'>{HIT}.jpg",
    f"javascript:{HIT}.jpg",
    f"data:text,html,<script>{HIT}<.jpg",
    f"&lt;script&gt;{HIT}&lt;&#47;script&gt;.jpg",
    f"{{{{ 7*7 }}}}{{% raw %}}${{{HIT}}}.jpg",
    f"<meta http-equiv=refresh content='0;url=javascript:{HIT}'>.jpg",
    f"<base href=javascript:{HIT}><form action=x><button>.jpg",
    f"<details open ontoggle={HIT}>.jpg",
    f"a\nb\r\u2028{HIT}\x1b]0;title\x07.jpg",
    f"\u202egpj.{HIT}\u2066.jpg",
    f"\U0001f600\u200d\U0001f308 שלום مرحبا {HIT}.jpg",
    os.fsdecode(b"caf\xe9 \xff\xfe <script>" + HIT.encode() + b".jpg"),
)
LONE = Quality(80.0, 100.0, 40.0, 0.3, 7.0, 90.0, 1.0, 200.0)


def picture(seed: int) -> bytes:
    out = BytesIO()
    Pillow.fromarray(draw(seed, (160, 120))).save(out, "JPEG")
    return out.getvalue()


def file(folder: Path, name: str, verdict: VerdictKind, evidence: Evidence | None = None) -> ReportFile:
    return ReportFile(
        path=f"{folder}/{name}",
        name=name,
        sha256=hashlib.sha256(os.fsencode(name)).digest(),
        verdict=verdict,
        reason=f"because of {name}",
        evidence=evidence,
        width=160,
        height=120,
        byte_size=9_000,
        scores=LONE,
        target=None,
        modified_ns=1_777_000_000_000_000_000,
    )


def contents(folder: Path, names: list[str]) -> Report:
    """Put each name into every place a name can reach; the kinds of match take turns."""
    groups, kinds = [], tuple(MatchKind)
    for number, name in enumerate(names):
        kind = kinds[number % len(kinds)]
        verdict = VerdictKind.DUPLICATE if kind.level is Level.DUPLICATES else VerdictKind.SIMILAR
        extra = file(folder, name, verdict, Evidence(kind, 1, 2, 0.9, True, f"as {name} says"))
        keeper = replace(file(folder, name, VerdictKind.KEEP), name=f"deep {name}/{name}")
        groups.append(ReportGroup(kind.level, keeper, [extra]))
    rejects = {kind: [file(folder, name, kind) for name in PAYLOADS] for kind in REJECTS}
    totals = {VerdictKind.KEEP: len(names), VerdictKind.DUPLICATE: len(names)}
    every = list(PAYLOADS)
    return Report(
        title=" ".join(every),
        when=datetime(2026, 11, 20, tzinfo=UTC),
        folders=every,
        action="report",
        totals=totals,
        images=9,
        seconds=1.0,
        groups=groups,
        rejects=rejects,
        settings=[(name, name) for name in every],
        problems=every,
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose hostile names stand among the first groups and again among the folded ones."""
    folder = tmp_path_factory.mktemp("report")
    names = [*PAYLOADS, *(f"plain-{number}.jpg" for number in range(400)), *PAYLOADS]
    preview = picture(3)
    return write_report(folder / "out", contents(folder / "in", names), lambda _: preview)


@pytest.fixture(scope="module")
def tab() -> Iterator[chromium.Tab]:
    assert BROWSER is not None
    with chromium.running(BROWSER) as opened:
        yield opened


def wait(tab: chromium.Tab, condition: str) -> None:
    """Wait until an expression holds in the page."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not tab.run(f"Boolean({condition})"):
        assert time.monotonic() < end, condition
        tab.run("new Promise(done => setTimeout(done, 20))")


def choose(tab: chromium.Tab, field: str, value: str) -> None:
    """Set a field of the page as a person would, with its events."""
    tab.run(f"document.getElementById({field!r}).value = {value!r}")
    for event in ("input", "change"):
        tab.run(f"document.getElementById({field!r}).dispatchEvent(new Event({event!r}))")


def find(tab: chromium.Tab, words: str) -> None:
    choose(tab, "find", words)
    tab.run("new Promise(done => setTimeout(done, 200))")


def visible(tab: chromium.Tab, selector: str) -> int:
    count: int = tab.run(f"[...document.querySelectorAll({selector!r})].filter(e => e.offsetParent).length")
    return count


UNFOLD = """(async () => {
    for (let y = 0; y < document.body.scrollHeight; y += 2000) {
        window.scrollTo(0, y);
        await new Promise(done => setTimeout(done, 15));
    }
})()"""
TOUCH = """document.querySelectorAll("main *").forEach(element => {
    for (const kind of ["mouseover", "focus", "toggle", "load", "error", "pageshow"])
        element.dispatchEvent(new Event(kind, { bubbles: true }));
})"""


def test_hostile_names_do_nothing(tab: chromium.Tab, page: Path) -> None:
    tab.look(1200, 900)
    tab.open(page.as_uri())
    title = tab.run("document.title")
    tab.run(UNFOLD)
    tab.run(TOUCH)
    for key in "jjk":
        tab.key(key)
    assert visible(tab, "noscript") == 0
    assert tab.run("document.querySelectorAll('article').length") == 450 + 4 * len(PAYLOADS)
    assert tab.run("typeof window.hit") == "undefined"
    assert tab.run("document.title") == title
    assert tab.run("location.href") == page.as_uri()
    assert tab.run("document.querySelectorAll('script, iframe, svg, base, meta[http-equiv], body').length") == 4
    assert tab.of("Page.javascriptDialogOpening") == []
    # The policy had nothing to block: escaping alone was enough.
    assert [event["entry"]["text"] for event in tab.of("Log.entryAdded")] == []
    asked = {event["request"]["url"] for event in tab.of("Network.requestWillBeSent")}
    assert all(url.startswith(page.parent.as_uri()) for url in asked)
    names = set(tab.run("[...document.querySelectorAll('.extra h4')].map(e => e.textContent)"))
    assert {printable(name).rpartition("/")[2] for name in PAYLOADS} <= names


def test_the_policy_stands_behind_the_escaping(tab: chromium.Tab, page: Path) -> None:
    tab.open(page.as_uri())
    tab.run(f"document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=x onerror={HIT}>')")
    tab.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hit=2'}))")
    tab.run("new Promise(done => setTimeout(done, 100))")
    assert tab.run("typeof window.hit") == "undefined"
    assert any("Content Security Policy" in event["entry"]["text"] for event in tab.of("Log.entryAdded"))


def test_without_script_every_group_is_there(tab: chromium.Tab, page: Path) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(page.as_uri())
        assert tab.run("document.querySelectorAll('article').length") == 450 + 4 * len(PAYLOADS)
        assert visible(tab, ".tools") == 0
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_previews_load_only_near_the_window(tab: chromium.Tab, page: Path) -> None:
    tab.look(1200, 900)
    tab.open(page.as_uri())
    asked = [event for event in tab.of("Network.requestWillBeSent") if event["request"]["url"].endswith(".jpg")]
    assert 0 < len(asked) < 60
    assert tab.run("[...document.images].every(image => image.loading === 'lazy' || image.closest('dialog'))")


def test_search_and_filters_find_folded_groups(tab: chromium.Tab, page: Path) -> None:
    tab.open(page.as_uri())
    find(tab, "plain-399")
    assert tab.run("document.getElementById('none').textContent") == "1 found."
    wait(tab, "document.querySelector('article:not([hidden]) h4')")
    assert tab.run(
        "[...document.querySelectorAll('.extra h4')].filter(e => e.offsetParent).map(e => e.textContent)"
    ) == ["plain-399.jpg"]
    find(tab, "no such name")
    assert "Nothing fits" in tab.run("document.getElementById('none').textContent")
    find(tab, "<script>")
    assert tab.run("document.getElementById('none').textContent").endswith(" found.")
    find(tab, "")
    choose(tab, "kind", "edited")
    assert tab.run("document.getElementById('none').textContent") == "90 found."
    assert visible(tab, "#duplicates, #blur") == 0
    choose(tab, "kind", "")
    tab.run("document.querySelector('.chip[data-part=dark]').click()")
    assert visible(tab, ".part") == 1
    assert visible(tab, "#dark article") == len(PAYLOADS)


def test_keys_reach_search_groups_and_the_comparison(tab: chromium.Tab, page: Path) -> None:
    tab.look(1200, 900)
    tab.open(page.as_uri())
    tab.key("j")
    assert tab.run("document.activeElement.querySelector('h3').textContent.trim()").startswith("Group 1")
    tab.key("j")
    assert tab.run("document.activeElement.querySelector('h3').textContent.trim()").startswith("Group 2")
    tab.run("document.activeElement.querySelector('.extra a.p').focus()")
    tab.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", windowsVirtualKeyCode=13, text="\r")
    wait(tab, "document.getElementById('compare').open")
    tab.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", windowsVirtualKeyCode=27)
    wait(tab, "!document.getElementById('compare').open")
    tab.key("/")
    assert tab.run("document.activeElement.id") == "find"


@pytest.mark.parametrize("name", ["100% #1?.jpg", "javascript:hit().jpg", os.fsdecode(b"caf\xe9.jpg"), "a'b\"c<d>.jpg"])
def test_a_link_opens_the_original(tab: chromium.Tab, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(picture(1))
    page = write_report(tmp_path / "out", contents(tmp_path / "in", [name]), lambda _: None)
    tab.open(page.as_uri())
    tab.open(tab.run("document.querySelector('.extra a.p').href"))
    assert tab.run("document.images[0].naturalWidth") == 160


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_schemes(tab: chromium.Tab, page: Path, scheme: str) -> None:
    tab.look(1200, 900, scheme)
    tab.open(page.as_uri())
    badges = [f".c.k-{kind} .t b" for kind in ("keep", "copy", "edited", "blur", "dark", "bright", "corrupt")]
    for selector in ("h1", ".lead", ".extra .m", ".extra .t i", ".keeper dt", ".words", *badges):
        assert tab.run(CONTRAST.replace("SELECTOR", selector)) >= 4.5, selector


CONTRAST = """(selector => {
    const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
    const layers = [], element = document.querySelector(selector);
    for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    const light = (colours) => {
        for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
        const parts = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255);
        const [r, g, b] = parts.map((part) => part <= 0.04 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [low, high] = [light(layers), light([getComputedStyle(element).color])].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
})("SELECTOR")"""


def test_a_narrow_window_never_scrolls_sideways(tab: chromium.Tab, page: Path) -> None:
    tab.look(360, 740)
    tab.open(page.as_uri())
    assert tab.run("document.documentElement.scrollWidth") <= 360
