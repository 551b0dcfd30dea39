"""Replacing folders, locks, names of users, and folders that cannot be written to."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid import files, folders
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, is_about, user_path
from beir_hybrid.folders import locked, put_in_place, replaced_folder
from tests.support.processes import die_at, run

STEPS = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "open", "shutil.rmtree")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def fill(target: Path, text: str, number: int = 3) -> None:
    with replaced_folder(target) as folder:
        for name in range(number):
            (folder / str(name)).write_text(text)


def fill_and_die(target: Path, step: int, how: str) -> None:
    if how == "two renames":
        folders.exchange = lambda one, other: False
    die_at(step, target.parent, *STEPS)
    fill(target, "new", 2)


@pytest.mark.parametrize("how", ["one step", "two renames"])
def test_a_process_killed_at_any_step_leaves_the_old_folder_or_the_new_one(how: str, tmp_path: Path) -> None:
    target = tmp_path / "out" / "tables"
    fill(target, "old")
    old, new = {"0": "old", "1": "old", "2": "old"}, {"0": "new", "1": "new"}
    for step in range(1, 100):
        ended = run(partial(fill_and_die, target, step, how), tmp_path)
        assert ended.status in (0, 9), ended.output
        if how == "two renames":
            with locked(target):  # as whoever writes next does
                pass
        assert contents(target) in (old, new)
        if ended.status == 0:
            break
        fill(target, "old")
        assert [path.name for path in target.parent.iterdir()] == ["tables"]
    assert step > 10


def test_what_a_killed_process_left_goes_and_that_of_a_neighbour_stays(tmp_path: Path) -> None:
    for name in (".run.12345678.tmp", ".run.1.12345678.tmp", ".run.txt"):
        (tmp_path / name).mkdir()
    fill(tmp_path / "run", "text")
    assert {path.name for path in tmp_path.iterdir()} == {"run", ".run.1.12345678.tmp", ".run.txt"}


def test_a_block_that_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    fill(tmp_path / "run", "old", 1)
    with pytest.raises(KeyError), replaced_folder(tmp_path / "run") as folder:
        (folder / "0").write_text("new")
        raise KeyError
    assert contents(tmp_path / "run") == {"0": "old"}
    assert not list(tmp_path.glob("*.tmp"))


def test_a_link_and_the_mode_of_a_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("there")
    fill(tmp_path / "link", "text", 1)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "there") == {"0": "text"}
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o700


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(BeirHybridError, match="it is a file"):
        fill(tmp_path / "run", "text")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_folder_that_cannot_enter_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "run", "old", 1)
    (tmp_path / "new").mkdir()
    rename = os.rename

    def fail_to_enter(source: Path, target: Path) -> None:
        if source == tmp_path / "new":
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(folders, "exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", fail_to_enter)
    with pytest.raises(OSError, match="No space"):
        put_in_place(tmp_path / "new", tmp_path / "run")
    assert contents(tmp_path / "run") == {"0": "old"}


def _fill_many_times(target: Path, text: str) -> None:
    for _ in range(20):
        fill(target, text, 5)


def test_two_processes_never_mix_their_files(tmp_path: Path) -> None:
    target = tmp_path / "tables"
    fill(target, "none", 5)
    processes = [multiprocessing.Process(target=_fill_many_times, args=(target, text)) for text in "ab"]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        try:
            found = [(target / str(number)).read_text() for number in range(5)]
        except FileNotFoundError:  # the folder was replaced between two files
            continue
        assert all(found)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(set(contents(target).values())) == 1 and len(contents(target)) == 5


def _count_up(target: Path, times: int) -> None:
    for _ in range(times):
        with locked(target):
            target.write_text(str(int(target.read_text()) + 1))


def test_no_two_processes_hold_a_lock_though_its_file_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    processes = [multiprocessing.Process(target=_count_up, args=(tmp_path / "count", 200)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "count").read_text() == "800"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def _hold(target: Path, ready: Any) -> None:
    with locked(target):
        ready.set()
        if target.name == "dead":
            os._exit(9)
        time.sleep(60)


@pytest.mark.parametrize("name", ["alive", "dead"])
def test_a_lock_is_that_of_a_living_process(name: str, tmp_path: Path) -> None:
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=_hold, args=(tmp_path / name, ready))
    process.start()
    ready.wait()
    if name == "dead":
        process.join()
        with locked(tmp_path / name, wait=False):
            pass
    else:
        with pytest.raises(BeirHybridError, match="another process is writing"), locked(tmp_path / name, wait=False):
            pass
        process.terminate()
        process.join()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("~nobody-of-that-name/x", "there is no such home folder"),
        ("a\0b", "null byte"),
        ("x" * 5000, "File name too long"),
        ("/".join(["x" * 200] * 25), "File name too long"),
        ("bad-\udcff-utf8", "surrogates not allowed"),
        ("file/below", "Not a directory"),
        ("loop/below", "Too many levels of symbolic links"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_a_name_that_no_file_can_have_is_one_line(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("loop").symlink_to("loop")
    monkeypatch.setenv("BEIR_HYBRID_HOME", name.replace("\0", "\t" * 5000))
    for ask in (lambda: user_path(name, "--out "), files.home if "\0" not in name else lambda: user_path(name)):
        with pytest.raises(BeirHybridError, match=says) as error:
            ask()
        assert "\n" not in str(error.value) and len(str(error.value)) < 400
        str(error.value).encode()


@pytest.mark.parametrize("folder", ["file", "file/below/it", "/proc/no-such", "/proc/no/such"])
def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(BeirHybridError, match=f"^cannot write to {folder}: .*; set BEIR_HYBRID_HOME"):
        check_writable(Path(folder))


def test_looking_whether_a_folder_can_be_written_to_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(BeirHybridError, match=r"No space left on device; name another$"):
        check_writable(tmp_path, hint="name another")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda root: OSError(errno.ENOSPC, "full"), True),
        (lambda root: OSError(errno.EROFS, "read-only"), True),
        (lambda root: PermissionError(errno.EACCES, "no", str(root / "a" / "b")), True),
        (lambda root: FileNotFoundError(errno.ENOENT, "no", "elsewhere", None, str(root)), True),
        (lambda root: PermissionError(errno.EACCES, "no", "/elsewhere"), False),
        (lambda root: PermissionError(errno.EACCES, "no", str(root) + "-and-more"), False),
        (lambda root: ConnectionError("the tracker refused"), False),
        (lambda root: TimeoutError(errno.ETIMEDOUT, "slow"), False),
        (lambda root: OSError(errno.ENETUNREACH, "no network"), False),
        (lambda root: OSError("a tracker's own"), False),
    ],
)
def test_whose_error_it_is(error: Callable[[Path], OSError], expected: bool, tmp_path: Path) -> None:
    assert is_about(error(tmp_path), tmp_path) is expected


@pytest.mark.parametrize(("folder", "hint"), [("home/file/ranks", True), ("out/file/ranks", False)])
def test_another_home_is_advised_for_folders_in_it_only(
    folder: str, hint: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    path = tmp_path / folder
    path.parents[1].mkdir()
    path.parent.touch()
    with pytest.raises(BeirHybridError, match=r"^cannot create the folder") as error, files.atomic_path(path / "file"):
        pass
    assert ("set BEIR_HYBRID_HOME" in str(error.value)) is hint
