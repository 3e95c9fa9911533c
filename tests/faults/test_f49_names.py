"""F49, F66: names that are no text, too long, or meant to confuse: to the byte on disk, harmless to the eye."""

import hashlib
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from store.text import printable
from tests.e2e.command import dedupd, running, scan, write_config
from tests.faults.conftest import Record
from tests.faults.pictures import tiny

WORDS = [b"caf\xe9", b"\xff\xfe\xfd", "größe 📷".encode(), "e\u0301".encode(), "שלום".encode()]
WORDS += [b"new\nline", b"tab\tcr\r", b"\x1b[31mred", b"\x1b]0;title\x07", b"[red]rich[bold", b"\xc2\x9b31m"]
WORDS += [b"-rf", b"--help", b" leading", b"trailing ", b"a'b\"c", b"`id`$(id);&|", b"%s%d%n", b"\\x41\\"]
WORDS += ["\u202egpj.exe".encode(), "\u2066iso".encode(), "\u2028sep".encode(), b"{{7*7}}", b"<script>", b"CON"]
WORDS += [b"x" * 251, "é".encode() * 125, b"NUL.txt", b"*?[]", b"\x7f\x01\x02"]
LONG = [b"d" * 200, "ü".encode() * 100]  # folders; with a name below them beyond 4,096 bytes in all
LENIENT: dict[str, object] = {"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0}


def names(count: int) -> list[bytes]:
    """Return so many different names of picture files."""
    chance, made = random.Random(49), [word + b".png" for word in WORDS]
    while len(made) < count:
        raw = bytes(chance.choice(range(1, 256)) for _ in range(chance.randint(1, 40)))
        name = raw.replace(b"/", b"_") + b".png"
        if name[:1] not in b".~" and name not in made:
            made.append(name)
    return made[:count]


def lay_out(folder: Path, count: int) -> dict[bytes, bytes]:
    """Put a pair of equal pictures under each name, in two folders; return relative path → SHA-256."""
    laid = {}
    deep = b"deep/" + b"/".join(LONG * 6)
    for seed, name in enumerate(names(count)):
        for place in (b"one", deep if seed % 5 == 0 else b"two"):
            path = os.fsencode(folder) + b"/" + place + b"/" + name
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(tiny(seed))
            laid[place + b"/" + name] = hashlib.sha256(tiny(seed)).digest()
    return laid


def found(folder: Path) -> dict[bytes, bytes]:
    """Return relative path → SHA-256 of all pictures below a folder."""
    root = os.fsencode(folder)
    result = {}
    for place, _, files in os.walk(root):
        for name in files:
            with open(os.path.join(place, name), "rb") as file:
                data = file.read()
            if data[:4] == b"\x89PNG":
                result[os.path.relpath(os.path.join(place, name), root)] = hashlib.sha256(data).digest()
    return result


def raw_control_bytes(text: bytes) -> list[bytes]:
    """Return what a terminal or a log should never see: controls, escapes, and overrides of direction."""
    text = text.replace(b"\n", b"").replace(b"\t", b"")
    hidden = re.findall("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text.decode("utf-8", "replace"))
    return [word.encode() for word in hidden]


@pytest.mark.fault(
    "F49",
    injected="names of raw bytes, controls, quotes, other scripts, 255 bytes, paths of 2 KB: scan, move, why, undo",
    figure="round trip 100 %",
)
@pytest.mark.slow
def test_names_go_there_and_back_to_the_byte(tmp_path: Path, record: Record, times: Callable[[int, int], int]) -> None:
    count = times(300, 40)
    laid = lay_out(tmp_path / "in", count)
    places = ("--output", tmp_path / "out", "--state", tmp_path / "state")
    config = write_config(tmp_path / "c.toml", quality=LENIENT)
    answer = scan(tmp_path / "in", *places, "--action", "move", "--config", config)
    entries = json.loads(Path(answer["log"]).read_text("utf-8"))["files"]
    root = os.fsencode(tmp_path / "in")
    assert {os.path.relpath(os.fsencode(entry["path"]), root) for entry in entries} == laid.keys()
    moved = [entry for entry in entries if entry["verdict"] == "duplicate" and entry["target"]]
    assert len(moved) == count
    for entry in moved:
        assert os.path.basename(os.fsencode(entry["target"])) in names(count)
    undone = dedupd("undo", "--all", "--state", tmp_path / "state", "--json")
    assert (undone.json["undone"], undone.json["failed"]) == (len(moved), 0), undone.err
    assert found(tmp_path / "in") == laid
    assert dedupd("check", "--deep", "--state", tmp_path / "state", "--json").json["ok"]
    record(2 * count, 0, f"round trip {2 * count}/{2 * count}")


@pytest.mark.fault(
    "F66",
    injected="the same names on the terminal of every verb, in the report, in the log and status of the service",
    figure="raw control bytes 0",
)
@pytest.mark.slow
def test_nothing_in_a_name_reaches_the_eye(tmp_path: Path, record: Record) -> None:
    laid = lay_out(tmp_path / "in", len(WORDS))
    state = tmp_path / "state"
    said = []
    places = ("--output", tmp_path / "out", "--state", state)
    said.append(dedupd("scan", tmp_path / "in", *places, "--action", "move"))
    said.append(dedupd("status", "--state", state))
    said.append(dedupd("groups", "--state", state))
    said.append(dedupd("undo", "--list", "--state", state))
    said.append(dedupd("check", "--deep", "--state", state))
    for path in sorted(laid)[:: max(1, len(laid) // 20)]:
        whole = os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + path)
        said.append(dedupd("why", whole, "--state", state))
        said.append(dedupd("search", whole, "--state", state))
    said.append(dedupd("undo", "--all", "--state", state))
    said.append(dedupd("why", os.fsdecode(b"/nowhere/\x1b[31m\xff.png"), "--state", state))
    said.append(dedupd("scan", os.fsdecode(b"/nowhere/\x1b]0;x\x07\r\xff"), *places))
    hot = {"path": tmp_path / "in", "action": "move", "output": tmp_path / "q"}
    config = write_config(tmp_path / "c.toml", hot, quality=LENIENT)
    with running(config, tmp_path / "live") as daemon:
        daemon.wait_for(lambda: len(found(tmp_path / "q")) >= len(WORDS) - 2, "the duplicates leave")
        daemon.wait()
        status = (tmp_path / "live/status.json").read_bytes()
        assert daemon.stop()[0] == 0
    log = daemon.log.read_bytes()
    texts = [answer.out.encode() + answer.err.encode() for answer in said] + [log, status]
    raw = [item for text in texts for item in raw_control_bytes(text)]
    assert raw == []
    assert all(line.startswith((b"{", b"2")) for line in log.splitlines() if line), "one record, one line"
    page = (tmp_path / "out/cleaning_report.html").read_bytes()
    assert raw_control_bytes(page) == []
    record(len(texts) + 1, 0, f"raw control bytes 0 in {sum(map(len, texts)) + len(page)} bytes of output")


@pytest.mark.fault("F66", injected="every code point below U+3000, and lone surrogates", figure="raw control bytes 0")
def test_printable_is_printable(record: Record) -> None:
    for code in [*range(0x3000), *range(0xDC80, 0xDD00), 0xFEFF, 0xE0001, 0x1F600]:
        text = printable(f"a{chr(code)}b")
        assert "\n" not in text
        assert raw_control_bytes(text.encode("utf-8")) == [], hex(code)
    record(0x3000 + 0x80 + 3, 0, "raw control bytes 0")
