"""F62: script in the names of files and folders, in reasons and settings, in a report opened in a real browser."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.report import write_report
from tests import chromium
from tests.e2e import test_report_browser as browser
from tests.faults.conftest import Record

BROWSER = chromium.find()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("report in a browser"),
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: the page was not opened"),
]
HIT = browser.HIT
EVENTS = ("onerror", "onload", "onfocus", "onmouseover", "onanimationstart", "onbeforetoggle", "onscroll", "onwheel")
TAGS = ("img src=x", "svg", "video src=x", "input autofocus", "object data=x", "embed src=x", "marquee", "style")
MORE = [f"<{tag} {event}={HIT}>.jpg" for tag, event in zip(TAGS, EVENTS, strict=True)]
MORE += [
    f"<scr<script>ipt>{HIT}</scr</script>ipt>.jpg",
    f"<ScRiPt\t>{HIT}</sCrIpT\n>.jpg",
    f"<script\x0c>{HIT}</script>.jpg",
    f"<script/x>{HIT}</script>.jpg",
    f"<!--><script>{HIT}</script>-->.jpg",
    f"\\u003cscript\\u003e{HIT}\\u003c/script\\u003e.jpg",
    f"%3Cscript%3E{HIT}%3C%2Fscript%3E.jpg",
    f"＜script＞{HIT}＜/script＞.jpg",
    f'";{HIT};//.jpg',
    f"';{HIT};//.jpg",
    f"`${{{HIT}}}`.jpg",
    f'\\";{HIT};//.jpg',
    f"</textarea><script>{HIT}</script>.jpg",
    f"</template><script>{HIT}</script>.jpg",
    f"<math><mi xlink:href=javascript:{HIT}>.jpg",
    f"<a href=javascript:{HIT}>click<.jpg",
    f"<link rel=stylesheet href=data:text,css,x onload={HIT}>.jpg",
    os.fsdecode(b"\xe2\x28\xa1<script>" + HIT.encode() + b"</script>.jpg"),
]
PAYLOADS = [*browser.PAYLOADS, *MORE]
CLICK = "document.querySelectorAll('button, summary, [role=button]').forEach(element => element.click())"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every payload in every place that a name can reach, folders included."""
    folder = tmp_path_factory.mktemp("hostile")
    content = browser.contents(folder / "in", PAYLOADS)
    assert content.when == datetime(2026, 11, 20, tzinfo=UTC)
    preview = browser.picture(3)
    return write_report(folder / "out", content, lambda _: preview)


@pytest.fixture(scope="module")
def tab() -> Iterator[chromium.Tab]:
    assert BROWSER is not None
    with chromium.running(BROWSER) as opened:
        yield opened


@pytest.mark.fault(
    "F62",
    injected="payloads as names of files and folders, title, reasons, settings and problems of a report",
    figure="executed 0; CSP reports 0",
)
def test_no_payload_runs(tab: chromium.Tab, page: Path, record: Record) -> None:
    assert len(PAYLOADS) >= 50
    tab.look(1200, 900)
    tab.open(page.as_uri())
    for script in (browser.UNFOLD, browser.TOUCH, CLICK, browser.TOUCH):
        tab.run(script)
    tab.run("new Promise(done => setTimeout(done, 300))")
    assert tab.run("typeof window.hit") == "undefined"
    foreign = "iframe, svg:not(.bar), object, embed, video, base, marquee"
    assert tab.run(f"document.querySelectorAll('{foreign}').length") == 0
    assert set(tab.run("[...document.links].map(link => link.protocol)")) <= {"file:"}, "links lead to pictures only"
    assert tab.of("Page.javascriptDialogOpening") == []
    blocked = [entry for event in tab.of("Log.entryAdded") if "Security Policy" in (entry := event["entry"]["text"])]
    assert blocked == [], "escaping alone was enough"
    asked = {event["request"]["url"] for event in tab.of("Network.requestWillBeSent")}
    assert all(url.startswith(page.parent.as_uri()) for url in asked)
    record(len(PAYLOADS), 0, f"executed 0/{len(PAYLOADS)}; CSP reports 0; requests elsewhere 0")
