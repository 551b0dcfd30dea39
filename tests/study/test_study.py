"""`beir-hybrid study`: the file, held-out data, heads, resuming, and the report."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mteb
import numpy as np
import pytest
from mteb.cache import ResultCache
from safetensors.numpy import load_file
from sentence_transformers.sentence_transformer.modules import Dense
from typer.testing import CliRunner

from beir_hybrid.cli import app
from beir_hybrid.corpora import load
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.finetune.head import head_model, with_head
from beir_hybrid.finetune.recipe import make_recipe
from beir_hybrid.finetune.train import RunOptions, train
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.inputs.published_figures import PublishedFigures
from beir_hybrid.leaderboard.stats.rank_ranges import rank_ranges
from beir_hybrid.leaderboard.stats.significance import Comparison
from beir_hybrid.models.base import find_base
from beir_hybrid.ranks import rank_table
from beir_hybrid.study import run as run_module
from beir_hybrid.study.batches import Batches, batches_of
from beir_hybrid.study.definition import (
    PRESETS,
    Experiment,
    Settings,
    Start,
    Study,
    StudyBase,
    System,
    preset_path,
    read_study,
    selection_system,
)
from beir_hybrid.study.head_bench import HeadBench
from beir_hybrid.study.held_out import held_out_corpus, held_out_rows, split
from beir_hybrid.study.lab import Lab
from beir_hybrid.study.ledger import Ledger
from beir_hybrid.study.paper.claims import (
    CANNOT_BE_TOLD,
    EQUIVALENT,
    NOT_SUPPORTED,
    SUPPORTED,
    Contrast,
    Part,
    Side,
    verdict,
)
from beir_hybrid.study.paper.outputs import write_pages, write_report
from beir_hybrid.study.paper.scores import StudyScores, evaluated_scores
from beir_hybrid.study.paper.study_page import write_page
from beir_hybrid.study.paper.summary import judge, summarise
from beir_hybrid.study.paper.sweep_plot import sweep_lines
from beir_hybrid.study.run import make_plan, run_study
from beir_hybrid.study.trials import ModelName, evaluate, evaluate_stored, wrapped
from beir_hybrid.subsets import SETTINGS
from beir_hybrid.tasks import XQuADR
from beir_hybrid.training.pairs import read_source
from tests.support.small_models import save_labse, save_xlm_r
from tests.tasks.test_xquad_r import use_small_data

COLUMNS = board_columns()

RECIPE: dict[str, Any] = {
    "data": ("mlqa-r",),
    "languages": ("en", "de"),
    "batch_size": 2,
    "steps": 4,
    "learning_rate": 0.01,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labse(tmp_path_factory.mktemp("bases") / "labse")


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield use_small_data(tmp_path_factory.mktemp("small"), patch)


SYSTEMS = ("X-X", "X-Y", "hybrid-0.25", "hybrid-0.5")
STARTS = ("identity", "map")


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sentences that maps are fitted on."""
    folder = tmp_path_factory.mktemp("sentences")
    for language in ("en", "de"):
        lines = [f"{language} sentence {n % 5} question {n % 4}." * (1 + n % 3) for n in range(20)]
        (folder / f"{language}.txt").write_text("\n".join(lines) + "\n")
    return folder


def study_of(base: Path, sentences: Path | None = None, systems: tuple[str, ...] = SYSTEMS, **changes: Any) -> Study:
    """Return a tiny study; from the identity alone without ``sentences``."""
    settings: dict[str, Any] = {
        "name": "tiny",
        "model": str(base),
        "tune": "head",
        "steps": 3,
        "batch_size": 2,
        "learning_rates": (0.001, 0.01),
        "temperatures": (0.05,),
        "interpolations": (0.5, 1.0),
        "seeds": (0, 1),
        "starts": STARTS[: 1 if sentences is None else 2],
    }
    tiny = StudyBase(**{**settings, **changes})
    starts = () if sentences is None else (Start("map", data=str(sentences), sentences=10),)
    experiment = Experiment("to-mlqa-r", ("xquad-r",), ("MLQAR",), systems, ("en", "de"))
    return Study("tiny", (tiny,), (experiment,), starts, anchors=("untuned",))


@pytest.fixture(scope="module")
def done(base: Path, sentences: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    study, out = study_of(base, sentences), tmp_path_factory.mktemp("study") / "out"
    run_study(study, out, quiet=True)
    return study, out


def items(out: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in (out / "items").rglob("*.json")]
    return {entry["id"]: entry for entry in found}


def results(out: Path) -> dict[str, Any]:
    return {name: entry["result"] for name, entry in items(out).items()}


# The file


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_read(name: str) -> None:
    study = read_study(preset_path(name))
    assert {experiment.name for experiment in study.experiments} >= {"mlqa-r", "xquad-r", "ntrex-next"}
    assert {start for base in study.bases for start in base.starts} == {"identity", "projection"}
    labels = {system.label for pairing in study.pairings() for system in study.systems(*pairing)}
    assert labels >= {"X-X", "X-Y", "hybrid-0.5", "mixed", "X-Y-pair", "hybrid-pair-0.5", "hybrid-0.25"}


def test_a_preset_that_is_not_there_is_named() -> None:
    with pytest.raises(BeirHybridError, match="--preset fast: choose from offline, paper"):
        preset_path("fast")


TOML = """
[study]
name = "s"
[[base]]
name = "b"
model = "offline"
tune = "head"
steps = 10
learning_rates = [1e-4]
temperatures = [0.05]
[[experiment]]
name = "e"
train = ["mlqa-r"]
tasks = ["XQuADR"]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[study]", "[stdy]", "unknown key 'stdy'; did you mean study"),
        ('name = "s"', 'nme = "s"', r"\[study\]: unknown key 'nme'; did you mean name"),
        ('model = "offline"\n', "", r"\[\[base\]\] 1: the field 'model' is missing"),
        ("steps = 10", 'steps = "ten"', r"\[\[base\]\] 1: steps is 'ten', not a whole number"),
        ("[1e-4]", "1e-4", "learning_rates is 0.0001, not a list"),
        ("[1e-4]", '["fast"]', r"learning_rates\[0\] is 'fast', not a number"),
        ("[1e-4]", "[]", "learning_rates is"),
        ("[1e-4]", "[-1.0]", "learning-rate -1.0"),
        ("steps = 10", "steps = 10\nepochs = 2.0", "not both"),
        ("XQuADR", "XQuAD", "unknown task 'XQuAD'; known are XQuADR, MLQAR"),
        ('["mlqa-r"]', '["xquad-r"]', "XQuADR tests on xquad-r, which it trains on"),
        ('tasks = ["XQuADR"]', 'tasks = ["XQuADR"]\nbases = ["c"]', r"no \[\[base\]\] 'c'"),
        ('tasks = ["XQuADR"]', 'tasks = ["XQuADR"]\nsystems = ["Y-X"]', "'Y-X' is no system; there is X-X, X-Y,"),
        ("steps = 10", 'steps = 10\nstarts = ["map"]', r"base b: there is no \[\[start\]\] 'map'"),
        ("[[base]]", '[[start]]\nname = "identity"\n[[base]]', r"\[\[start\]\] identity: .* choose another name"),
        ("[[base]]", '[[start]]\nname = "m"\nmethod = "lir"\n[[base]]', "'lir' needs the language of each text"),
        ("steps = 10", "steps = 10\ninterpolations = [1.5]", "interpolation 1.5"),
        ('name = "e"', 'name = "a/b"', "may hold letters"),
        (
            'name = "s"',
            'name = "s"\nanchors = ["tfidf"]',
            r"anchors\[0\] is 'tfidf': input should be 'bm25' or 'untuned'",
        ),
        ('name = "s"', 'name = "s"\nheld_out = 1.5', "held_out is 1.5"),
        ("[[base]]", "[[base]", "is not a TOML file"),
    ],
)
def test_a_wrong_file_is_one_line(old: str, new: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    assert old in TOML
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(BeirHybridError, match=says) as error:
        read_study(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_systems_and_what_their_settings_are_chosen_with(base: Path, sentences: Path) -> None:
    study = study_of(base, sentences, ("X-X", "X-Y-pair", "hybrid-0.1", "hybrid-pair-0.9", "mixed", "X-Y+neg"))
    [(experiment, tiny)] = study.pairings()
    systems = study.systems(experiment, tiny)
    assert [system.key for system in systems[:4]] == [
        f"to-mlqa-r_tiny_{start}_{label}" for label in ("X-X", "X-Y-pair") for start in STARTS
    ]
    from_map = [system for system in systems if system.start == "map"]
    assert [selection_system(system).label for system in from_map] == [
        "X-X",
        "X-Y-pair",
        "hybrid-0.5",
        "hybrid-pair-0.5",
        "mixed",
        "X-Y+neg",
    ]
    recipes = [system.recipe(Settings(0.1, 0.2, 0.5), 3, "/starts/map") for system in from_map]
    assert [recipe.alpha for recipe in recipes[:4]] == [1.0, 0.0, 0.1, 0.9]
    assert [recipe.pairing for recipe in recipes] == ["mixed", "pair", "mixed", "pair", "mixed", "mixed"]
    assert [(recipe.mine, recipe.negatives) for recipe in recipes[-2:]] == [(None, "none"), (1, "answer")]
    assert {(recipe.start, recipe.interpolation) for recipe in recipes} == {("/starts/map", 0.5)}


@pytest.mark.parametrize(
    "label", ["X-X", "X-Y", "X-Y-pair", "hybrid-0.5", "hybrid-pair-0.25", "mixed", "hybrid-0.5+neg"]
)
def test_labels_are_read_as_they_are_written(label: str) -> None:
    assert batches_of(label).label == label
    assert batches_of("hybrid-pair-0.25+neg") == Batches("hybrid", 0.25, "pair", mined=True)


@pytest.mark.parametrize(
    "label", ["", "hybrid", "X-X-0.5", "mixed-pair", "X-X-pair", "hybrid-1.5", "X-Y+neg+neg", "x-x"]
)
def test_other_labels_are_refused_in_one_line(label: str) -> None:
    with pytest.raises(BeirHybridError, match="is no system; there is X-X") as error:
        batches_of(label)
    assert "\n" not in str(error.value)


def test_only_some_experiments(base: Path) -> None:
    assert study_of(base).only(["to-mlqa-r"]).experiments
    with pytest.raises(BeirHybridError, match="--only other: no such experiment; there is to-mlqa-r"):
        study_of(base).only(["other"])


# Held-out data


def test_no_answer_is_on_both_sides(data: Path) -> None:
    pairs = read_source("mlqa-r")
    rows = held_out_rows(pairs, 0.3, seed=1)
    assert 0 < rows.sum() < len(rows)
    assert not set(pairs.labels[rows]) & set(pairs.labels[~rows])
    np.testing.assert_array_equal(rows, held_out_rows(pairs, 0.3, seed=1))
    [rest], _ = split([pairs], 0.3, seed=1)
    for language in pairs.languages:
        held = {text for text, out in zip(pairs.answers[language].to_pylist(), rows, strict=True) if out}
        assert not held & set(rest.answers[language].to_pylist())


def test_too_little_to_hold_out_is_refused(data: Path) -> None:
    with pytest.raises(BeirHybridError, match=r"too few to hold 0\.9 of them out"):
        held_out_rows(read_source("mlqa-r"), 0.9, seed=0)


def test_the_held_out_corpus_asks_held_out_questions_of_all_answers(data: Path) -> None:
    pairs = read_source("mlqa-r", ["en", "de"])
    rows = held_out_rows(pairs, 0.5, seed=0)
    corpus = held_out_corpus(pairs, rows)
    for language, part in corpus.languages.items():
        questions, answers = pairs.questions[language].to_pylist(), pairs.answers[language].to_pylist()
        assert list(part.questions) == [questions[row] for row in np.flatnonzero(rows)]
        assert set(part.passages) == set(answers)
        for question_id, question in zip(part.question_ids, part.questions, strict=True):
            right = {answers[row] for row in np.flatnonzero(pairs.labels == pairs.labels[questions.index(question)])}
            assert {part.passages[row] for row in corpus.relevant(question_id, language)} == right


# Heads


def test_a_head_has_the_weights_that_train_gives(base: Path, tmp_path: Path) -> None:
    recipe = make_recipe("laptop-head", **RECIPE, seed=3, start="projection", interpolation=0.5, mine=1)
    train(str(base), recipe, tmp_path / "whole", options=RunOptions(quiet=True))
    bench = HeadBench(find_base(str(base)), None)
    parts = [read_source("mlqa-r", ["en", "de"])]
    bench.train(parts, replace(recipe, seed=1))  # what came before does not matter
    bench.train(parts, recipe)
    bench.save(tmp_path / "head")
    [weights] = load_file(tmp_path / "head" / "model.safetensors").values()
    [dense] = [path for path in (tmp_path / "whole").glob("*_Dense/model.safetensors") if path.parent.name != "2_Dense"]
    np.testing.assert_array_equal(weights, load_file(dense)["linear.weight"])


def test_looked_up_and_ordinary_evaluation_agree(base: Path, tmp_path: Path) -> None:
    """The ranks and figures of stored embeddings are those that MTEB finds, with them and without."""
    start = find_base(str(base))
    bench = HeadBench(start, None)
    bench.train([read_source("mlqa-r", ["en", "de"])], make_recipe("laptop-head", **RECIPE))
    bench.save(tmp_path / "head")
    bench.reset()
    bench.load(tmp_path / "head")
    name = ModelName("beir-hybrid-study/one", "1")
    figures = evaluate_stored(bench.model, name, "XQuADR", load("xquad-r"), tmp_path)
    assert not rank_table.default_path("XQuADR", name.name, "1").exists()
    through_mteb = tmp_path / "mteb"
    assert evaluate(wrapped(bench.model, name), name, "XQuADR", through_mteb, 64) == figures
    tables = [rank_table.read(name.rank_table("XQuADR", out)) for out in (tmp_path, through_mteb)]
    assert tables[0][0].equals(tables[1][0])
    infos = [replace(info, state=None, versions={}) for _, info in tables]
    assert infos[0] == infos[1]
    ordinary, encoder = tmp_path / "ordinary", start.load("cpu")
    trained = head_model(encoder, "")
    trained[1] = Dense.load(str(tmp_path / "head"))
    with_head(encoder, trained).save(str(ordinary))
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(ordinary), device="cpu")
    result = mteb.evaluate(model, XQuADR(), cache=None, co2_tracker=False, show_progress_bar=False)
    stored = ResultCache(through_mteb).load_task_result("XQuADR", wrapped(bench.model, name).mteb_model_meta)
    assert stored is not None
    expected = {entry["hf_subset"]: entry["map"] for entry in result.task_results[0].scores["test"]}
    found = {entry["hf_subset"]: entry["map"] for entry in stored.scores["test"]}
    assert found.keys() == expected.keys()
    for subset, value in expected.items():
        assert found[subset] == pytest.approx(value, abs=1e-5)
    multilingual = [value for subset, value in expected.items() if subset.endswith("-multi")]
    assert figures["XQuADR/multilingual/map"] == pytest.approx(np.mean(multilingual), abs=1e-5)


# Running


def test_a_study_leaves_heads_tables_and_results(done: tuple[Study, Path]) -> None:
    study, out = done
    plan = make_plan(study, out)
    assert plan.open_items() == [] and plan.done() == plan.size() == len(items(out))
    [(experiment, tiny)] = study.pairings()
    for system in study.systems(experiment, tiny):
        for seed in (0, 1):
            evaluated = plan.evaluated(system, seed, "MLQAR")
            assert evaluated is not None and plan.rank_table(evaluated).is_file()
            files = {path.name for path in (out / "models" / f"{system.key}_seed-{seed}").iterdir()}
            assert files == {"config.json", "model.safetensors"}
    anchors = [plan.evaluated_untuned(tiny, start, "MLQAR") for start in STARTS]
    assert all(anchors) and len({anchor.facts["revision"] for anchor in anchors if anchor}) == 2
    assert list((out / "starts").iterdir()) == [Lab(study, out, progress=False).start_folder("map", tiny)]


def test_settings_are_the_best_on_held_out_data(done: tuple[Study, Path]) -> None:
    study, out = done
    plan = make_plan(study, out)
    [(experiment, tiny)] = study.pairings()
    for system in study.systems(experiment, tiny):
        tried = dict(plan.selection(system))
        assert set(tried) == set(tiny.grid) and {settings.interpolation for settings in tried} == {0.5, 1.0}
        chosen = plan.settings(system)
        assert chosen is not None and tried[chosen] == max(tried.values())
        for seed in tiny.seeds:
            trained = plan.trained(system, seed)
            assert trained is not None and trained.facts["recipe"]["learning_rate"] == chosen.learning_rate
            assert trained.facts["recipe"]["interpolation"] == chosen.interpolation


def test_what_is_selected_is_what_training_gives(base: Path, sentences: Path, tmp_path: Path) -> None:
    """The score of an interpolation is that of the head which its recipe trains on the rest."""
    study = study_of(base, sentences, ("X-Y",), learning_rates=(0.01,), seeds=(0,))
    run_study(study, tmp_path / "out", quiet=True)
    plan, lab = make_plan(study, tmp_path / "out"), Lab(study, tmp_path / "out", progress=False)
    for system in study.systems(*next(iter(study.pairings()))):
        [parts, corpora] = split(lab.pairs(system.experiment), study.held_out, study.split_seed)
        bench = lab._bench_with_pairs(system.experiment, system.base)
        for settings, score in plan.selection(system):
            bench.train(parts, lab._recipe(system, settings, 0))
            assert score == pytest.approx(lab._score(bench.model, corpora, system.base))


def test_what_is_done_is_skipped(done: tuple[Study, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    study, out = done
    for kind in ("select", "train", "evaluate", "evaluate_untuned", "make_start", "embed_pairs", "embed_task"):
        monkeypatch.setattr(Lab, kind, lambda *_: pytest.fail("done again"))
    run_study(study, out, quiet=True)


def test_what_changed_is_done_again_and_nothing_else(
    base: Path, sentences: Path, done: tuple[Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done[1], out)
    trained: list[str] = []

    def watch(self: Lab, system: System, settings: Settings, seed: int, original: Any = Lab.train) -> Any:
        trained.append(f"{system.start} {system.label} {seed}")
        return original(self, system, settings, seed)

    monkeypatch.setattr(Lab, "train", watch)
    systems = ("X-X", "hybrid-0.5")
    run_study(study_of(base, sentences, systems, seeds=(0, 2)), out, quiet=True)
    assert sorted(trained) == [f"{start} {label} 2" for start in STARTS for label in systems]
    longer = make_plan(study_of(base, sentences, systems, steps=4), out).open_items()
    assert {item.id.split("/")[0] for item in longer} == {"select"} and len(longer) == 2 * 2 * 2
    monkeypatch.setattr(Lab, "sentences", lambda *_: SimpleNamespace(revision="others"))
    fitted_again = make_plan(study_of(base, sentences, systems), out).open_items()
    assert [item.id for item in fitted_again] == ["start/labse_map"]


SMALLER: dict[str, Any] = {"systems": ("X-X", "X-Y", "hybrid-0.5"), "seeds": (0,)}


def test_an_interrupted_study_goes_on_and_ends_the_same(
    base: Path, done: tuple[Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Any] = []

    def interrupt_second(self: Lab, system: System, settings: Settings, seed: int, original: Any = Lab.train) -> Any:
        trained.append(system)
        if len(trained) == 2:
            (self.model_folder(system, seed)).mkdir(parents=True)
            raise KeyboardInterrupt
        return original(self, system, settings, seed)

    monkeypatch.setattr(Lab, "train", interrupt_second)
    study = study_of(base, **SMALLER)
    with pytest.raises(KeyboardInterrupt):
        run_study(study, tmp_path / "out", quiet=True)
    run_study(study, tmp_path / "out", quiet=True)
    assert len(trained) == 1 + 1 + 2
    found = results(tmp_path / "out")
    assert len(found) == make_plan(study, tmp_path / "out").size()
    assert found.items() <= results(done[1]).items()


def test_processes_share_a_study(base: Path, done: tuple[Study, Path], tmp_path: Path) -> None:
    study = study_of(base, **SMALLER)
    run_study(study, tmp_path / "out", jobs=2, quiet=True)
    found = results(tmp_path / "out")
    assert len(found) == make_plan(study, tmp_path / "out").size()
    assert found.items() <= results(done[1]).items()


def test_an_error_in_a_process_is_one_line(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_module._worker(study_of(base, batch_size=64), tmp_path / "out")
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


@pytest.mark.parametrize(("code", "error"), [(1, RuntimeError), (2, BeirHybridError), (-9, BeirHybridError)])
def test_a_process_that_crashed_is_told_from_bad_input(code: int, error: type[Exception]) -> None:
    workers = [SimpleNamespace(exitcode=exitcode) for exitcode in (None, 0, code)]
    with pytest.raises(error, match="a process of the study"):
        run_module._check(workers)
    run_module._check(workers[:2])


def test_an_item_is_reserved_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.reserve("train/one") as mine:
        assert mine
        with Ledger(tmp_path).reserve("train/one") as theirs, Ledger(tmp_path).reserve("train/two") as other:
            assert not theirs and other
    with Ledger(tmp_path).reserve("train/one") as free:
        assert free


def test_a_damaged_item_counts_as_not_done(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record("train/one", {"seed": (0,)}, {"map": 0.5}, 1.0, 1.0)
    found = Ledger(tmp_path).find("train/one", {"seed": [0]})
    assert found is not None and found.result == {"map": 0.5}
    assert Ledger(tmp_path).find("train/one", {"seed": [1]}) is None
    path = tmp_path / "items" / "train" / "one.json"
    path.write_text(path.read_text()[:-9])
    assert Ledger(tmp_path).find("train/one", {"seed": [0]}) is None


def test_the_papers_preset_on_tiny_models(base: Path, sentences: Path, tmp_path: Path) -> None:
    preset = read_study(preset_path("paper")).only(["mlqa-r"])
    tiny = {"epochs": None, "steps": 2, "batch_size": 2, "max_length": 16, "temperatures": (0.05,), "seeds": (0,)}
    models = {"xlm-r": save_xlm_r(tmp_path / "xlm-r"), "labse": base}
    bases = tuple(
        replace(one, model=str(models[one.name]), learning_rates=one.learning_rates[:rates], **tiny)
        for one, rates in zip(preset.bases, (1, 2), strict=True)
    )
    starts = (replace(preset.starts[0], data=str(sentences), sentences=10),)
    experiment = replace(preset.experiments[0], systems=("X-X", "hybrid-0.5"))
    study = replace(preset, bases=bases, experiments=(experiment,), starts=starts, anchors=("untuned",))
    run_study(study, tmp_path / "out", quiet=True)
    summary = summarise(study, make_plan(study, tmp_path / "out"))
    assert summary["items"]["done"] == summary["items"]["all"]
    assert summary["missing"] == []
    assert {(row["base"], row["start"], row["system"]) for row in summary["systems"]} == {
        (name, start, label)
        for name in ("xlm-r", "labse")
        for start in ("identity", "projection")
        for label in experiment.systems
    }
    assert {(anchor["model"], anchor["start"]) for anchor in summary["anchors"]} == {
        (str(model), start) for model in models.values() for start in ("identity", "projection")
    }
    assert not any((tmp_path / "out" / "selection").iterdir())


# The report


class _Part:
    """What `verdict` looks at."""

    def __init__(self, favourable: bool, significant: bool, equivalent: bool = False) -> None:
        self.favourable, self.significant, self.equivalent = favourable, significant, equivalent


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(True, True), (True, True)], SUPPORTED),
        ([(True, True), (True, True, True)], SUPPORTED),
        ([(True, True), (True, False)], CANNOT_BE_TOLD),
        ([(True, True), (False, False)], CANNOT_BE_TOLD),
        ([(True, True), (False, True)], NOT_SUPPORTED),
        ([(True, False, True), (False, True, True)], NOT_SUPPORTED),
        ([(True, False, True), (False, False, True)], EQUIVALENT),
        ([(True, True, True), (False, False, True)], EQUIVALENT),
        ([(True, False, True), (False, False)], CANNOT_BE_TOLD),
        ([], CANNOT_BE_TOLD),
    ],
)
def test_verdicts(parts: list[tuple[bool, ...]], expected: str) -> None:
    assert verdict([_Part(*part) for part in parts]) == expected  # type: ignore[misc]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(True, True, True), (False, False, True)], SUPPORTED),
        ([(True, False, True), (False, False)], CANNOT_BE_TOLD),
        ([(True, False, True), (False, True)], NOT_SUPPORTED),
        ([(True, True), (False, False, True)], NOT_SUPPORTED),
        ([], CANNOT_BE_TOLD),
    ],
)
def test_verdicts_on_equivalence(parts: list[tuple[bool, ...]], expected: str) -> None:
    assert verdict([_Part(*part) for part in parts], equivalent=True) == expected  # type: ignore[misc]


@pytest.mark.parametrize(
    ("difference", "p", "lower_is_better", "expected"),
    [
        (0.1, 0.05, False, (True, True)),
        (0.1, 0.0500001, False, (False, True)),
        (-0.1, 0.05, True, (True, True)),
        (0.0, 0.05, True, (False, False)),
        (0.0, 0.05, False, (False, False)),
    ],
)
def test_borders_are_those_of_the_leaderboard(
    difference: float, p: float, lower_is_better: bool, expected: Any
) -> None:
    comparison = Comparison(
        difference,
        difference,
        difference,
        p,
        p,
        p,
        0.0,
        unit="article",
        units=2,
        questions=2,
        exact=True,
        p_corrected=p,
    )
    metric = "rank_distance" if lower_is_better else "map"
    column = next(one for one in COLUMNS if one.metric == metric)
    sides = Side("identity", "hybrid-0.5"), Side("identity", "X-X")
    contrast = Contrast("less-bias", None, None, *sides, column)  # type: ignore[arg-type]
    part = Part(contrast, 1.0, 1.0 - difference, comparison)
    assert (part.significant, part.favourable) == expected
    ranks = rank_ranges(["a", "b"], {("a", "b"): comparison}, higher_is_better=not lower_is_better)
    assert (ranks["b"].best == 2) is (expected == (True, True))


@pytest.fixture(scope="module")
def judged(done: tuple[Study, Path]) -> dict[str, Any]:
    study, out = done
    plan = make_plan(study, out)
    summary = summarise(study, plan)
    return judge(study, summary, StudyScores(evaluated_scores(study, plan, summary["languages"])))


def test_the_summary_holds_every_comparison(done: tuple[Study, Path], judged: dict[str, Any]) -> None:
    study, summary = done[0], judged
    of_each_start = {
        "best-multilingual": 2,
        "better-everywhere": 6,
        "less-bias": 1,
        "zero-shot": 3,
        "unseen-languages": 5 * 2,
        "between-families": 4,
        "within-family": 4,
        "other-script": 4,
        "batching-does-not-matter": 3 * 3,
    }
    claims = {(claim["start"], claim["claim"]): claim for claim in summary["claims"]}
    numbers = {key: len(claim["parts"]) for key, claim in claims.items()}
    numbers = {(start, claim): n for (start, claim), n in numbers.items() if claim != "same-script"}
    assert numbers == {(start, claim): n for start in STARTS for claim, n in of_each_start.items()} | {
        ("map", "start"): 3 * 4
    }
    # Those of the best in the multilingual setting are asked three times, those in all settings twice.
    distinct = sum(len(claim["parts"]) for claim in summary["claims"]) - 2 * (2 + 6)
    assert summary["tests"]["comparisons"] == distinct
    figures = {(row["start"], row["system"]): row["figures"] for row in summary["systems"]}
    for claim in ("better-everywhere", "batching-does-not-matter", "start"):
        for part in claims["map", claim]["parts"]:
            for side in ("model", "baseline"):
                expected = figures[part[side]["start"], part[side]["label"]][part["column"]]["mean"]
                assert part[f"{side}_value"] == pytest.approx(expected, abs=1e-9)
            assert part["difference"] == pytest.approx(part["model_value"] - part["baseline_value"])
            better = part["difference"] if part["metric"] == "map" else -part["difference"]
            assert part["favourable"] == (better > 0)
            assert part["p"] <= part["p_corrected"] <= 1
    assert {part["baseline"]["start"] for part in claims["map", "start"]["parts"]} == {"identity"}
    assert {part["baseline"]["start"] for part in claims["map", "zero-shot"]["parts"]} == {"map"}
    assert {part["language"] for part in claims["map", "unseen-languages"]["parts"]} == set("ar es hi vi zh".split())
    case = {"experiment": study.experiments[0].name, "task": "MLQAR"}
    assert all(claim["cases"] == [{**case, "verdict": claim["verdict"]}] for claim in claims.values())


def test_the_scores_that_are_kept_give_the_same_comparisons(
    done: tuple[Study, Path], judged: dict[str, Any], tmp_path: Path
) -> None:
    study, out = done
    write_report(study, make_plan(study, out), out, tmp_path / "whole" / "study.md", "beir-hybrid study")
    again = json.loads((out / "study.json").read_text())
    write_pages(again, tmp_path / "again" / "study.md", "beir-hybrid study")
    pages = [(tmp_path / name / "study.md").read_text() for name in ("whole", "again")]
    assert pages[0] == pages[1]
    for claim, same in zip(judged["claims"], again["claims"], strict=True):
        for part, same_part in zip(claim["parts"], same["parts"], strict=True):
            # Not p nor the interval: with three questions, which are often ties, they hang on the last digit.
            for name in ("model_value", "baseline_value", "difference"):
                assert part[name] == pytest.approx(same_part[name], abs=2e-4), name


def test_several_cases_are_judged_one_by_one(judged: dict[str, Any], tmp_path: Path) -> None:
    summary = dict(judged)
    first, second = map(dict, (summary["claims"][0], summary["claims"][2]))
    second["start"] = first["start"]
    first["cases"] = [
        {"experiment": "one", "task": "MLQAR", "verdict": SUPPORTED},
        {"experiment": "two", "task": "XQuADR", "verdict": NOT_SUPPORTED},
    ]
    second["cases"] = first["cases"][:1]
    summary["claims"] = [first, second]
    write_page(summary, None, "", tmp_path / "study.md")
    page = (tmp_path / "study.md").read_text(encoding="utf-8")
    assert "| claim | from | one to MLQA-R | two to XQuAD-R |" in page
    assert f"| {first['text']} | {first['start']} | {SUPPORTED} | {NOT_SUPPORTED} |" in page
    assert f"| {second['text']} | {first['start']} | {SUPPORTED} | not tested |" in page


def test_the_report_is_the_same_each_time(done: tuple[Study, Path], tmp_path: Path) -> None:
    study, out = done
    for name in ("one", "two"):
        write_report(study, make_plan(study, out), out, tmp_path / name / "study.md", "beir-hybrid study tiny.toml")
    files = {path.relative_to(tmp_path / "one"): path for path in (tmp_path / "one").rglob("*") if path.is_file()}
    assert {path.name for path in files} == {"study.md", "alpha-sweep.png", "alpha-sweep.svg"}
    for relative, path in files.items():
        assert path.read_bytes() == (tmp_path / "two" / relative).read_bytes()
    page, summary = (tmp_path / "one" / "study.md").read_text(), json.loads((out / "study.json").read_text())
    for claim in summary["claims"]:
        assert f"| {claim['text']} | tiny | {claim['start']} | 2 | **{claim['verdict']}** |" in page
        for part in claim["parts"]:
            assert (
                f"{part['low']:+.1f} to" in page
                if part["metric"] == "rank_distance"
                else f"{part['low']:+.4f} to" in page
            )
    assert "(study/alpha-sweep.png)" in page and "not complete" not in page
    assert str(Path.home()) not in page


def test_the_sweep_goes_from_x_y_to_x_x(done: tuple[Study, Path]) -> None:
    study, out = done
    summary = summarise(study, make_plan(study, out))
    lines = sweep_lines(summary)
    assert [line["label"] for line in lines] == [f"to-mlqa-r to mlqa-r, tiny from {start}" for start in STARTS]
    figures = {(row["start"], row["system"]): row["figures"] for row in summary["systems"]}
    for line, start in zip(lines, STARTS, strict=True):
        assert [alpha for alpha, *_ in line["map"]] == [0.0, 0.25, 0.5, 1.0]
        assert line["map"][0][1] == figures[start, "X-Y"]["MLQAR/multilingual/map"]["mean"]
        assert line["rank_distance"][-1][1] == figures[start, "X-X"]["MLQAR/multilingual/rank_distance"]["mean"]


def test_the_page_crosses_batches_with_starts(done: tuple[Study, Path], judged: dict[str, Any], tmp_path: Path) -> None:
    figures = [
        PublishedFigures(
            label="hybrid",
            source="the paper",
            url="https://arxiv.org/abs/2408.10536",
            values={"MLQAR/multilingual/map": 0.5121, "MLQAR/multilingual/rank_distance": 227.1},
            base="XLM-R",
            batching="hybrid",
        )
    ]
    write_page(judged, None, "", tmp_path / "study.md", figures)
    page = (tmp_path / "study.md").read_text(encoding="utf-8")
    values = {row["start"]: row["figures"] for row in judged["systems"] if row["system"] == "X-Y"}
    columns = [f"MLQAR/{setting}/map" for setting in SETTINGS]
    cells = [f"{values[start][column]['mean']:.4f}" for start in STARTS for column in columns]
    [row] = [line for line in page.splitlines() if line.startswith("| tiny, X-Y |")]
    assert [cell for cell in row.split(" | ") if cell.startswith("0.")] == cells
    assert "| XLM-R | hybrid |  |  | 0.5121 | 227.1 |" in page
    assert "no training |" in page


def test_a_study_that_tests_on_generated_data_writes_its_page(base: Path, tmp_path: Path) -> None:
    study = study_of(base, learning_rates=(0.01,), seeds=(0,), interpolations=(1.0,), steps=1)
    experiment = Experiment("to-atlas", ("xquad-r",), ("AtlasR",), ("X-X", "hybrid-0.5"), ("en", "de"))
    study = replace(study, experiments=(experiment,))
    out = tmp_path / "out"
    run_study(study, out, quiet=True)
    page = write_report(study, make_plan(study, out), out, out / "study.md", "beir-hybrid study file.toml")
    text = page.read_text(encoding="utf-8")
    assert "tested on Atlas-R" in text
    assert "unseen" in text or "not trained on" in text
    assert not list((Path(os.environ["BEIR_HYBRID_HOME"]) / "ranks").rglob("AtlasR.parquet"))


def test_what_is_kept_of_a_study_lies_in_its_own_folder(done: tuple[Study, Path]) -> None:
    _, out = done
    assert list((out / "ranks").rglob("*.parquet"))
    elsewhere = (Path(os.environ["BEIR_HYBRID_HOME"]) / "ranks").rglob("*.parquet")
    assert not [path for path in elsewhere if "beir-hybrid-study" in path.as_posix() or "bm25s" in path.as_posix()]


def test_waiting_for_processes_is_no_busy_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base: Path) -> None:
    """A process that has ended is not waited for again, which would return at once."""
    looks: list[int] = []

    def look() -> int:
        looks.append(1)
        return 1

    monkeypatch.setattr(run_module, "_worker", _end_after)
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: fork)
    monkeypatch.setattr(run_module, "make_plan", lambda *_: SimpleNamespace(size=lambda: 1, done=look))
    run_module._work_together(study_of(base), tmp_path / "out", 2, quiet=True)
    assert 2 <= len(looks) <= 20


def _end_after(study: Study, out: Path) -> None:
    out.parent.mkdir(exist_ok=True)
    try:
        (out.parent / "first").mkdir()
    except FileExistsError:
        time.sleep(1)


def test_a_report_of_a_part_says_so(base: Path, done: tuple[Study, Path], tmp_path: Path) -> None:
    larger = study_of(base, systems=("X-X", "X-Y", "mixed"))
    page = tmp_path / "study.md"
    write_report(larger, make_plan(larger, done[1]), tmp_path, page, "beir-hybrid study tiny.toml")
    assert "**The study is not complete:**" in page.read_text()
    assert "Not done: to-mlqa-r mixed from identity (tiny)." in page.read_text()
    with pytest.raises(BeirHybridError, match="nothing of this study is done there"):
        write_report(larger, make_plan(larger, tmp_path / "empty"), tmp_path, page, "")


def test_the_command(base: Path, done: tuple[Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(
        TOML.replace('"offline"', f'"{base}"').replace("steps = 10", "steps = 2\nseeds = [0]\nbatch_size = 2")
        + 'languages = ["en", "de"]\n'
    )
    arguments = ["study", str(path), "--out", str(tmp_path / "out"), "--page", str(tmp_path / "page.md")]
    text = path.read_text().replace('name = "s"', 'name = "s"\nanchors = ["untuned"]')
    path.write_text(text)
    outcome = CliRunner().invoke(app, [*arguments, "--only", "e"], catch_exceptions=False)
    assert outcome.exit_code == 0 and f"Report: {tmp_path / 'page.md'}" in outcome.output
    monkeypatch.setattr(run_module, "_do", lambda *_: pytest.fail("--report runs nothing"))
    assert CliRunner().invoke(app, [*arguments, "--report", "-q"], catch_exceptions=False).output == ""
    with pytest.raises(BeirHybridError, match=r"name a study\.toml, or a preset"):
        CliRunner().invoke(app, ["study"], catch_exceptions=False)
