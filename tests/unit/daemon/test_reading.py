"""A reader's view of a state folder that a service writes to."""

from pathlib import Path

import pytest

import pipeline.matching
from daemon.checking import find_problems
from daemon.config import Settings
from daemon.reading import reading
from tests.unit.daemon.opened import distinct, know, opened, put


def test_a_reader_sees_one_state_while_the_service_writes(tmp_path: Path) -> None:
    with opened(tmp_path) as session:
        folder = session.catalog.put_folder(str(tmp_path / "hot"), protected=False)
        path = tmp_path / "hot/a.png"
        file = know(session, folder, put(path), distinct(1))
        with reading(session.state, Settings()) as reader:
            path.unlink()
            session.flow.forget_files([file], session.clock_ns())
            assert session.catalog.files_of([file.image_id]).get(file.image_id, []) == []
            assert [seen.id for seen in reader.catalog.files_of([file.image_id])[file.image_id]] == [file.id]
            assert find_problems(reader, deep=True) == []


def test_what_another_version_judged_is_not_held_against_the_laws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as session:
        folder = session.catalog.put_folder(str(tmp_path / "hot"), protected=False)
        know(session, folder, put(tmp_path / "hot/a.png"), distinct(1))
        with reading(session.state, Settings()) as reader:
            assert find_problems(reader, deep=False) == []
        monkeypatch.setattr(pipeline.matching, "VERIFIER_VERSION", 1_000)
        with reading(session.state, Settings()) as reader:
            (problem,) = find_problems(reader, deep=False)
        assert "judges again" in problem
