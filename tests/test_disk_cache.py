"""The cache on disk: what comes back is what went in, or nothing, whatever happens to the files."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnp.runtime import cache_environment, disk_cache
from xnp.runtime.cache_files import CacheFiles, Trouble
from xnp.runtime.compile import is_available
from xnp.runtime.disk_cache import environment_key, parse_size

NOBODY = 65534
DAY = 24 * 3600


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_cache, "_warned", set())
    disk_cache._files_of.cache_clear()
    monkeypatch.delenv("XNP_CACHE_SIZE", raising=False)
    monkeypatch.setenv("XNP_CACHE_DIR", str(tmp_path / "cache"))
    disk_cache.clear()
    return tmp_path / "cache"


def run_python(code, *arguments, **keywords):
    """Run `code` in a new interpreter; what it prints. Its warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,  # the assertion shows what it printed
        timeout=120,
        **keywords,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def entries(folder):
    return sorted(folder.glob("*.bin"))


def partial_files(folder):
    return sorted(folder.glob("*.tmp"))


def test_what_was_put_comes_back(folder):
    assert disk_cache.get("key") is None
    disk_cache.put("key", b"data")
    assert disk_cache.get("key") == b"data"
    disk_cache.put("key", b"other")
    assert disk_cache.get("key") == b"other"
    info = disk_cache.info()
    assert (info.path, info.files, info.hits, info.misses) == (str(folder), 1, 2, 1)
    assert info.bytes == entries(folder)[0].stat().st_size
    assert info.limit == 10**9


@given(contents=st.dictionaries(st.binary() | st.text(), st.binary(max_size=300), max_size=6))
@settings(max_examples=25)
def test_any_keys_and_data(tmp_path_factory, contents):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XNP_CACHE_DIR", str(tmp_path_factory.mktemp("any")))
        for key, data in contents.items():
            disk_cache.put(key, data)
        assert {key: disk_cache.get(key) for key in contents} == contents


def test_entries_of_another_environment_are_not_found(folder):
    disk_cache.put("key", b"for this", environment_key("znver5", "+avx512f"))
    assert disk_cache.get("key", environment_key("znver5", "+avx2")) is None
    assert disk_cache.get("key") is None
    assert disk_cache.get("key", environment_key("znver5", "+avx512f")) == b"for this"


def test_the_environment_names_all_versions_and_is_the_same_in_every_process():
    import llvmlite
    import numpy

    code = (
        "from xnp.runtime.disk_cache import environment_key as e; import sys;"
        "print(e('cpu').hex(), 'mlir' in sys.modules)"
    )
    key, loads_mlir = run_python(code).split()
    assert numpy.__version__.encode() in bytes.fromhex(key)
    assert f"llvmlite-{llvmlite.__version__}".encode() in bytes.fromhex(key)
    assert loads_mlir == "False"
    assert run_python(code).split() == [key, "False"]


def test_code_that_was_edited_since_it_was_loaded_shares_no_entries(monkeypatch):
    cache_environment._own_sources.cache_clear()
    sources = cache_environment._own_sources()
    monkeypatch.setattr(cache_environment, "_IMPORT_TIME", 0.0)
    cache_environment._own_sources.cache_clear()
    *same, own = cache_environment._own_sources()
    assert own not in sources
    assert set(same) <= set(sources)
    cache_environment._own_sources.cache_clear()


@pytest.mark.parametrize("value", ["", "off", "OFF"])
def test_it_can_be_turned_off(folder, monkeypatch, value):
    monkeypatch.setenv("XNP_CACHE_DIR", value)
    disk_cache.put("key", b"data")
    assert disk_cache.get("key") is None
    assert disk_cache.info()[:3] == (None, 0, 0)
    disk_cache.clear()


def test_where_the_folder_is(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("XNP_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert disk_cache.info().path == str(tmp_path / "xdg" / "xnp")
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert disk_cache.info().path == str(tmp_path / ".cache" / "xnp")
    disk_cache.put("key", b"data")
    assert disk_cache.get("key") == b"data"


def test_a_home_that_does_not_exist_is_not_made(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("XNP_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    with pytest.warns(RuntimeWarning, match="home directory .* does not exist"):
        disk_cache.put("key", b"data")
    assert disk_cache.get("key") is None  # and no second warning
    assert disk_cache.info().path is None
    assert not (tmp_path / "nowhere").exists()


IN_A_DELETED_DIRECTORY = """
import os, sys, warnings
import numpy, xnp
from xnp.runtime.compile import Compiled

os.mkdir(sys.argv[1])
os.chdir(sys.argv[1])
os.rmdir(sys.argv[1])
os.environ["XNP_CACHE_DIR"] = "kept"
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    f = xnp.jit(lambda x: numpy.sin(x).sum())
    assert f(numpy.zeros(3)) == 0.0
    assert f(numpy.zeros((3, 3))) == 0.0
    assert xnp.cache.info().path is None
    xnp.cache.clear()
assert all(type(e.executable) is Compiled for entries in f._entries.values() for e in entries)
print(*[one.message for one in found])
"""


@pytest.mark.skipif(not is_available(), reason="there is no compiler here")
def test_a_relative_folder_in_a_directory_that_was_deleted(folder, tmp_path):
    """One warning; nothing is kept, and everything is compiled."""
    printed = run_python(IN_A_DELETED_DIRECTORY, tmp_path / "gone")
    assert printed.startswith(
        "compile cache: XNP_CACHE_DIR is 'kept', and the working directory was deleted. Nothing is"
    )
    assert printed.count("compile cache") == 1


def test_nobody_else_may_read_or_write(folder):
    before = os.umask(0)
    try:
        disk_cache.put("key", b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entries(folder)[0].stat().st_mode) == 0o600


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), how=st.sampled_from("fte"))
@settings(max_examples=60)
def test_a_damaged_file_is_a_miss_and_deleted(tmp_path_factory, where, bit, how):
    """A flipped bit, a lost end, something appended."""
    files = CacheFiles(str(tmp_path_factory.mktemp("damage") / "x"), 10**6)
    key = bytes(range(32))
    files.write(key, b"some data")
    path = Path(files._path(key))
    content = bytearray(path.read_bytes())
    position = int(where * len(content))
    if how == "f":
        content[position] ^= 1 << bit
    elif how == "t":
        del content[position:]
    else:
        content += b"x" * (position + 1)
    path.write_bytes(content)
    with pytest.raises(Trouble, match="was damaged and has been deleted"):
        files.read(key)
    assert files.read(key) is None
    files.write(key, b"again")
    assert files.read(key) == b"again"


def test_damage_is_told_once(folder):
    for key in ("one", "two"):
        disk_cache.put(key, b"data")
    for path in entries(folder):
        path.write_bytes(b"")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert disk_cache.get("one") is None
        assert disk_cache.get("two") is None
    (one,) = caught
    assert one.category is RuntimeWarning
    assert "was damaged" in str(one.message)
    assert one.filename == __file__


def test_an_entry_moved_to_another_key_is_not_believed(folder):
    disk_cache.put("mine", b"data")
    (mine,) = entries(folder)
    disk_cache.put("yours", b"other")
    (yours,) = set(entries(folder)) - {mine}
    os.replace(mine, yours)
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert disk_cache.get("yours") is None


def link(path):
    os.rename(path, path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def directory(path):
    path.unlink()
    path.mkdir()


FOREIGN = {
    "a symbolic link": link,
    "no regular file": pipe,
    "is no regular file": directory,
    "other users may write": lambda path: path.chmod(0o620),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_ignored_and_left_alone(folder, change, request):
    disk_cache.put("key", b"data")
    (path,) = entries(folder)
    change(path)
    with pytest.warns(RuntimeWarning, match=request.node.callspec.id):
        assert disk_cache.get("key") is None
    assert disk_cache.get("key") is None
    assert os.path.lexists(path)


def test_a_foreign_file_is_replaced_by_what_is_put(folder):
    disk_cache.put("key", b"data")
    (path,) = entries(folder)
    link(path)
    disk_cache.put("key", b"new")
    assert disk_cache.get("key") == b"new"
    assert not path.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="waits for root: only root can give files away")
@pytest.mark.parametrize("whose", ["file", "folder"])
def test_another_owner_is_not_trusted(folder, whose):
    disk_cache.put("key", b"data")
    os.chown(entries(folder)[0] if whose == "file" else folder, NOBODY, -1)
    with pytest.warns(RuntimeWarning, match="belongs to another user"):
        assert disk_cache.get("key") is None


def test_a_folder_that_others_may_write_is_not_used(folder):
    disk_cache.put("key", b"data")
    folder.chmod(0o770)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert disk_cache.get("key") is None
        disk_cache.put("new", b"data")
    (one,) = caught
    assert "other users may write in the folder" in str(one.message)
    assert len(entries(folder)) == 1


AS_A_PLAIN_USER = """
import os, sys, warnings
from xnp.runtime import disk_cache
folder = os.environ["XNP_CACHE_DIR"]
disk_cache.put("old", b"data")
if os.geteuid() == 0:
    for path in (folder, *(entry.path for entry in os.scandir(folder))):
        os.chown(path, 65534, -1)
    os.setuid(65534)
os.chmod(folder, 0o500)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert disk_cache.get("old") == b"data"
    disk_cache.put("new", b"data")
    disk_cache.put("newer", b"data")
    assert disk_cache.get("new") is None
    disk_cache.clear()
    assert disk_cache.get("old") == b"data"
    print(*(str(one.message).split(". ")[0] for one in caught))
"""


def test_a_read_only_folder_is_read(folder, tmp_path):
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path.stat().st_mode & 0o011 == 0:
            path.chmod(0o711)  # pytest's folders are closed to the user the program becomes
    printed = run_python(AS_A_PLAIN_USER)
    assert printed == f"compile cache: {folder} cannot be written (Permission denied)\n"


def test_a_folder_that_cannot_be_made(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("a user's own")
    monkeypatch.setenv("XNP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        disk_cache.put("key", b"data")
        disk_cache.put("key", b"data")
        assert disk_cache.get("key") is None
    assert 1 <= len(caught) <= 2
    assert (tmp_path / "file").read_text() == "a user's own"


FULL_DISK = """
import resource, sys, warnings
from xnp.runtime import disk_cache
if sys.argv[1] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
disk_cache.put("small", b"data")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    disk_cache.put("large", bytes(100_000))
    disk_cache.put("larger", bytes(200_000))
    assert disk_cache.get("large") is None
assert disk_cache.get("small") == b"data"
disk_cache.put("another", b"data")
assert disk_cache.get("another") == b"data"
(one,) = caught
print(str(one.message).split(" in ")[0])
"""


def test_a_file_that_may_not_grow_leaves_nothing_behind(folder):
    assert run_python(FULL_DISK, "limit") == "compile cache: there is no room to write\n"
    assert len(entries(folder)) == 2
    assert not partial_files(folder)


def test_a_full_disk_leaves_nothing_behind(folder):
    """A disk of 64 kB, mounted where only this test's processes see it."""
    folder.mkdir(mode=0o700)
    mount = ["unshare", "--mount", "sh", "-c"]
    script = 'mount -t tmpfs -o size=64k,mode=700 xnp "$XNP_CACHE_DIR" && '
    tried = subprocess.run([*mount, script + "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("waits for the right to mount a disk")
    script += '"$0" -W error -c "$1" full && ls "$XNP_CACHE_DIR"'
    done = subprocess.run(
        [*mount, script, sys.executable, FULL_DISK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, *names = done.stdout.split("\n")
    assert said == "compile cache: there is no room to write"
    assert [name[-4:] for name in names] == [".bin", ".bin", ""]


WRITER = """
import itertools, sys
from xnp.runtime import disk_cache
print("ready", flush=True)
for i in itertools.count():
    disk_cache.put(str(i % 4), bytes([i % 4]) * 2_000_000)
"""


def test_a_writer_killed_at_any_time_leaves_no_wrong_entry(folder):
    for delay in (0.0, 0.003, 0.01, 0.02, 0.033):
        with subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
        for i in range(4):  # a warning of damage would be an error
            assert disk_cache.get(str(i)) in (None, bytes([i]) * 2_000_000)


def test_abandoned_files_are_swept_after_a_day(folder):
    disk_cache.put("key", b"data")
    (path,) = entries(folder)
    fresh, stale = (path.with_name(f"{path.name}.{pid}.ab.tmp") for pid in (1, 2))
    for partial, age in ((fresh, DAY / 2), (stale, 2 * DAY)):
        partial.write_bytes(b"half")
        os.utime(partial, (time.time() - age,) * 2)
    disk_cache._files_of.cache_clear()  # as a new process
    disk_cache.put("other", b"data")
    assert partial_files(folder) == [fresh]
    disk_cache.clear()
    assert not list(folder.iterdir())


def test_files_that_are_not_the_caches_are_left_alone(folder):
    disk_cache.put("key", b"data")
    for name in ("notes.txt", "data.bin", "x.tmp"):
        (folder / name).write_text("mine")
    disk_cache.clear()
    assert sorted(path.name for path in folder.iterdir()) == ["data.bin", "notes.txt", "x.tmp"]
    assert disk_cache.info().files == 0


def test_what_was_unused_longest_goes_first(folder, monkeypatch):
    monkeypatch.setenv("XNP_CACHE_SIZE", "100k")
    for i in range(9):
        disk_cache.put(str(i), bytes(10_000))
        (newest,) = set(entries(folder)) - {path for path in entries(folder) if is_old(path)}
        os.utime(newest, (1000 + i, 1000 + i))
    assert disk_cache.get("0") is not None  # used now, so 1 is the oldest
    for i in range(9, 11):
        disk_cache.put(str(i), bytes(10_000))
    kept = {i for i in range(11) if disk_cache.get(str(i)) is not None}
    assert {0, 9, 10} <= kept
    assert not {1} & kept
    assert kept - {0} == set(range(min(kept - {0}), 11))
    assert disk_cache.info().bytes <= 100_000


def is_old(path):
    return path.stat().st_mtime < 10**6


def test_the_bound_holds_over_many_writes_and_processes(folder, monkeypatch):
    monkeypatch.setenv("XNP_CACHE_SIZE", "200k")
    code = (
        "from xnp.runtime import disk_cache as c\n"
        "import sys\n"
        "for i in range(60): c.put(sys.argv[1] + str(i), bytes(10_000))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, name]) for name in ("a", "b")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    # A writer alone keeps to the bound; two may each overlook what the other wrote meanwhile.
    assert disk_cache.info().bytes <= 200_000 * (1 + 2 / 16) + 2 * 10_080
    disk_cache.put("last", bytes(10_000))
    assert disk_cache.info().bytes <= 200_000


def test_what_is_larger_than_the_bound_is_not_kept(folder, monkeypatch):
    disk_cache.put("key", b"data")
    monkeypatch.setenv("XNP_CACHE_SIZE", "1k")
    disk_cache.put("large", bytes(1000))
    assert disk_cache.get("large") is None
    assert disk_cache.get("key") == b"data"
    monkeypatch.setenv("XNP_CACHE_SIZE", "0")
    disk_cache.put("any", b"")
    assert disk_cache.get("any") is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("1k", 1000), ("1.5 MB", 1_500_000), (" 2gb ", 2 * 10**9), ("1T", 10**12)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "many", "-1", "1X", "inf", "nan", "K", "1e400"])
def test_what_is_no_size_is_ignored_with_a_warning(folder, monkeypatch, text):
    monkeypatch.setenv("XNP_CACHE_SIZE", text)
    with pytest.warns(RuntimeWarning, match="XNP_CACHE_SIZE is .* 1GB is used"):
        assert disk_cache.info().limit == 10**9


def test_a_folder_deleted_meanwhile_is_made_again(folder):
    disk_cache.put("key", b"data")
    for path in entries(folder):
        path.unlink()
    folder.rmdir()
    assert disk_cache.get("key") is None
    assert disk_cache.info().files == 0
    disk_cache.put("key", b"data")
    assert disk_cache.get("key") == b"data"


BUSY = """
import sys, threading
from xnp.runtime import disk_cache
def work(own):
    for i in range(60):
        key = str(i % 5)
        found = disk_cache.get(key)
        assert found is None or found[1:] == key.encode() * 50_000, key
        disk_cache.put(key, own + key.encode() * 50_000)
        if i % 20 == 19:
            disk_cache.clear()
    done.append(own)
done = []
threads = [threading.Thread(target=work, args=(own,)) for own in (b"a", b"b", b"c")]
for one in threads: one.start()
for one in threads: one.join()
assert len(done) == 3
"""


def test_processes_and_threads_at_once(folder):
    command = [sys.executable, "-W", "error", "-c", BUSY]
    several = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for one in several:
        _, errors = one.communicate(timeout=120)
        assert (one.returncode, errors) == (0, "")
    assert not partial_files(folder)


FORKED = """
import os
from xnp.runtime import disk_cache
disk_cache.put("key", b"data")
with disk_cache._lock, disk_cache._files()._lock:  # as if other threads were at it
    child = os.fork()
    if child == 0:
        disk_cache.put("child", b"data")
        os._exit(0 if disk_cache.get("key") == b"data" else 1)
print(os.waitpid(child, 0)[1], disk_cache.get("child"))
"""


def test_a_fork_while_another_thread_is_at_it(folder):
    assert run_python(FORKED) == "0 b'data'\n"


def test_counts_of_many_threads(folder):
    disk_cache.put("key", b"data")
    several = [
        threading.Thread(target=lambda: [disk_cache.get("key") for _ in range(50)])
        for _ in range(4)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert disk_cache.info().hits == 200
