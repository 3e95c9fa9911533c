"""F27: other things named .jpg, and pictures that are also something else."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from daemon.workers import WorkerSettings
from pipeline.decode import DecodeSettings
from pipeline.previewing import decode_preview, preview
from store.records import Failure, Measurement
from tests.e2e.command import scan
from tests.faults.conftest import Record
from tests.faults.measured import Watched
from tests.faults.pictures import tiny
from tests.gallery import draw

SCRIPT = b"<script>window.hit=1</script>"


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(1, (320, 240))).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr("run.sh", "touch /tmp/hit")
    return buffer.getvalue()


IMPOSTORS = {
    "html.jpg": b"<html><body>" + SCRIPT,
    "svg.jpg": b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>",
    "script.jpg": b"#!/bin/sh\ntouch /tmp/hit\n",
    "elf.png": b"\x7fELF\x02\x01\x01" + bytes(200),
    "zip.jpg": archive(),
    "pdf.jpg": b"%PDF-1.7\n%" + SCRIPT,
    "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/hit) (w) file\n",
    "svg in gzip.png": b"\x1f\x8b\x08" + bytes(60),
    "fits.jpg": b"SIMPLE  =                    T" + b" " * 2850,
    "xbm.png": b"#define im_width 16\n#define im_height 16\nstatic char im_bits[] = {0x00};",
}
POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "jpeg and html.jpg": lambda: jpeg(comment=SCRIPT),
    "jpeg then zip.jpg": lambda: jpeg() + archive(),
    "jpeg then html.jpg": lambda: jpeg() + SCRIPT,
    "gif and script.gif": lambda: b"GIF89a" + _gif()[6:] + b";" + SCRIPT,
    "png named jpg.jpg": lambda: tiny(7),
}


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw(2, (64, 48))).save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.fault(
    "F27",
    injected="HTML, SVG, scripts, archives and programs named like pictures; pictures that are also one of these",
    figure="scripts run 0",
)
def test_only_content_counts(tmp_path: Path, record: Record) -> None:
    contents = IMPOSTORS | {name: build() for name, build in POLYGLOTS.items()}
    paths = []
    for name, content in contents.items():
        paths.append(tmp_path / "in" / name)
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(content)
    results = Watched(WorkerSettings(processes=1)).measure(paths)
    for name, result in results.items():
        if name in IMPOSTORS:
            assert isinstance(result, Failure), name
        else:
            assert isinstance(result, Measurement), name
            assert b"script" not in result.preview, "what is shown is encoded anew"
            assert b"run.sh" not in result.preview
            assert preview(decode_preview(result.preview), DecodeSettings())[:3] == b"\xff\xd8\xff"
    record(len(contents), 0, f"scripts run 0/{len(contents)}; previews with foreign bytes 0/{len(POLYGLOTS)}")


@pytest.mark.fault("F27", injected="the same in a whole scan with its report", figure="scripts run 0")
@pytest.mark.slow
def test_a_report_holds_only_what_we_encoded(tmp_path: Path, record: Record) -> None:
    (tmp_path / "in").mkdir()
    for name, content in IMPOSTORS.items():
        (tmp_path / "in" / name).write_bytes(content)
    for name, build in POLYGLOTS.items():
        (tmp_path / "in" / name).write_bytes(build())
    scan(tmp_path / "in", "--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    out = tmp_path / "out"
    served = [path for path in out.rglob("*") if path.is_file() and "report" in str(path.relative_to(out))]
    assert any(path.suffix == ".html" for path in served)
    for path in served:
        data = path.read_bytes()
        assert b"window.hit" not in data, path
        assert path.suffix != ".jpg" or data.startswith(b"\xff\xd8\xff"), path
    record(len(IMPOSTORS) + len(POLYGLOTS), 0, "")
