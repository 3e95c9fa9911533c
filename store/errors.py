"""The whole error tree. Each leaf knows its exit code; each instance tells the user what to do.

DedupdError                1   anything this program refuses or cannot do, on purpose
├── UsageError            64   the command line asks for something impossible
│   └── NoCatalogError    64   nothing is known in this state folder
├── DataError             65   the input is there and is not what it should be
│   ├── DecodeError       65   bytes that are no picture, or one beyond the limits
│   ├── ModelError        65   weights that are missing, altered or of another model
│   └── DamageError       65   a catalog or backup that is damaged, or of a newer dedupd
├── StateError             1   catalog, index or quarantine are not as they must be
│   ├── CatalogError       1   the catalog cannot be read or written now
│   │   └── DiskFullError  1   no space is left under the state folder
│   └── ActionError        1   a file operation was refused; source and target are intact
├── BusyError             75   another instance holds the state folder
├── AccessError           77   the operating system forbids it
└── ConfigError           78   the configuration is wrong

Exit codes follow sysexits.h. The hint is shown under the message, in the words of a person who wants to go on.
"""

from typing import ClassVar


class DedupdError(Exception):
    """A refusal with a message for people and a hint about the way out."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["DedupdError"], tuple[str, str]]:
        # Errors cross process borders; without this, pickle would drop the hint.
        return type(self), (self.message, self.hint)


class UsageError(DedupdError):
    """The command line asks for something impossible."""

    exit_code = 64


class NoCatalogError(UsageError):
    """Nothing is known in this state folder."""


class DataError(DedupdError):
    """The input is there and is not what it should be."""

    exit_code = 65


class DecodeError(DataError):
    """Bytes that are no picture, or one beyond the limits."""


class ModelError(DataError):
    """Weights that are missing, altered or of another model."""


class DamageError(DataError):
    """A catalog or backup that is damaged, or of a newer dedupd."""


class StateError(DedupdError):
    """Catalog, index or quarantine are not as they must be."""


class CatalogError(StateError):
    """The catalog cannot be read or written now."""


class DiskFullError(CatalogError):
    """No space is left under the state folder."""


class ActionError(StateError):
    """A file operation was refused; source and target are intact."""


class BusyError(DedupdError):
    """Another instance holds the state folder."""

    exit_code = 75


class AccessError(DedupdError):
    """The operating system forbids it."""

    exit_code = 77


class ConfigError(DedupdError):
    """The configuration is wrong."""

    exit_code = 78


def error_with(exit_code: int) -> type[DedupdError]:
    """Return the kind of error that ends with this exit code, for one that comes from another process."""
    kinds = (UsageError, DataError, BusyError, AccessError, ConfigError)
    return next((kind for kind in kinds if kind.exit_code == exit_code), DedupdError)
