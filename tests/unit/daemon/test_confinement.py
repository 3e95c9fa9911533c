"""A decoding process can read, and answer; nothing else. What it answers is not believed blindly."""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daemon.confinement import believe
from daemon.workers import WorkerPool, WorkerSettings
from pipeline.measuring import MeasureTask
from pipeline.settings import DecodeSettings, QualitySettings
from store.records import Failure, FailureKind
from tests.laws.synthetic import Content


def _connect(_path: Path) -> None:
    with socket.socket() as one:
        one.settimeout(1.0)
        one.connect(("127.0.0.1", 9))


DEEDS: dict[str, Callable[[Path], object]] = {
    "overwrite": lambda path: path.write_bytes(b"mine"),
    "append": lambda path: path.open("ab").write(b"mine"),
    "truncate": lambda path: os.truncate(path, 0),
    "create": lambda path: path.with_name("new").touch(),
    "unlink": Path.unlink,
    "rename": lambda path: path.rename(path.with_name("new")),
    "link": lambda path: path.with_name("new").hardlink_to(path),
    "mkdir": lambda path: path.with_name("new").mkdir(),
    "run": lambda _path: subprocess.run(["true"], check=True),
    "connect": _connect,
    "kill": lambda _path: os.kill(os.getppid(), signal.SIGCONT),
}


def commit(task: MeasureTask, _decode: DecodeSettings, _quality: QualitySettings) -> Failure:
    """Try a deed in a worker, and tell how it went."""
    name, _, path = task.path.partition(":")
    Path(path).read_bytes()
    try:
        DEEDS[name](Path(path))
    except PermissionError as error:
        return Failure(task.path, FailureKind.CORRUPT, f"refused: {error.strerror}", None, None)
    except OSError as error:
        return Failure(task.path, FailureKind.CORRUPT, f"failed: {error}", None, None)
    return Failure(task.path, FailureKind.CORRUPT, "done", None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux")
def test_a_worker_can_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a picture")
    found = {}
    with WorkerPool(
        WorkerSettings(processes=1), DecodeSettings(), QualitySettings(), target=f"{__name__}:commit"
    ) as pool:
        for name in DEEDS:
            pool.submit(MeasureTask(f"{name}:{path}", 32))
        while pool.pending:
            for task, result in pool.results(10):
                assert isinstance(result, Failure)
                found[task.path.partition(":")[0]] = result.reason
    assert {name for name, said in found.items() if said.startswith("refused")} == set(DEEDS), found
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [("a.jpg", b"a picture")]


class Trap:
    """Pickles as a call."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo trapped",)


@pytest.mark.parametrize(
    "message",
    [Trap(), [Trap()], Path("/"), Exception("x"), print],
    ids=["object", "list", "path", "exception", "function"],
)
def test_no_pickle_calls_anything(message: object) -> None:
    with pytest.raises(pickle.UnpicklingError):
        believe(pickle.dumps(message))


@pytest.mark.parametrize("message", [b"", b"nonsense", b"\x80\x05", b"cstore.records\nlogging\n."])
def test_nonsense_is_refused(message: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        believe(message)


def test_results_are_believed() -> None:
    measured = Content(1).measured("/a.jpg", 1)
    believed = believe(pickle.dumps(measured))
    assert np.array_equal(believed.model_input, measured.model_input)  # type: ignore[attr-defined]
    assert believed.quality == measured.quality  # type: ignore[attr-defined]
    assert believe(pickle.dumps("ready")) == "ready"


def test_failures_are_believed_from_every_python() -> None:
    kind = b"cstore.records\nFailureKind\n"
    for named in (b"cbuiltins\ngetattr\n(" + kind + b"S'CORRUPT'\ntR.", kind + b"(S'corrupt'\ntR."):
        assert believe(named) is FailureKind.CORRUPT
    for asked in (b"S'mro'\n", b"S'__subclasses__'\n", b"I1\n"):
        with pytest.raises(pickle.UnpicklingError):
            believe(b"cbuiltins\ngetattr\n(" + kind + asked + b"tR.")
    with pytest.raises(pickle.UnpicklingError):
        believe(b"cbuiltins\ngetattr\n(cstore.records\nMeasurement\nS'__init__'\ntR.")
