"""The hot folders of a running service: watched, recognised, walked; offline is not deleted."""

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from daemon.caretaker import Caretaker, Inspection
from daemon.config import Settings
from daemon.folders import FolderState, RootIdentity, write_marker
from daemon.reception import BrakeError, Reception, Watched
from daemon.session import Session
from daemon.state import StateFolder
from daemon.status import FolderStatus
from daemon.watcher import Watcher
from pipeline.planning import FolderPlan
from store.errors import ConfigError
from store.ledger import Verb
from store.text import printable

_HANGING_SECONDS = 30.0
_LOG = structlog.get_logger("dedupd")


@dataclass(slots=True)
class _Root:
    watched: Watched
    caretaker: Caretaker
    state: FolderState = FolderState.OK  # until somebody finds out otherwise; `walking` says that somebody is at it
    reason: str = ""
    walked: bool = False
    walking: bool = True
    unreadable: list[str] = field(default_factory=list)


class Roots:
    """Hold one watch and one caretaker per hot folder. Belongs to the service's loop."""

    def __init__(self, session: Session, put: Callable[[str, Any], None]) -> None:
        self._session = session
        self._watcher = Watcher(lambda path: put("path", path), self._rescan)
        self._told: set[str] = set()  # problems of watching that are in the log
        refuse_nesting(session.settings, session.state)
        outputs = _outputs(session.settings, session.state)
        exclude = frozenset({*outputs, os.path.realpath(session.state.path)})
        self._roots: dict[str, _Root] = {}
        self.plans: dict[int, FolderPlan] = {}
        for hot, output in zip(session.settings.hot_folder, outputs, strict=True):
            folder = session.catalog.put_folder(hot.path, protected=hot.protected)
            session.catalog.adopt_files(folder)
            marker, device, inode = session.catalog.folder_identity(folder.id)
            identity = None if device is None or inode is None else RootIdentity(device, inode)
            rules = (hot.recursive, hot.ignore, exclude)
            caretaker = Caretaker(hot.path, (identity, marker or None), rules, lambda seen: put("inspection", seen))
            self._roots[hot.path] = _Root(Watched(hot, folder, exclude), caretaker)
            verb = None if hot.action == "report" or hot.protected else Verb(hot.action)
            prefix = f"{os.path.basename(hot.path)}/" if outputs.count(output) > 1 else ""
            follow = session.settings.actions.similar == "follow"
            self.plans[folder.id] = FolderPlan(hot.path, verb, output, prefix, follow)

    @property
    def watched(self) -> dict[str, Watched]:
        """The hot folders by root path."""
        return {path: root.watched for path, root in self._roots.items()}

    def start(self) -> None:
        """Watch and walk all folders; the watch comes first, so that nothing falls between the two."""
        for path, root in self._roots.items():
            hot = root.watched.hot
            exclude = root.watched.exclude
            self._watcher.watch(path, hot.watch, hot.recursive, exclude=exclude, poll_seconds=hot.poll_seconds)
            self.walk(path)

    def walk(self, path: str) -> None:
        """Ask for a full walk of a folder."""
        root = self._roots[path]
        root.walking = True
        root.caretaker.want(walk_too=True)

    def walk_all(self) -> None:
        """Ask for a full walk of every folder."""
        for path in self._roots:
            self.walk(path)

    def check(self, now: float) -> None:
        """Look after watches and roots; called every few seconds."""
        self._watcher.check(now)
        self._tell()
        for root in self._roots.values():
            silent = root.caretaker.silent_seconds()
            if silent > _HANGING_SECONDS:
                self._set(
                    root, FolderState.OFFLINE, f"has not answered for {silent:.0f} s; is its server or disk there?"
                )
            else:
                root.caretaker.want(walk_too=False)

    def note(self, seen: Inspection, reception: Reception, now: float) -> None:
        """Take a caretaker's answer: recognise the root, reconcile a walk, walk again what came back."""
        root = self._roots[seen.root]
        before = root.state
        if seen.check.state is not FolderState.OK:
            root.walking = root.walking and seen.files is None and seen.check.state is not FolderState.OFFLINE
            self._set(root, seen.check.state, seen.check.reason)
            return
        self._remember_identity(root, seen)
        if seen.files is None:
            back = before in (FolderState.OFFLINE, FolderState.WAITING)
            if back:
                reception.act_again(seen.root)
            unwalked = not (root.walked or root.walking or before is FolderState.PAUSED)
            if reception.take_doubt(seen.root) or back or unwalked:
                self._set(root, FolderState.OK, "")
                self.walk(seen.root)
            return
        root.walking = False
        root.unreadable = [f"{problem.path}: {problem.reason}" for problem in seen.problems]
        try:
            reception.reconcile(seen.root, seen.files, seen.problems, now)
        except BrakeError as error:
            self._set(root, FolderState.PAUSED, f"{error.message}; {error.hint}")
            return
        root.walked = True
        self._set(root, FolderState.OK, "")

    def states(self) -> list[FolderStatus]:
        """Describe the folders for the status."""
        counts = self._session.catalog.folder_counts()
        return [
            FolderStatus(
                path=path,
                state="scanning" if root.walking and root.state is FolderState.OK else str(root.state),
                files=counts.get(path, 0),
                reason=root.reason,
                action=root.watched.hot.action,
                protected=root.watched.hot.protected,
            )
            for path, root in self._roots.items()
        ]

    def problems(self) -> list[str]:
        """Say what is wrong with watching and with the folders."""
        found = list(self._watcher.problems())
        for path, root in self._roots.items():
            if root.reason:
                found.append(f"{printable(path)}: {root.state}: {root.reason}")
            found += [printable(line) for line in root.unreadable[:3]]
        return found

    @property
    def scanning(self) -> bool:
        """Whether a folder is being walked for the first time."""
        return any(root.walking and not root.walked and root.state is FolderState.OK for root in self._roots.values())

    def close(self) -> None:
        """Stop watching."""
        self._watcher.close()
        for root in self._roots.values():
            root.caretaker.close()

    def _rescan(self, path: str, reason: str) -> None:
        _LOG.info("walking the whole folder", path=path, reason=reason)
        self.walk(path)

    def _tell(self) -> None:
        """Log each problem of watching when it begins; the seconds that it has lasted make it no other problem."""
        problems = {re.sub(r"\d+ s\b", "", problem): problem for problem in self._watcher.problems()}
        for key in problems.keys() - self._told:
            _LOG.warning("watching", problem=problems[key])
        self._told = set(problems)

    def _remember_identity(self, root: _Root, seen: Inspection) -> None:
        """Note by what the root is recognised, and leave the marker in a folder that dedupd may write to."""
        folder, hot, found = root.watched.folder, root.watched.hot, seen.check.identity
        identity, marker_id = root.caretaker.known
        if found is None or (found == identity and (marker_id is None or seen.check.marker_id == marker_id)):
            return
        marker = marker_id or uuid.uuid4().hex
        leaves_mark = not hot.protected and hot.action != "report"  # where nothing is to be touched, nothing is
        written = seen.check.marker_id == marker or (leaves_mark and write_marker(hot.path, marker))
        root.caretaker.known = (found, marker if written else None)
        self._session.catalog.note_identity(folder.id, marker if written else "", found.device, found.inode)

    def _set(self, root: _Root, state: FolderState, reason: str) -> None:
        if (root.state, root.reason) != (state, reason):
            if root.state is not state:
                _LOG.info("folder", path=root.watched.folder.path, state=str(state), reason=reason)
            root.state, root.reason = state, reason


def refuse_nesting(settings: Settings, state: StateFolder) -> None:
    """Refuse no hot folder, one named twice or nested, a quarantine or state inside one. Raises ConfigError."""
    roots = [hot.path for hot in settings.hot_folder]
    if not roots:
        raise ConfigError(
            "no hot folder is configured", 'write [[hot_folder]] with path = "…" into a file and pass it with --config'
        )
    for path in roots:
        if roots.count(path) > 1:
            raise ConfigError(f"hot folder {path} is named twice", "name every folder once")
        outer = next((other for other in roots if path.startswith(other.rstrip("/") + "/")), None)
        if outer is not None:
            raise ConfigError(f"hot folder {path} lies in hot folder {outer}", "name the outer one only")
        if os.path.lexists(path) and not os.path.isdir(path):
            raise ConfigError(f"hot folder {path} is a file", "name the folder it lies in")
    places = [("quarantine", output) for output in _outputs(settings, state)]
    for name, place in [*places, ("state folder", os.path.realpath(state.path))]:
        inside = next((root for root in roots if place == root or place.startswith(root.rstrip("/") + "/")), None)
        if inside is not None:
            raise ConfigError(
                f"the {name} {place} lies in hot folder {inside}", "choose a place outside all hot folders"
            )


def _outputs(settings: Settings, state: StateFolder) -> list[str]:
    default = os.path.realpath(state.quarantine)
    return [hot.output or default for hot in settings.hot_folder]
