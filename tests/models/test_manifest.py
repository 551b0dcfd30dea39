"""The training manifest, recipes and presets: what is written, read, and refused."""

from __future__ import annotations

import json
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from beir_hybrid.cli import app
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import sha256_of
from beir_hybrid.finetune.recipe import PRESETS, Recipe, RunOptions, TrainingError, make_recipe
from beir_hybrid.finetune.run_data import public_name
from beir_hybrid.models import ours
from beir_hybrid.models.manifest import FILE_NAME, TrainingManifest, read_manifest
from beir_hybrid.models.model_files import content_hash

MANIFEST = TrainingManifest(
    base={"name": "team/base", "revision": "a" * 40, "training_datasets": ["MSMARCO"]},
    data=[
        {"source": "one", "revision": "1", "languages": ["en"], "rows": 3, "training_datasets": ["MLQAR"]},
        {"source": "two", "revision": "2", "languages": ["de"], "rows": 4, "training_datasets": []},
    ],
    languages=["en", "de"],
    pairs={"en-en": 3},
    settings={"steps": 3},
    processes=1,
    steps_done=3,
    losses={"loss": 0.5},
    fingerprints={"file": "training_fingerprints.parquet", "sha256": "0" * 64},
    versions={"torch": "2.0"},
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    assert read_manifest(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert read_manifest(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(("seen", "known"), [(["MSMARCO"], {"MSMARCO", "MLQAR"}), (None, {"MLQAR"})])
def test_what_is_known_to_have_been_seen(seen: list[str] | None, known: set[str]) -> None:
    manifest = TrainingManifest(**{**vars(MANIFEST), "base": {**MANIFEST.base, "training_datasets": seen}})
    assert manifest.known_training_datasets == known


def without_sources(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "data"}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: {**content, "schema_version": 99}, "schema version 99; this version reads 1"),
        (without_sources, "not a whole training manifest"),
        (lambda content: {**content, "data": [{}]}, "not a whole training manifest"),
        (lambda content: {**content, "base": None}, "not a whole training manifest"),
        (lambda content: [content], "not a whole training manifest"),
    ],
    ids=["version", "no data", "no source", "no base", "list"],
)
def test_a_damaged_manifest_is_one_line(spoil: Any, message: str, tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    file = tmp_path / FILE_NAME
    file.write_text(json.dumps(spoil(json.loads(file.read_text()))))
    with pytest.raises(BeirHybridError, match=message) as error:
        read_manifest(tmp_path)
    assert FILE_NAME in str(error.value) and "\n" not in str(error.value)
    file.write_text("{")
    with pytest.raises(BeirHybridError, match="not a whole JSON file"):
        read_manifest(tmp_path)


def test_a_model_with_a_damaged_manifest_can_still_be_evaluated(tmp_path: Path) -> None:
    normalize = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Normalize"}
    (tmp_path / "modules.json").write_text(json.dumps([normalize]))
    MANIFEST.write(tmp_path)
    before = ours.model_meta(str(tmp_path))
    assert before.training_datasets == {"MSMARCO", "MLQAR"}
    assert before.languages == ["eng-Latn", "deu-Latn"]
    assert before.adapted_from == "team/base"
    (tmp_path / FILE_NAME).write_text("{")
    after = ours.model_meta(str(tmp_path))
    assert after.training_datasets is None
    assert after.revision == before.revision


@pytest.mark.parametrize(
    "name",
    [FILE_NAME, "training_fingerprints.parquet", "training_run.json", "checkpoints/checkpoint-2/model.safetensors"],
)
def test_what_training_leaves_beside_the_model_is_not_its_content(name: str, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    before = content_hash(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("anything")
    assert content_hash(tmp_path) == before


def test_a_path_is_named_without_its_folders(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text("")
    assert public_name(str(tmp_path / "pairs.jsonl")) == "pairs.jsonl"
    assert public_name("mlqa-r") == "mlqa-r"
    assert public_name("team/data:train") == "team/data:train"
    assert sha256_of(tmp_path / "pairs.jsonl").startswith("e3b0c44298fc1c14")


# Recipes


def recipe(preset: str | None = None, **settings: Any) -> Recipe:
    return make_recipe(preset, data=("mlqa-r",), **settings)


def test_the_order_is_explicit_preset_tune_default() -> None:
    assert recipe().learning_rate == 2e-5
    assert recipe(tune="head").learning_rate == 2e-4
    assert (recipe("laptop-head").tune, recipe("laptop-head").steps) == ("head", 1500)
    assert recipe("laptop").max_length == 128
    assert recipe("laptop", max_length=64).max_length == 64
    assert recipe("laptop", max_length=None).max_length == 128


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_recipe(preset: str) -> None:
    assert recipe(preset).alpha == 0.5


def test_the_length_is_one_setting() -> None:
    assert (recipe("paper").steps, recipe("paper").epochs) == (None, 3.0)
    assert (recipe("paper", steps=7).steps, recipe("paper", steps=7).epochs) == (7, None)
    assert (recipe(epochs=2).steps, recipe(epochs=2).epochs) == (None, 2)
    with pytest.raises(TrainingError, match="not both"):
        recipe(steps=1, epochs=1)


def test_the_batching_decides_alpha_where_it_must() -> None:
    assert recipe(batching="monolingual").alpha == 1
    assert recipe("paper", batching="cross-lingual").alpha == 0
    assert recipe(batching="monolingual", alpha=1.0).alpha == 1
    assert recipe(batching="mixed").alpha is None
    with pytest.raises(TrainingError, match="is for --batching hybrid"):
        recipe(batching="cross-lingual", alpha=0.5)
    with pytest.raises(TrainingError, match="hybrid needs --alpha"):
        replace(recipe(), alpha=None)
    assert recipe(batching="cross-lingual", pairing="pair").pairing == "pair"
    with pytest.raises(TrainingError, match="is for cross-lingual batches"):
        recipe(batching="monolingual", pairing="pair")


def test_facts_are_json() -> None:
    facts = recipe(languages=("en", "de")).facts()
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("setting", [*fields(Recipe), *fields(RunOptions)], ids=lambda setting: setting.name)
def test_each_setting_has_an_option_of_the_command(setting: Field[Any]) -> None:
    command = get_command(app).get_command(None, "train")  # type: ignore[attr-defined]
    [option] = [option for option in command.params if option.name == setting.name]
    assert option.help == setting.metadata.get("help", option.help)
    assert setting.name in ("data", "languages") or option.default in (None, False, setting.default)
