"""MTEB's results that nobody wrote so, one line in every command; and experiments by their names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from beir_hybrid.cli import app
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.leaderboard.board.model_rows import Run
from beir_hybrid.leaderboard.inputs.settings import Settings
from beir_hybrid.leaderboard.publish import Inputs, make_board
from beir_hybrid.mteb.results import find_results, identity_of
from tests.support.small_ranks import write_ranks

SETTINGS = Settings(flips=200, resamples=100, ask_mteb=False)
REVISION = "0123456789abcdef0123456789abcdef01234567"
DEEP = "[" * 10_000 + "]" * 10_000
SUBSETS = ("de-de", "en-en", "de-en", "en-de")


def entry(subset: str, score: Any = 0.5, **scores: Any) -> dict[str, Any]:
    return {"hf_subset": subset, "languages": ["eng-Latn"], "main_score": score, "map": score, **scores}


def sound(task: str = "XQuADR", score: Any = 0.5) -> dict[str, Any]:
    return {
        "task_name": task,
        "dataset_revision": "d1",
        "mteb_version": "2.26.24",
        "scores": {"test": [entry(subset, score) for subset in SUBSETS]},
        "evaluation_time": 1.0,
        "kg_co2_emissions": None,
    }


def write(folder: Path, content: Any, model: str = "me__small", where: str = REVISION, name: str = "XQuADR") -> Path:
    path = folder / "results" / model / where / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refused(folder: Path) -> str:
    with pytest.raises(BeirHybridError) as caught:
        find_results(folder / "results")
    message = str(caught.value)
    assert message.isprintable() and len(message) < 1000
    return message


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


WRONG: tuple[Any, ...] = (None, 3, 1.5, True, "text", [], [1], {}, {"a": 1}, [[]], [None], ["a"], {"test": None})


def spoilt() -> dict[str, Any]:
    """Make results with a value of another type at every level."""
    found: dict[str, Any] = {}
    for value in WRONG:
        if not isinstance(value, str):
            found[f"task_name {value!r}"] = {**sound(), "task_name": value}
        if not (value is None or isinstance(value, str)):
            found[f"dataset_revision {value!r}"] = {**sound(), "dataset_revision": value}
        if value != {}:
            found[f"scores {value!r}"] = {**sound(), "scores": value}
        if value != []:
            found[f"entries {value!r}"] = {**sound(), "scores": {"test": value}}
        found[f"entry {value!r}"] = {**sound(), "scores": {"test": [entry("en-en"), value]}}
        if value != "text":
            found[f"hf_subset {value!r}"] = {**sound(), "scores": {"test": [entry(value)]}}
    for name in ("../../x", "..", "", "a b", "\x1b[31m", "a\0", "\ud800", "t" * 5000, "＝1+1", "a/b", "\u202ex"):
        found[f"task {name!r:.20}"] = {**sound(), "task_name": name}
    for name in ("", "\x9b31m", "a\nb", "a\0", "\ud800", "s" * 5000):
        found[f"subset {name!r:.20}"] = {**sound(), "scores": {"test": [entry(name)]}}
        found[f"split {name!r:.20}"] = {**sound(), "scores": {name: [entry("en-en")]}}
        found[f"revision {name!r:.20}"] = {**sound(), "dataset_revision": name}
    found["a subset twice"] = {**sound(), "scores": {"test": [entry("en-en"), entry("de-de"), entry("en-en", 0.9)]}}
    text = json.dumps(sound())
    found["a split twice"] = text.replace('"test":', '"test": [], "test":')
    found["scores twice"] = text.replace('"scores":', '"scores": {}, "scores":')
    found["a score twice"] = text.replace('"map":', '"map": 1, "map":', 1)
    found["nested"] = text.replace('"evaluation_time": 1.0', f'"evaluation_time": {DEEP}')
    found["nested scores"] = text.replace('"map": 0.5', f'"map": {DEEP}', 1)
    found["a number of 5,000 digits"] = text.replace('"map": 0.5', '"map": ' + "9" * 5000, 1)
    found["cut"] = text[:-9]
    found["empty"] = ""
    found["nothing but zeros"] = "\0" * 100
    found["nested only"] = DEEP
    return found


SPOILT = spoilt()


@pytest.mark.parametrize("kind", SPOILT)
def test_what_is_no_result(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, SPOILT[kind])
    assert str(path) in refused(tmp_path)


@pytest.mark.parametrize("kind", ["entry None", "a subset twice", "nested", "cut", "task '../../x'"])
@pytest.mark.parametrize("command", ["scores", "bias", "leaderboard --results"])
def test_the_commands_end_in_the_same_line(kind: str, command: str, tmp_path: Path) -> None:
    write(tmp_path, SPOILT[kind], name="XQuADRLanguageBias")
    done = invoke(*command.split(), tmp_path / "results")
    assert isinstance(done.exception, BeirHybridError)
    assert str(done.exception) == refused(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"', "{}", '{"task_name": "XQuADR"}', '{"scores": {}}'])
def test_other_json_files_are_passed_over(content: str, tmp_path: Path) -> None:
    write(tmp_path, content)
    assert find_results(tmp_path / "results") == []
    assert "no result of a BEIR-Hybrid task here" in str(invoke("scores", tmp_path / "results").exception)


NO_NUMBERS = (float("nan"), float("inf"), None, True, "0.5", [], {}, 10**400, -(10**400), 1e300)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(value)[:20])
def test_a_score_that_is_no_number_leaves_out_its_figure_only(value: Any, tmp_path: Path) -> None:
    content = sound()
    content["scores"]["test"][1].update(main_score=value, map=value)
    path = write(tmp_path, content)
    write(tmp_path, sound(score=0.25), "me__other")
    done = invoke("scores", tmp_path / "results")
    assert done.exit_code == 0
    other, small = (line.split() for line in done.stdout.splitlines()[2:])
    assert small == ["me/small", "0123456789ab", "XQuADR", "-", "0.5000", "-", "2", "/", "2", "/", "0"]
    assert other[3:5] == ["0.2500", "0.2500"]
    assert done.stderr == f"me__small/{REVISION}/XQuADR.json: no main score of en-en; evaluate it again\n"
    board = make_board(Inputs(results=tmp_path / "results"), SETTINGS)
    cells = {key: row["cells"] for key, row in board["rows"].items()}
    assert set(cells["me__other"]) == {"XQuADR/monolingual/map", "XQuADR/cross-lingual/map"}
    assert set(cells["me__small"]) == {"XQuADR/cross-lingual/map"}
    assert [note for note in board["notes"] if "map of the subset en-en in" in note and "not a number" in note]
    assert path.exists()


def test_results_without_a_main_score(tmp_path: Path) -> None:
    content = sound()
    for scores in content["scores"]["test"]:
        del scores["main_score"]
    write(tmp_path, content)
    done = invoke("scores", tmp_path / "results")
    assert done.exit_code == 0 and done.stdout.splitlines()[2].split()[3:6] == ["-", "-", "-"]
    assert "no main score of de-de, en-en, de-en, en-de" in done.stderr
    other = {**content, "task_name": "Other", "scores": {"test": [{"hf_subset": "default", "ndcg_at_10": 0.5}]}}
    write(tmp_path, other, name="Other")
    notes = make_board(Inputs(results=tmp_path / "results"), SETTINGS)["notes"]
    assert [note for note in notes if "Other/all/main_score: main_score of the subset default in" in note]


def test_a_byte_order_mark_is_allowed(tmp_path: Path) -> None:
    path = write(tmp_path, sound())
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert invoke("scores", path).exit_code == 0


@pytest.mark.parametrize("meta", [[], 3, "text", {"name": 3}, {"name": "a\x1b"}, {"revision": []}, {"name": "m" * 400}])
def test_a_model_that_is_not_named(meta: Any, tmp_path: Path) -> None:
    path = write(tmp_path, sound())
    path.with_name("model_meta.json").write_text(json.dumps(meta), encoding="utf-8")
    assert str(path.parent) in refused(tmp_path)


def test_a_bias_result_of_an_older_version_lacks_a_figure(tmp_path: Path) -> None:
    scores = {"test": [{"hf_subset": "all", "main_score": 1, "rank_distance": 12.5, "language_fairness": None}]}
    write(tmp_path, {**sound("XQuADRLanguageBias"), "scores": scores}, name="XQuADRLanguageBias")
    done = invoke("bias", tmp_path / "results")
    assert done.exit_code == 0
    lines = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if "  " in line}
    assert lines["rank_distance"] == "12.5000"
    assert lines["language_fairness"] == lines["strong_alignment"] == "-"


@pytest.mark.parametrize("name", ["/dev/zero", "fifo", "missing", "x" * 5000, "loop"])
@pytest.mark.parametrize("command", ["scores", "bias", "leaderboard --results", "leaderboard --predictions"])
def test_what_is_no_regular_file(command: str, name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    path = name if name.startswith("/") else f"{tmp_path}/{name}"
    done = invoke(*command.split(), path, *(["--out", tmp_path / "out"] if "leaderboard" in command else []))
    assert isinstance(done.exception, BeirHybridError)
    assert str(done.exception).isprintable()
    assert not (tmp_path / "out").exists()


def test_pipes_below_a_folder_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, sound())
    os.mkfifo(tmp_path / "results" / "XQuADR.json")
    (tmp_path / "results" / "a.json").symlink_to("/dev/zero")
    assert len(find_results(tmp_path / "results")) == 1


EXPERIMENTS = {"": 0.75, "/experiments/output_dtypes_int8": 0.5, "/experiments/embed_dim_64": 0.25}


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """Results of a model and of two experiments with it, as MTEB lays them."""
    for where, score in EXPERIMENTS.items():
        path = write(tmp_path, sound(score=score), where=f"{REVISION}{where}")
        meta = {"name": "me/small", "revision": REVISION, "experiment_kwargs": {"a": 1} if where else None}
        path.with_name("model_meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return tmp_path


def test_experiments_in_scores(experiments: Path) -> None:
    done = invoke("scores", experiments / "results")
    lines = [line.split()[:4] for line in done.stdout.splitlines()[2:]]
    assert sorted(lines) == [
        ["me/small", "0123456789ab", "XQuADR", "0.7500"],
        ["me/small", "0123456789ab/embed_dim_64", "XQuADR", "0.2500"],
        ["me/small", "0123456789ab/output_dtypes_int8", "XQuADR", "0.5000"],
    ]


def test_experiments_are_rows_that_can_be_told_apart(experiments: Path) -> None:
    board = make_board(Inputs(results=experiments / "results"), SETTINGS)
    labels = [row["label"] for row in board["rows"].values()]
    assert labels == [
        "me/small (0123456789ab)",
        "me/small (0123456789ab/embed_dim_64)",
        "me/small (0123456789ab/output_dtypes_int8)",
    ]
    with pytest.raises(BeirHybridError, match="names 3 rows; write name@revision: ") as caught:
        make_board(Inputs(results=experiments / "results"), SETTINGS.with_options(["me/small"], False))
    hints = str(caught.value).partition("revision: ")[2].split(", ")
    for hint, label in zip(hints, labels, strict=True):
        board = make_board(Inputs(results=experiments / "results"), SETTINGS.with_options([hint], False))
        assert [one["label"] for one in board["baselines"]] == [label]


def test_an_experiment_is_one_row_however_it_is_known(experiments: Path) -> None:
    write_ranks(experiments, "me/small", 0.5, model_revision=f"{REVISION}/embed_dim_64", dataset_revision="d1")
    board = make_board(Inputs(experiments / "ranks", experiments / "results"), SETTINGS)
    assert len(board["rows"]) == 3


def test_a_part_of_a_revision_names_it() -> None:
    run = Run("me/small", REVISION, {}, {})
    assert all(run.matches(name) for name in ("me/small", "me/*", f"me/small@{REVISION}", "me/small@0123456"))
    assert not any(
        run.matches(name) for name in ("me/small@012345", "me/small@1234567", "me/small@", "me/other@0123456")
    )
    other = Run("me/small", f"{REVISION}/exp", {}, {})
    assert other.matches("me/small@0123456/exp") and not other.matches("me/small@0123456")
    assert not run.matches("me/small@0123456/exp")


def test_revisions_that_begin_alike_have_labels_of_their_own(tmp_path: Path) -> None:
    for end in "ab":
        write(tmp_path, sound(), where=REVISION[:-1] + end)
    labels = [row["label"] for row in make_board(Inputs(results=tmp_path / "results"), SETTINGS)["rows"].values()]
    assert labels == [f"me/small ({REVISION[:-1]}{end})" for end in "ab"]


def test_identity_without_metadata_is_that_of_the_folders(tmp_path: Path) -> None:
    path = tmp_path / "org__name" / "rev" / "experiments" / "exp" / "T.json"
    assert identity_of(path) == ("org/name", "rev/exp")
    assert identity_of(path, {"name": "a/b", "revision": "c", "loader": {}}) == ("a/b", "c/exp")
