"""A folder of checked files, one an entry: safe to read, to write and to bound in size.

A file's name is its key in hexadecimal. Its content is ``MAGIC``, the key, the data's length and
SHA-256, the data. The key inside means that a file moved to another name is not believed.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
import time
from collections.abc import Iterator

MAGIC = b"xnpcache"
_HEADER = struct.Struct("<8s32sQ32s")
_SUFFIX, _PARTIAL = ".bin", ".tmp"
_ATTEMPTS = 20  # at writing a file that others delete
_STALE_SECONDS = 24 * 3600.0  # no writer takes a day: a partial file that old was abandoned
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Trouble(Exception):
    """Why the cache could not be used; ``kind`` is what a process warns of once."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class CacheFiles:
    """The entries in ``folder``, together at most ``limit`` bytes."""

    def __init__(self, folder: str, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._size: int | None = None  # bytes, as last looked up and counted on since
        self._unchecked = 0  # bytes written since

    def read(self, key: bytes) -> bytes | None:
        """The data of an entry and its new last use, or None; Trouble if it may not be trusted."""
        path = self._path(key)
        try:
            # O_NONBLOCK: somebody might put a pipe there, which would never open.
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            _check_file(path, os.fstat(file))
            self._check_folder()
            content = _read_all(file)
            _touch(file)
        except OSError as error:
            raise Trouble("read", f"{path} cannot be read ({error.strerror})") from None
        finally:
            os.close(file)
        data = _unpack(content, key)
        if data is None:
            _remove(path)
            raise Trouble("damaged", f"{path} was damaged and has been deleted")
        return data

    def write(self, key: bytes, data: bytes) -> None:
        """Store an entry, in one step for all who read; Trouble where it cannot be stored."""
        content = _pack(key, data)
        if len(content) > self.limit:
            return
        for attempt in range(_ATTEMPTS):
            try:
                self._write(key, content)
                break
            except FileNotFoundError as error:  # others clear the cache, or delete the folder
                if attempt == _ATTEMPTS - 1:
                    raise _unwritable(self.folder, error) from None
            except OSError as error:
                raise _unwritable(self.folder, error) from None
        self._keep_bound(len(content))

    def usage(self) -> tuple[int, int]:
        """Number and bytes of the entries."""
        sizes = [state.st_size for name, state in self._list() if name.endswith(_SUFFIX)]
        return len(sizes), sum(sizes)

    def clear(self) -> None:
        """Delete all entries, and what was left half written; Trouble where that is not allowed."""
        for name, _ in self._list():
            try:
                os.unlink(os.path.join(self.folder, name))
            except FileNotFoundError:  # by another process meanwhile
                continue
            except OSError as error:
                raise _unwritable(self.folder, error) from None
        with self._lock:
            self._size, self._unchecked = None, 0

    def _path(self, key: bytes) -> str:
        return os.path.join(self.folder, key.hex() + _SUFFIX)

    def _check_folder(self) -> None:
        state = os.stat(self.folder)
        if state.st_uid != os.geteuid():
            raise Trouble("folder", f"the folder {self.folder} belongs to another user")
        if state.st_mode & _OTHERS_WRITE:
            raise Trouble("folder", f"other users may write in the folder {self.folder}")

    def _write(self, key: bytes, content: bytes) -> None:
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        try:
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            self._check_folder()
        path = self._path(key)
        partial = f"{path}.{os.getpid()}.{os.urandom(8).hex()}{_PARTIAL}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(partial, flags, 0o600)
        try:
            try:
                _write_all(file, content)
            finally:
                os.close(file)
            os.replace(partial, path)
        except BaseException:
            _remove(partial)
            raise

    def _keep_bound(self, written: int) -> None:
        """Look at the folder at the first write, and again when it may have grown too large.

        Between, only this process's own bytes are counted; other processes look after theirs.
        """
        with self._lock:
            self._unchecked += written  # more than -1, so the first write looks
            room = -1 if self._size is None else self.limit - self._size
            if self._unchecked > min(room, self.limit // 16):
                self._size, self._unchecked = self._evict(), 0

    def _evict(self) -> int:
        """Delete abandoned partial files, and while there is too much what was unused longest."""
        now = time.time()
        entries = []
        for name, state in self._list():
            if name.endswith(_SUFFIX):
                entries.append((state.st_mtime_ns, name, state.st_size))
            elif now - state.st_mtime > _STALE_SECONDS:
                _remove(os.path.join(self.folder, name))
        size = sum(entry[2] for entry in entries)
        if size > self.limit:
            for _, name, bytes_ in sorted(entries):
                if size <= self.limit * 0.9:  # room, so that not every write comes back here
                    break
                _remove(os.path.join(self.folder, name))
                size -= bytes_
        return size

    def _list(self) -> Iterator[tuple[str, os.stat_result]]:
        """Our own files in the folder, whole and partial, by their names."""
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if _is_ours(entry.name):
                        try:
                            yield entry.name, entry.stat(follow_symlinks=False)
                        except FileNotFoundError:  # deleted by another process meanwhile
                            continue
        except FileNotFoundError:
            return
        except OSError as error:
            raise Trouble("read", f"{self.folder} cannot be read ({error.strerror})") from None


def _is_ours(name: str) -> bool:
    key, _, rest = name.partition(".")
    return len(key) == 64 and ("." + rest).endswith((_SUFFIX, _PARTIAL))


def _check_file(path: str, state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise Trouble("foreign", f"{path} is no regular file and is ignored")
    if state.st_uid != os.geteuid():
        raise Trouble("foreign", f"{path} belongs to another user and is ignored")
    if state.st_mode & _OTHERS_WRITE:
        raise Trouble("foreign", f"other users may write {path}, so it is ignored")


def _unreadable(path: str, error: OSError) -> Trouble:
    if error.errno == errno.ELOOP:
        return Trouble("foreign", f"{path} is a symbolic link and is ignored")
    return Trouble("read", f"{path} cannot be read ({error.strerror})")


def _unwritable(folder: str, error: OSError) -> Trouble:
    if error.errno in _READ_ONLY:
        return Trouble("write", f"{folder} cannot be written ({error.strerror})")
    if error.errno in _FULL:
        return Trouble("full", f"there is no room to write in {folder} ({error.strerror})")
    return Trouble("write", f"cannot write in {folder} ({error.strerror})")


def _pack(key: bytes, data: bytes) -> bytes:
    return _HEADER.pack(MAGIC, key, len(data), _checksum(data)) + data


def _unpack(content: bytes, key: bytes) -> bytes | None:
    """The data, or None where anything is not as it was written."""
    if len(content) < _HEADER.size:
        return None
    magic, owner, length, checksum = _HEADER.unpack_from(content)
    data = content[_HEADER.size :]
    whole = magic == MAGIC and owner == key and length == len(data)
    return data if whole and checksum == _checksum(data) else None


def _checksum(data: bytes) -> bytes:
    import hashlib  # with all of OpenSSL

    return hashlib.sha256(data).digest()


def _read_all(file: int) -> bytes:
    with open(file, "rb", closefd=False) as stream:
        return stream.read()


def _write_all(file: int, content: bytes) -> None:
    with open(file, "wb", buffering=0, closefd=False) as stream:
        view = memoryview(content)
        while view:
            view = view[stream.write(view) or 0 :]


def _touch(file: int) -> None:
    """Note the use; reading times are not kept on many systems. A read-only folder forgoes it."""
    try:
        os.utime(file)
    except OSError:
        return


def _remove(path: str) -> None:
    """Delete a file that may be gone already, or that we may not delete."""
    try:
        os.unlink(path)
    except OSError:
        return
