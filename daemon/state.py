"""The state folder: where everything that dedupd remembers lies, and the lock that one instance holds."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from store.errors import AccessError, BusyError, ConfigError, UsageError

CATALOG_NAME = "catalog.sqlite3"
LOCK_NAME = "lock"
_CONFIG_NOTE = "configuration"
_LOCK_WAIT_SECONDS = 1.0  # longer than the moment in which `status` tries the lock


class StateFolder:
    """Paths in the state folder, by name."""

    def __init__(self, path: Path | None) -> None:
        self.path = (path or default_state_path()).absolute()

    @property
    def catalog(self) -> Path:
        """The SQLite file."""
        return self.path / CATALOG_NAME

    @property
    def status(self) -> Path:
        """The last status, written by whoever holds the lock."""
        return self.path / "status.json"

    @property
    def lock(self) -> Path:
        """The lock of the one instance."""
        return self.path / LOCK_NAME

    @property
    def holder(self) -> Path:
        """A note by whoever holds the lock: its process number."""
        return self.path / "holder"

    @property
    def report(self) -> Path:
        """Where `run` and `report` put the report."""
        return self.path / "report"

    @property
    def quarantine(self) -> Path:
        """Where hot folders without an output of their own send their files."""
        return self.path / "quarantine"

    def note_config(self, path: Path | None) -> None:
        """Note which configuration judges here (None: the defaults), so that verbs that only read see the same."""
        note = self.path / _CONFIG_NOTE
        if path is None:
            note.unlink(missing_ok=True)
        else:
            note.write_bytes(os.fsencode(path.absolute()))

    def noted_config(self) -> Path | None:
        """Return the configuration that judged here last; None for the defaults."""
        try:
            return Path(os.fsdecode((self.path / _CONFIG_NOTE).read_bytes()))
        except OSError:
            return None

    def create(self) -> None:
        """Make the folder, for its owner only, and refuse one in which a catalog would not be safe.

        Raises AccessError where the system forbids it, ConfigError for a folder that others may write to, that is
        another user's, or that another machine serves.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"the state folder {self.path} is a file", "pass another --state")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise AccessError(
                f"cannot make the state folder {self.path}: {error.strerror}", "pass another --state"
            ) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise AccessError(
                f"cannot write to the state folder {self.path}",
                "check its owner and whether its disk is mounted read-only, or pass another --state",
            )
        self._refuse_unsafe()

    def _refuse_unsafe(self) -> None:
        from daemon.mounts import network_under

        folder = self.path.stat()
        if folder.st_mode & stat.S_IWOTH:
            raise ConfigError(
                f"everybody may write to the state folder {self.path}",
                f"chmod o-w {self.path}, or pass a --state of your own",
            )
        for path in (self.path, self.catalog):
            owner = path.stat().st_uid if path.exists() else os.geteuid()
            if owner != os.geteuid():
                raise ConfigError(
                    f"{path} belongs to another user (uid {owner})", "run as that user, or pass another --state"
                )
        kind = network_under(self.path)
        if kind:
            raise ConfigError(
                f"the state folder {self.path} lies on a network file system ({kind}), where SQLite's log is not safe",
                "pass a --state on a local disk; hot folders and quarantines may stay on the network",
            )


class InstanceLock:
    """Held by the one process that may write to a state folder; the kernel frees it when that process dies."""

    def __init__(self, state: StateFolder) -> None:
        from filelock import FileLock

        self._state = state
        self._lock = FileLock(state.lock)

    def __enter__(self) -> "InstanceLock":
        from filelock import Timeout

        try:
            self._lock.acquire(timeout=_LOCK_WAIT_SECONDS)
        except Timeout as error:
            raise BusyError(
                f"another dedupd{self._holder()} works with the state folder {self._state.path}",
                "stop it first, or pass another --state",
            ) from error
        with suppress(OSError):  # a note for whoever is refused; on a full disk there is none
            self._state.holder.write_text(str(os.getpid()), "ascii")
        return self

    def _holder(self) -> str:
        try:
            return f", pid {int(self._state.holder.read_text('ascii'))},"
        except (OSError, ValueError):
            return ""

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def is_locked(state: StateFolder) -> bool:
    """Tell whether some process holds the lock, without waiting and without leaving a trace."""
    import fcntl

    try:
        descriptor = os.open(state.lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def default_state_path() -> Path:
    """Return the platform's folder for state (`~/.local/state/dedupd` on Linux)."""
    from platformdirs import user_state_path

    return user_state_path("dedupd", appauthor=False)
