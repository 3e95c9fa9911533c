"""`dedupd rule`: the command itself, with and without a running service."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.command import SIX_FOLDERS, Answer, contents, dedupd, running, scan, verdicts, write_config
from tests.gallery import Album


@dataclass(frozen=True, slots=True)
class House:
    """A scanned album whose duplicates are in quarantine."""

    folder: Path
    out: Path
    state: Path
    keeper: Path
    extras: tuple[Path, ...]  # the keeper's, by their homes

    def rule(self, *words: object) -> Answer:
        return dedupd("rule", *words, "--state", self.state, "--json")

    def scan(self) -> dict[str, tuple[str, str | None, str | None]]:
        answer = scan(self.folder, "--output", self.out, "--state", self.state, "--action", "move")
        return verdicts(answer["log"], self.folder)

    def pictures(self) -> set[str]:
        """Return the hashes of all pictures, at home and in quarantine."""
        places = [self.folder, *(self.out / name for name in SIX_FOLDERS)]
        return {digest for place in places for digest, _ in contents(place).values()}

    def away(self, path: Path) -> Path:
        return self.out / "duplicates" / path.relative_to(self.folder)


@pytest.fixture
def house(drawn_few: Album, tmp_path: Path) -> House:
    album = Album(tmp_path / "album", drawn_few.files)
    shutil.copytree(drawn_few.folder, album.folder)
    original = next(f for f in album.files if f.made == "original" and f.family == 0)
    with Image.open(album.path(original)) as picture:
        picture.convert("RGB").save(album.folder / "once more.jpg", quality=70)
    output = ("--output", tmp_path / "out", "--state", tmp_path / "state", "--action", "move")
    log = verdicts(scan(album.folder, *output)["log"], album.folder)
    behind: dict[str, list[str]] = {}
    for name, (verdict, keeper, kind) in sorted(log.items()):
        if verdict == "duplicate" and keeper is not None and kind != "exact":
            behind.setdefault(keeper, []).append(name)
    keeper, extras = max(behind.items(), key=lambda item: len(item[1]))
    paths = tuple(album.folder / name for name in extras)
    made = House(album.folder, tmp_path / "out", tmp_path / "state", album.folder / keeper, paths)
    assert len(extras) > 2
    assert not any(path.exists() for path in paths)
    return made


def test_a_ruling_brings_home_and_outlives_scans_names_and_the_index(house: House) -> None:
    before = house.pictures()
    extra = house.extras[0]
    answer = house.rule("not-duplicates", house.keeper, *map(house.away, house.extras))
    assert answer.code == 0, answer.err
    assert {moved["path"] for moved in answer.json["home"]} >= set(map(str, house.extras))
    assert all(path.exists() for path in house.extras)
    moved = extra.rename(extra.with_name("another name" + extra.suffix))
    copied = Path(shutil.copy(moved, house.folder / f"a copy{extra.suffix}"))
    shutil.rmtree(house.state / "vectors")
    found = house.scan()
    stays = {name: verdict for name, (verdict, _, _) in found.items() if (house.folder / name).exists()}
    assert house.keeper.exists()
    assert moved.exists() != copied.exists(), "one of the two, beside the keeper"
    assert set(stays.values()) <= {"keep", "similar"}
    assert dedupd("check", "--state", house.state).code == 0
    assert house.pictures() == before, "no content is lost"


def test_keep_both_keep_this_and_the_list(house: House) -> None:
    first, second = house.extras[:2]
    kept = house.rule("keep-both", first, house.away(second))
    assert kept.code == 0, kept.err
    assert first.exists()
    assert second.exists()
    chosen = house.rule("keep-this", house.away(house.extras[2]))
    assert chosen.json["overruled"] == [1]
    house.scan()
    assert not first.exists()
    listed = dedupd("rule", "list", "--state", house.state, "--json").json["rulings"]
    assert [(row["id"], row["kind"], row["overruled_by"]) for row in listed] == [
        (1, "keep-all", 2),
        (2, "keep-this", None),
    ]
    assert house.rule("remove", 2).json["removed"] == [2]
    assert first.exists()
    assert second.exists()
    why = dedupd("why", first, "--state", house.state, "--json").json
    assert [ruling["id"] for ruling in why["rulings"]] == [1]
    assert "ruling 1" in why["reason"]


def test_mistakes_are_told_with_a_hint_and_64(house: House, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.jpg"
    stranger.write_bytes(b"not seen yet")
    for words in (
        ["keep-this", tmp_path / "nowhere.jpg"],
        ["keep-this", stranger],
        ["keep-this", house.keeper, house.extras[0]],
        ["not-duplicates", house.keeper],
        ["not-duplicates", house.keeper, house.keeper],
        ["keep-all"],
        ["remove", 9],
        ["remove"],
        ["list", house.keeper],
        ["forbid", house.keeper],
    ):
        answer = house.rule(*words)
        assert answer.code == 64, words
        assert answer.err.startswith("dedupd: ")
        assert "Traceback" not in answer.err
        assert json.loads(answer.out.splitlines()[-1])["hint"]
    empty = dedupd("rule", "list", "--state", tmp_path / "empty")
    assert empty.code == 64
    assert not (tmp_path / "empty").exists()


def test_the_running_service_takes_rulings(house: House, tmp_path: Path) -> None:
    settings = {"path": house.folder, "action": "move", "output": house.out}
    config = write_config(tmp_path / "c.toml", settings)
    extra = house.extras[0]
    with running(config, house.state) as daemon:
        daemon.wait()
        answer = house.rule("keep-this", house.away(extra))
        assert answer.code == 0, answer.err
        assert extra.exists()
        daemon.wait_for(lambda: not house.keeper.exists(), "the former keeper leaves at once")
        assert len(dedupd("rule", "list", "--state", house.state, "--json").json["rulings"]) == 1
        back = house.rule("remove", 1)
        assert back.code == 0, back.err
        daemon.wait_for(house.keeper.exists, "and comes back")
        undone = dedupd("undo", "--manifest", house.out, "--state", house.state, "--json")
        assert undone.code == 0, undone.err
        assert all(path.exists() for path in house.extras)
        daemon.wait()
        assert all(path.exists() for path in house.extras), "the service heard of it"
    assert dedupd("check", "--state", house.state).code == 0


def test_the_manifest_is_a_persons_word_too(house: House) -> None:
    answer = dedupd("undo", "--manifest", house.out, "--state", house.state, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["undone"]
    house.scan()
    assert all(path.exists() for path in house.extras)
    (house.state / "catalog.sqlite3").write_bytes(b"garbage" * 1000)
    again = dedupd("undo", "--manifest", house.out, "--state", house.state, "--json")
    assert (again.code, again.json["actions"]) == (0, []), "a damaged catalog does not stand in the way"
