"""Keep small oriented pictures by content hash, for verification, report and web page. May be deleted.

Beside the preview of a picture with print lies a larger grey one, its page.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from store.errors import StateError
from store.text import printable

_START, _END = b"\xff\xd8", b"\xff\xd9"  # JPEG's first and last marker
_PART, _PAGE = ".part", ".page"


class Previews:
    """JPEG previews in `folder`/ab/abcd….jpg, pages in ….page, readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_of(self, sha256: bytes) -> Path:
        """Return where the preview of an image belongs; `sha256` is the 32 bytes of its content hash."""
        if len(sha256) != 32:
            raise ValueError(f"a SHA-256 of {len(sha256)} bytes")
        name = sha256.hex()
        return self.folder / name[:2] / f"{name}.jpg"

    def write(self, sha256: bytes, jpeg: bytes, page: bytes = b"") -> None:
        """Keep a preview by temporary file and rename, its page before it; the same bytes are not written again.

        No fsync: a preview torn by power loss is noticed by `read` and made again; a page that is lost alone is not.
        Raise StateError when the disk refuses.
        """
        if not _whole(jpeg) or (page and not _whole(page)):
            raise ValueError("a preview that is no whole JPEG")
        if page:
            self._write(self._page_of(sha256), page)
        self._write(self.path_of(sha256), jpeg)
        if not page:
            with _refusals_told(self._page_of(sha256)):
                self._page_of(sha256).unlink(missing_ok=True)

    def _write(self, path: Path, jpeg: bytes) -> None:
        if _read(path) == jpeg:
            return
        with _refusals_told(path):
            part = f"{path}{_PART}"
            try:
                file = _fresh(part)
            except FileNotFoundError:
                for folder in (self.folder, path.parent):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = _fresh(part)
            try:
                with file:
                    file.write(jpeg)
                os.replace(part, path)
            except OSError:
                Path(part).unlink(missing_ok=True)
                raise

    def read(self, sha256: bytes) -> bytes | None:
        """Return the JPEG; None when it is missing, unreadable or torn (no first or no last marker)."""
        return _read(self.path_of(sha256))

    def read_page(self, sha256: bytes) -> bytes:
        """Return the JPEG of the page, empty where there is none or it is torn."""
        return _read(self._page_of(sha256)) or b""

    def has(self, sha256: bytes) -> bool:
        """Tell whether a preview lies there; only `read` tells whether it is whole."""
        return self.path_of(sha256).is_file()

    def remove(self, sha256: bytes) -> None:
        """Delete a preview and its page if they are there."""
        for path in (self.path_of(sha256), self._page_of(sha256)):
            path.unlink(missing_ok=True)

    def prune(self, keep: Callable[[bytes], bool]) -> int:
        """Delete the files that `keep(sha256)` denies, and what interrupted writes left; return how many.

        To be called where `write` is: a write going on in another process would lose its temporary file.
        """
        doomed = [path for path in self._files() if path.suffix == _PART or not _wanted(path, keep)]
        for path in doomed:
            path.unlink(missing_ok=True)
        return len(doomed)

    def bytes_used(self) -> int:
        """Add up the sizes of all previews, in bytes; looks at every file."""
        return sum(path.stat().st_size for path in self._files())

    def _page_of(self, sha256: bytes) -> Path:
        return self.path_of(sha256).with_suffix(_PAGE)

    def _files(self) -> Iterator[Path]:
        return (path for path in self.folder.glob("??/*") if path.is_file())


@contextmanager
def _refusals_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            f"cannot write the preview {printable(str(path))}: {error.strerror}",
            "Free space or fix the permissions of the state folder; missing previews are made again.",
        ) from error


def _fresh(part: str) -> BinaryIO:
    """Open a file that was not there, for its owner only; what an interrupted write left goes. There is one writer."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(part, flags, 0o600), "wb")
    except FileExistsError:
        os.unlink(part)
        return os.fdopen(os.open(part, flags, 0o600), "wb")


def _wanted(path: Path, keep: Callable[[bytes], bool]) -> bool:
    try:
        return keep(bytes.fromhex(path.stem))
    except ValueError:
        return True  # not ours: nothing of another's is deleted


def _read(path: Path) -> bytes | None:
    try:
        jpeg = path.read_bytes()
    except OSError:
        return None
    return jpeg if _whole(jpeg) else None


def _whole(jpeg: bytes) -> bool:
    return len(jpeg) >= 4 and jpeg.startswith(_START) and jpeg.endswith(_END)
