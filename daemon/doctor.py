"""What keeps dedupd from working on this machine, found before it happens: each finding with the line to change.

It looks and changes nothing. What concerns pictures and the catalog's laws is `daemon.checking`.
"""

import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.config import Settings
from daemon.folders import MARKER_NAME, HotFolder, read_marker
from daemon.installing import granted_places, in_list, is_granted, writable_places
from daemon.managers import Manager
from daemon.mounts import free_bytes, is_network, mount_of, mounts_of_system, nearest_folder
from daemon.polling import count_folders, inotify_limit, needs_polling, sysctl_line
from daemon.state import StateFolder, is_locked
from pipeline.embedding import model_facts
from store.backup import list_backups
from store.database import check_integrity, format_of, newest_format, open_database, sqlite3, sqlite_version_is_safe
from store.errors import DedupdError

Level = Literal["ok", "note", "warning", "problem"]
_IS_MACOS = sys.platform == "darwin"
_HOUR_NS = 3600 * 10**9
_PROBE_SECONDS = 10.0  # an answer that macOS or a dead share never gives
_PROTECTED_BY_MACOS = ("Desktop", "Documents", "Downloads", "Pictures", "Library/Mobile Documents")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `change` is the line to type or to write; "" when there is nothing to change."""

    level: Level
    topic: str
    message: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at."""

    settings: Settings
    config: Path | None
    state: StateFolder
    manager: Manager
    now_ns: int


def examine(patient: Patient) -> Iterator[Finding]:
    """Look at everything, in the order in which it would stop a start."""
    yield from _library()
    yield from _state(patient.state)
    yield from _instance(patient.state)
    yield from _catalog(patient)
    yield from _model(patient.settings)
    for hot in patient.settings.hot_folder:
        yield from _hot_folder(hot)
    yield from _quarantines(patient)
    yield from _space(patient)
    yield from _inotify(patient.settings)
    yield from _unit(patient)


def _library() -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if sqlite_version_is_safe():
        yield Finding("ok", "SQLite", f"version {version}")
    else:
        message = f"version {version} has the WAL-reset bug: a rare race can damage the catalog while others read it"
        yield Finding("warning", "SQLite", message, "pip install 'pysqlite3>=0.6', or a Python with SQLite 3.51.3")


def _state(state: StateFolder) -> Iterator[Finding]:
    path = state.path
    if not path.exists():
        above = nearest_folder(str(path))
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding("note", "state", f"{path} is not there yet; the first scan or run makes it")
        else:
            yield Finding(
                "problem", "state", f"{path} cannot be made in {above}", f"chown {_me()} {shlex.quote(above)}"
            )
        return
    found = path.stat()
    if found.st_uid != os.geteuid():
        message = f"{path} belongs to uid {found.st_uid}, this is uid {os.geteuid()}"
        yield Finding("problem", "state", message, f"chown -R {_me()} {shlex.quote(str(path))}")
    if found.st_mode & stat.S_IWOTH:
        yield Finding("problem", "state", f"everybody may write to {path}", f"chmod o-w {shlex.quote(str(path))}")
    elif found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("note", "state", f"others may look into {path}", f"chmod 700 {shlex.quote(str(path))}")
    mount = mount_of(os.path.realpath(path), mounts_of_system())
    if mount is not None and is_network(mount[1]):
        message = f"{path} lies on a network file system ({mount[1]}), where SQLite's log is not safe"
        yield Finding("problem", "state", message, "pass a --state on a local disk")
    elif mount is not None and mount[1].startswith("fuse"):
        message = f"{path} lies on FUSE ({mount[1]}); whether that shares memory between programs, it does not tell"
        yield Finding("warning", "state", message, "pass a --state on a local disk unless you know it")
    if not os.access(path, os.W_OK | os.X_OK):
        yield Finding("problem", "state", f"{path} cannot be written to", f"chmod u+rwx {shlex.quote(str(path))}")
    else:
        yield Finding("ok", "state", f"{path}" + (f" on {mount[1]}" if mount else ""))


def _instance(state: StateFolder) -> Iterator[Finding]:
    if is_locked(state):
        from daemon.status import read_status

        pid = read_status(state).pid
        yield Finding("note", "instance", f"dedupd runs here{f', pid {pid}' if pid else ''}: verbs that write ask it")
    else:
        yield Finding("ok", "instance", "none runs")


def _catalog(patient: Patient) -> Iterator[Finding]:
    path = patient.state.catalog
    if not path.exists():
        yield Finding("note", "catalog", "there is none yet")
        return
    try:
        database = open_database(path, read_only=True)
        try:
            check_integrity(database, path)
            form = format_of(database)
        finally:
            database.conn.close()
    except DedupdError as error:
        yield Finding("problem", "catalog", error.message, error.hint)
        return
    older = f", migrated to {newest_format()} at the next start" if form < newest_format() else ""
    yield Finding("ok", "catalog", f"sound, format {form}{older}")
    newest = next(iter(list_backups(path)), None)
    hours = patient.settings.upkeep.backup_hours
    if newest is None:
        yield Finding("note", "backup", "there is none yet", "dedupd backup")
    elif patient.now_ns - newest.taken_ns > 3 * hours * _HOUR_NS:
        days = (patient.now_ns - newest.taken_ns) / _HOUR_NS / 24
        yield Finding("warning", "backup", f"the newest is {days:.0f} days old", "dedupd backup")
    else:
        yield Finding("ok", "backup", f"the newest is {newest.path.name}")


def _model(settings: Settings) -> Iterator[Finding]:
    try:
        facts = model_facts(settings.embedding)
    except DedupdError as error:
        yield Finding("problem", "model", error.message, error.hint)
    else:
        yield Finding("ok", "model", f"{facts.model_id}, its weights are those of its card")


def _hot_folder(hot: HotFolder) -> Iterator[Finding]:
    topic = f"hot folder {hot.path}"
    seen = _within(_PROBE_SECONDS, lambda: _list(hot.path))
    if seen is None:
        yield Finding("problem", topic, f"it has not answered for {_PROBE_SECONDS:.0f} s", _allow_on_macos(hot.path))
        return
    if isinstance(seen, FileNotFoundError):
        yield Finding(
            "warning", topic, "it is not there; the service waits for it", f"mkdir -p {shlex.quote(hot.path)}"
        )
        return
    if isinstance(seen, OSError):
        change = _allow_on_macos(hot.path) if _IS_MACOS else f"chmod u+rx {shlex.quote(hot.path)}"
        yield Finding("problem", topic, f"it cannot be read: {seen.strerror}", change)
        return
    if hot.action == "move" and not hot.protected and not os.access(hot.path, os.W_OK | os.X_OK):
        message = "files cannot be moved out of it: no permission to write, or mounted read-only"
        yield Finding("problem", topic, message, f'chmod u+w {shlex.quote(hot.path)}, or action = "copy"')
        return
    if needs_polling(hot.path) and hot.watch == "native":
        yield Finding("warning", topic, "it is on a share, which sends no events", 'watch = "auto"')
    marked = hot.protected or hot.action == "report" or read_marker(hot.path) is not None
    remark = "" if marked else f"; {MARKER_NAME} is written at the first run"
    yield Finding("ok", topic, f"readable{remark}")


def _quarantines(patient: Patient) -> Iterator[Finding]:
    default = str(patient.state.quarantine)
    for place in dict.fromkeys(hot.output or default for hot in patient.settings.hot_folder if hot.action != "report"):
        topic = f"quarantine {place}"
        nearest = nearest_folder(place)
        if nearest == place and not os.access(place, os.W_OK | os.X_OK):
            yield Finding("problem", topic, "it cannot be written to", f"chmod u+rwx {shlex.quote(place)}")
        elif not os.access(nearest, os.W_OK | os.X_OK):
            yield Finding(
                "problem", topic, f"it cannot be made in {nearest}", f"mkdir -p {shlex.quote(place)}, as its owner"
            )
        else:
            yield Finding("ok", topic, "writable" if nearest == place else "will be made")


def _space(patient: Patient) -> Iterator[Finding]:
    upkeep, actions = patient.settings.upkeep, patient.settings.actions
    default = str(patient.state.quarantine)
    wanted = [(str(patient.state.path), upkeep.min_free_state_mb, "min_free_state_mb", "the service pauses below it")]
    wanted += [
        (hot.output or default, actions.min_free_mb, "min_free_mb", "nothing is copied there below it")
        for hot in patient.settings.hot_folder
        if hot.action != "report"
    ]
    for place, least_mb, key, means in dict.fromkeys(wanted):
        free_mb = free_bytes(nearest_folder(place)) >> 20
        if free_mb < least_mb:
            message = f"{free_mb:,} MB are free under {place}, {key} = {least_mb}: {means}"
            yield Finding("problem", "space", message, f"free {least_mb - free_mb:,} MB there, or lower {key}")
        elif free_mb < 2 * least_mb:
            yield Finding("warning", "space", f"only {free_mb:,} MB are free under {place}", "free some")
        else:
            yield Finding("ok", "space", f"{free_mb:,} MB free under {place}")


def _inotify(settings: Settings) -> Iterator[Finding]:
    limit = inotify_limit("max_user_watches")
    watched = [hot.path for hot in settings.hot_folder if hot.watch != "polling" and not needs_polling(hot.path)]
    if not limit or not watched:
        return
    folders = sum(count_folders(path) for path in watched)
    if folders > limit:
        line = sysctl_line("max_user_watches", 2 * folders)
        message = f"{folders:,} folders need a watch each, the limit is {limit:,}: some would be polled"
        yield Finding("problem", "inotify", message, line)
    elif folders > limit // 2:
        line = sysctl_line("max_user_watches", 4 * folders)
        yield Finding("warning", "inotify", f"{folders:,} of {limit:,} watches, which all programs share", line)
    else:
        yield Finding("ok", "inotify", f"{folders:,} of {limit:,} watches")


def _unit(patient: Patient) -> Iterator[Finding]:
    unit = patient.manager.definition_in_force()
    if unit is None:
        standing = patient.manager.path.exists()
        yield Finding("note" if not standing else "ok", "service", "installed" if standing else "not installed")
        return
    granted = granted_places(unit)
    if granted is None:
        yield Finding("note", "service", f"{patient.manager.path} leaves the file system open")
        return
    missing = [place for place in writable_places(patient.settings, patient.state) if not is_granted(place, granted)]
    again = "dedupd service install" + (" --system" if patient.manager.system else "")
    for place in missing:
        message = f"{patient.manager.path} does not let the service write to {place}: its actions there would fail"
        yield Finding("problem", "service", message, f"ReadWritePaths={in_list('-' + place)}, or: {again}")
    if not missing:
        yield Finding("ok", "service", f"{patient.manager.path} lets it write where the configuration wants")


def _list(path: str) -> list[str]:
    return os.listdir(path)


def _within(seconds: float, look: Callable[[], object]) -> object:
    """Return what a look gives, or the OSError it ends with; None when it does not come back in time."""
    import threading

    answer: list[object] = []

    def run() -> None:
        try:
            answer.append(look())
        except OSError as error:
            answer.append(error)

    thread = threading.Thread(target=run, name="dedupd-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else None


def _allow_on_macos(path: str) -> str:
    if not _IS_MACOS:
        return "is its server or disk there?"
    home = Path.home()
    guarded = path.startswith("/Volumes/") or any(path.startswith(f"{home}/{name}") for name in _PROTECTED_BY_MACOS)
    program = os.path.realpath(sys.executable)
    hint = f"System Settings › Privacy & Security › Full Disk Access: allow {program}"
    return hint if guarded else f"{hint}, or check its permissions"


def _me() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
