"""What a user can get wrong at `beir-hybrid mteb run`: one line, exit code 2, and nothing half-written."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from mteb.cache import ResultCache
from mteb.models.model_implementations import MODEL_REGISTRY

from beir_hybrid import cli
from beir_hybrid.corpora import spec_of
from tests.support.mteb_models import CountingEncoder, meta_of
from tests.support.processes import run as run_forked
from tests.support.specs import publish
from tests.tasks.test_xquad_r import use_small_data

Spoil = Callable[[Path], None]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return use_small_data(tmp_path, monkeypatch)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs the command with a model and gives its one line of error."""

    def run_and_fail(*arguments: str, model: Any = None) -> str:
        def load(name: str, **_: Any) -> Any:
            return model or CountingEncoder()

        meta = meta_of("cli", loader=load)
        monkeypatch.setitem(MODEL_REGISTRY, "tests/cli", meta)
        command = ["mteb", "run", "-m", "tests/cli", "--tasks", "XQuADR", "--output-folder", "results", *arguments]
        monkeypatch.setattr(sys, "argv", ["beir-hybrid", *command])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 2
        *_, line = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: ")
        assert not list(tmp_path.rglob("XQuADR*.json")) and not list(tmp_path.rglob("*.parquet"))
        return line.removeprefix("error: ")

    return run_and_fail


def change(path: Path, edit: Callable[[bytes], bytes]) -> None:
    path.write_bytes(edit(path.read_bytes()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.unlink(), "th.json is missing"),
        (lambda file: change(file, lambda text: text[: len(text) // 2]), "th.json"),
        (lambda file: change(file, lambda text: text.replace(b'"id": "q1"', b'"id": "q0"')), "same id"),
        (lambda file: change(file, lambda text: text.replace(b'"answer_start": 0', b'"answer_start": 9999')), "q0"),
        (
            lambda file: change(file, lambda text: text.replace(b'"sentence_breaks": [[0', b'"sentence_breaks": [[-5')),
            "-5",
        ),
    ],
    ids=["missing", "truncated", "duplicate id", "answer outside", "break outside"],
)
def test_bad_files(spoil: Spoil, message: str, run: Callable[..., str], data: Path) -> None:
    spoil(spec_of("xquad-r").files.path(data, "th"))
    assert message in run()


def test_a_wrong_checksum(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEIR_HYBRID_DATA_UNVERIFIED")
    assert "SHA-256" in run()


def test_no_network_and_no_data(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEIR_HYBRID_DATA")
    publish(monkeypatch, "xquad-r", url="http://127.0.0.1:1/{language}")
    assert "BEIR_HYBRID_DATA" in run()


def test_a_cache_folder_that_cannot_be_written_to(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "file" / "home"))
    assert "set BEIR_HYBRID_HOME" in run()


@pytest.mark.parametrize("code", ["xx", "english", "en"])
def test_an_unknown_language(code: str, run: Callable[..., str]) -> None:
    assert f"unknown language '{code}'" in run("-l", code, "deu")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda embeddings, **_: np.full_like(embeddings, np.nan), "the ar passages cannot be ranked: .* row 0"),
        (lambda embeddings, **_: embeddings[1:], "returned 4"),
    ],
    ids=["nan", "rows"],
)
def test_a_model_that_cannot_be_ranked_by(spoil: Callable[..., Any], message: str, run: Callable[..., str]) -> None:
    assert re.search(message, run(model=CountingEncoder(spoil=spoil)))


def evaluate_and_die(die: bool) -> None:
    def kill(embeddings: Any, hf_subset: str, **_: Any) -> Any:
        if die and hf_subset == "hi-hi":
            os.kill(os.getpid(), signal.SIGKILL)
        return embeddings

    task = mteb.get_task("XQuADR", languages=["eng", "hin"])
    model = CountingEncoder(spoil=kill)
    mteb.evaluate(model, task, cache=ResultCache("results"), co2_tracker=False, show_progress_bar=False)
    print("texts", len(model.texts))


def test_killed_while_encoding_then_the_same_command_again(tmp_path: Path) -> None:
    assert run_forked(partial(evaluate_and_die, True), tmp_path).status == -signal.SIGKILL
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("XQuADR.json"))
    again = run_forked(partial(evaluate_and_die, False), tmp_path)
    assert again.status == 0, again.output
    assert f"texts {2 * 4 + 5 + 6}\n" in again.output
    assert len(list(tmp_path.rglob("*.parquet"))) == len(list(tmp_path.rglob("XQuADR.json"))) == 1
