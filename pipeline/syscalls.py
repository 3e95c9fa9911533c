"""The operating system calls that Python lacks or spells differently per platform, on descriptors.

Everything here works on open descriptors and names relative to them; policy lives in `pipeline.placing`.
"""

import ctypes
import errno
import hashlib
import os
import signal
import sys
from contextlib import suppress
from functools import cache

_CHUNK_BYTES = 1 << 20
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_RENAME_NOREPLACE = 1  # linux/fs.h
_RENAME_EXCL = 4  # sys/stdio.h of macOS
_COPYFILE_ACL_AND_XATTR = 1 << 0 | 1 << 2  # copyfile.h of macOS
_NO_EXCLUSIVE_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def rename_exclusive(from_fd: int, source: str, to_fd: int, target: str) -> None:
    """Rename, but never over anything. Raises FileExistsError when the name is taken, OSError otherwise.

    Uses renameat2(RENAME_NOREPLACE) on Linux and renameatx_np(RENAME_EXCL) on macOS. Where file system or C
    library lack it (NFS), a hard link, which never replaces, and an unlink do the same in two steps.
    """
    code = _native_rename(from_fd, os.fsencode(source), to_fd, os.fsencode(target))
    if code in _NO_EXCLUSIVE_RENAME:
        _link_and_unlink(from_fd, source, to_fd, target)
    elif code:
        raise OSError(code, os.strerror(code), target)


def _native_rename(from_fd: int, source: bytes, to_fd: int, target: bytes) -> int:
    """Return 0 or an errno; ENOSYS where the C library has no such call."""
    name, flags = ("renameatx_np", _RENAME_EXCL) if sys.platform == "darwin" else ("renameat2", _RENAME_NOREPLACE)
    call = getattr(_libc(), name, None)
    if call is None:
        return errno.ENOSYS
    failed = call(from_fd, source, to_fd, target, ctypes.c_uint(flags))
    return ctypes.get_errno() if failed else 0


def _link_and_unlink(from_fd: int, source: str, to_fd: int, target: str) -> None:
    try:
        os.link(source, target, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
    except PermissionError as error:  # what FAT says; real want of permission shows elsewhere
        message = "the file system has neither exclusive rename nor hard links, or gives no permission"
        raise OSError(errno.EOPNOTSUPP, message, target) from error
    sync(to_fd)
    linked = os.stat(target, dir_fd=to_fd, follow_symlinks=False)
    standing = os.stat(source, dir_fd=from_fd, follow_symlinks=False)
    if not os.path.samestat(linked, standing):
        os.unlink(target, dir_fd=to_fd)
        raise OSError(errno.ESTALE, "it was replaced meanwhile", source)
    os.unlink(source, dir_fd=from_fd)


def sync(fd: int) -> None:
    """Force a file or folder to stable storage; on macOS past the drive's own cache, where fsync stops."""
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):  # network file systems lack it; fsync below then has the last word
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def hash_file(fd: int, limit_bytes: int = sys.maxsize) -> bytes:
    """Return the SHA-256 of an open file's content, or of its first `limit_bytes`, from its start."""
    digest, offset = hashlib.sha256(), 0
    while chunk := os.pread(fd, min(_CHUNK_BYTES, limit_bytes - offset), offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.digest()


def is_being_written(fd: int) -> bool:
    """Tell whether any process has a regular file, open here for reading, open for writing; False if unknown.

    Size and mtime say nothing while a writer pauses; if its file is copied and unlinked then, all that it writes
    later is lost. Linux grants a read lease exactly when there is no writer (mapped memory counts as one) and says
    EAGAIN else. The lease goes back at once. A writer that comes in between breaks it: the signal for that is
    one that is ignored by default, set beforehand, for SIGIO would kill the process.

    Any other answer, as EACCES (not the owner) or EINVAL (a file system without leases), tells nothing, and
    neither does macOS.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False


def drop_cache(fd: int) -> None:
    """Let the next read of a synchronised file come from the disk, so that it proves what was written."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def copy_bytes(from_fd: int, to_fd: int) -> None:
    """Copy a whole file into an empty one: shared extents where the file system can, else chunk by chunk."""
    if _reflink(from_fd, to_fd):
        return
    offset = 0
    while chunk := os.pread(from_fd, _CHUNK_BYTES, offset):
        offset += len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(to_fd, rest) :]


def _reflink(from_fd: int, to_fd: int) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    with suppress(OSError):
        fcntl.ioctl(to_fd, _FICLONE, from_fd)
        return True
    return False


def copy_metadata(from_fd: int, to_fd: int, mtime_ns: int, mode: int) -> list[str]:
    """Copy owner and extended attributes, set mode and mtime; return the names of what could not be kept."""
    origin = os.fstat(from_fd)
    lost = ["hard links"] if origin.st_nlink > 1 else []
    try:
        os.fchown(to_fd, origin.st_uid, origin.st_gid)  # before the mode: it clears set-id bits
    except OSError:
        lost.append("owner")
    lost += _copy_attributes(from_fd, to_fd)
    return lost + set_times_and_mode(to_fd, mtime_ns, mode)


def _copy_attributes(from_fd: int, to_fd: int) -> list[str]:
    if sys.platform == "darwin":
        failed = _libc().fcopyfile(from_fd, to_fd, None, ctypes.c_uint32(_COPYFILE_ACL_AND_XATTR))
        return ["extended attributes"] if failed else []
    lost: list[str] = []
    with suppress(OSError):  # a file system without attributes has none to lose
        for name in os.listxattr(from_fd):
            try:
                os.setxattr(to_fd, name, os.getxattr(from_fd, name))
            except OSError:
                lost.append(name)
    return lost


def set_times_and_mode(fd: int, mtime_ns: int, mode: int) -> list[str]:
    """Set mtime and permission bits where they differ; return the names of what the system refused."""
    lost, status = [], os.fstat(fd)
    if status.st_mode & 0o7777 != mode:
        try:
            os.fchmod(fd, mode)
        except OSError:
            lost.append("mode")
    if status.st_mtime_ns != mtime_ns:
        try:
            os.utime(fd, ns=(status.st_atime_ns, mtime_ns))
        except OSError:
            lost.append("mtime")
    return lost
