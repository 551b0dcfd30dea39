"""How the command line ends: in one line and with 2 where a user can mend it; 1 is a verdict only, 70 a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from beir_hybrid.cli import main

MAIN = "import sys; from beir_hybrid import cli; sys.argv = ['beir-hybrid', *sys.argv[1:]]; cli.main()"
FAIL = (
    "import sys; from beir_hybrid import cli; from beir_hybrid.cli import data; {}; "
    "sys.argv = ['beir-hybrid', 'data', 'list']; cli.main()"
)


def ended(code: str, *arguments: str, stdout: Any = subprocess.PIPE, **environment: str) -> tuple[int, str, str]:
    """Run code in a process and return its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        check=False,
    )
    return done.returncode, (done.stdout or b"").decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_output_in_any_encoding_is_no_crash(encoding: str) -> None:
    code, out, error = ended(
        FAIL.format("data.text_table = lambda *_, **__: '\\u2191 \\u2020 \\u0645 \\udcff'"),
        PYTHONIOENCODING=encoding,
    )
    assert (code, error) == (0, "")
    assert out.count("?") >= (1 if encoding == "utf-8" else 3)


def test_help_in_ascii() -> None:
    code, out, error = ended(MAIN, "quickstart", "--help", PYTHONIOENCODING="ascii")
    assert (code, error) == (0, "")
    assert "--out" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        code, _, error = ended(MAIN, "data", "list", stdout=full)
    assert code == 2
    assert error.startswith("error: ") and "No space left on device" in error and error.count("\n") == 1


def test_a_closed_pipe_is_one_line_and_no_verdict() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, _, error = ended(MAIN, "data", "list", stdout=writing)
    os.close(writing)
    assert code == 2
    assert error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("failure", "ends_with", "says"),
    [
        ("OSError(5, 'no input', 'somewhere')", 2, "error: OSError: [Errno 5] no input: 'somewhere'"),
        ("UnicodeEncodeError('ascii', 'x', 0, 1, 'no')", 2, "error: UnicodeEncodeError: 'ascii' codec"),
        ("KeyError('a mistake of ours')", 70, "KeyError: 'a mistake of ours'"),
        ("EOFError('a mistake of ours')", 70, "EOFError: a mistake of ours"),
        ("MemoryError('a mistake of ours')", 70, "MemoryError: a mistake of ours"),
    ],
)
def test_whatever_nobody_caught_is_no_verdict(failure: str, ends_with: int, says: str) -> None:
    code, _, error = ended(FAIL.format(f"data.text_table = lambda *_, **__: (_ for _ in ()).throw({failure})"))
    assert code == ends_with
    assert says in error
    assert ("Traceback" in error) == ("mistake" in failure)


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("beir_hybrid.overlap.outcome.compare", ("overlap", "--train", "atlas", "--eval", "AtlasR")),
        ("beir_hybrid.interface.runs.load_run", ("compare", "one", "other", "--no-worse-than", "0.01")),
    ],
)
@pytest.mark.parametrize("failure", [RuntimeError, AssertionError, ImportError, EOFError, RecursionError])
def test_a_command_with_a_verdict_never_crashes_into_one(
    place: str, arguments: tuple[str, ...], failure: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure("a mistake of ours")

    monkeypatch.setattr(place, fail)
    monkeypatch.setattr(sys, "argv", ["beir-hybrid", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 70


NAMES = ("~nobody-of-that-name/x", "/dev/null/x", "x" * 5000)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "atlas-r", "--out"),
        ("leaderboard", "--ranks", ".", "--out"),
        ("quickstart", "--out"),
        ("study", "--preset", "offline", "--out"),
        ("study", "--preset", "offline", "--page"),
        ("train", "--base", "offline", "--data", "atlas", "--output"),
        ("bias", ".", "--plot"),
        ("interleave", ".", "--out"),
        ("overlap", "--train", "atlas", "--eval", "AtlasR", "--json"),
        ("compare", ".", ".", "--json"),
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_to_is_one_line(
    arguments: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", ["beir-hybrid", *arguments, name])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and name[:20] in line and len(line) < 500


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:20])
@pytest.mark.parametrize("variable", ["BEIR_HYBRID_HOME", "BEIR_HYBRID_DATA"])
def test_a_home_that_cannot_be_is_one_line(
    variable: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BEIR_HYBRID_DATA", raising=False)
    monkeypatch.setenv(variable, name)
    monkeypatch.setattr(sys, "argv", ["beir-hybrid", "data", "fetch", "xquad-r"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and name[:9] in line
