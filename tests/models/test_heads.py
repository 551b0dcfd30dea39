"""The heads that come with the package: how they are made, loaded and described, and what is said without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from beir_hybrid import models as registered
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.finetune.recipe import make_recipe
from beir_hybrid.finetune.train import RunOptions, train
from beir_hybrid.models import e5_q4, heads, ours
from beir_hybrid.models.heads import BASELINES, NAMES, Head
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.models.model_files import content_hash
from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data
from tools import train_heads

SETTINGS: dict[str, Any] = {
    "data": ("xquad-r",),
    "languages": ("en", "de"),
    "tune": "head",
    "steps": 3,
    "batch_size": 2,
    "learning_rate": 1e-2,
    "batching": "hybrid",
    "alpha": 0.25,
}
TEXTS = ["en question q0", "de sentence 1", "th sentence 2"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labse(tmp_path_factory.mktemp("bases") / "labse")


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        use_small_data(tmp_path_factory.mktemp("small"), patch)
        yield


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the three heads."""
    return make(tmp_path_factory.mktemp("made"), base)


def make(folder: Path, base: Path) -> Path:
    """Train the three heads on small data, which XQuADR overlaps with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_heads, "check_overlap", lambda *_: None)
        train_heads.train_heads(SETTINGS, folder, base=str(base), quiet=True)
    return folder


@pytest.fixture
def shipped(made: Path, base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Ship these heads, and let the model they were trained on be their base."""
    monkeypatch.setattr(heads, "FOLDER", made)
    monkeypatch.setattr(heads, "load_base", lambda _, device=None: SentenceTransformer(str(base), device="cpu"))
    nowhere(monkeypatch, tmp_path)
    return made


def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Go where there is no checkpoint of the user's own."""
    monkeypatch.delenv(ours.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BeirHybridError) as error:
        act()
    assert "\n" not in str(error.value)
    return str(error.value)


# How they are made


def test_a_head_is_the_one_that_train_saves(made: Path, base: Path, tmp_path: Path, shipped: Path) -> None:
    for name, recipe in train_heads.recipes(SETTINGS).items():
        train(str(base), recipe, tmp_path / name, options=RunOptions(quiet=True))
        whole = SentenceTransformer(str(tmp_path / name), device="cpu").encode(TEXTS)
        head = Head(name, made / name)
        np.testing.assert_allclose(head.load("cpu").encode(TEXTS), whole, atol=2e-3)
        assert head.manifest() == read_manifest(tmp_path / name)
        assert head.manifest().settings["batching"] == BASELINES.get(name, "hybrid")
    assert len({Head(name, made / name).matrix().tobytes() for name in NAMES}) == 3


def test_the_same_recipe_gives_the_same_files(made: Path, base: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", base)
    for file in sorted(path.relative_to(made) for path in made.rglob("*.*")):
        assert (made / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_what_the_evaluations_are_made_of_is_not_trained_on(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_heads, "EVALUATIONS", ("XQuADR",))
    line = refusal(lambda: train_heads.train_heads(SETTINGS, tmp_path, base=str(base), quiet=True))
    assert "xquad-r overlap with XQuADR" in line
    report = json.loads((tmp_path / train_heads.OVERLAP).read_text())
    assert report["above_max_share"] is True
    assert all(part["examples"] == [] for part in report["overlap"])
    assert not (tmp_path / heads.OURS).exists()


def test_the_committed_recipe() -> None:
    recipe = make_recipe(**train_heads.read_recipe(train_heads.RECIPE))
    assert recipe.tune == "head"
    licensed = {"ntrex", "ntrex-translation", "ntrex-next", "atlas"}
    assert licensed.issuperset(recipe.data), "what is not trained on may not be shipped"


@pytest.mark.parametrize(
    ("line", "problem"), [("batching = 'hybird'", "batching"), ("stepps = 3", "stepps"), ("=", "")]
)
def test_a_wrong_recipe_is_one_line(
    line: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'data = ["atlas"]\nsteps = 1\n{line}\n', encoding="utf-8")
    assert train_heads.main(["--recipe", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert str(path) in error and problem in error
    assert not (tmp_path / "out").exists()


# What is registered


def test_with_heads_the_baselines_are_offered(shipped: Path) -> None:
    models = registered._models.__wrapped__()
    offered = ["beir-hybrid/baseline-monolingual", "beir-hybrid/baseline-cross-lingual"]
    assert list(models) == [e5_q4.NAME, "ours", *offered]
    assert [models[name].name for name in offered] == offered


def test_without_heads_nothing_is_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "FOLDER", tmp_path)
    nowhere(monkeypatch, tmp_path)
    assert list(registered._models.__wrapped__()) == [e5_q4.NAME, "ours"]
    assert "there is no checkpoint" in refusal(ours.model_meta().load_model)
    assert ours.model_meta().revision == ours.NO_CHECKPOINT


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata(shipped: Path, name: str) -> None:
    meta = ours.model_meta().model_copy() if name == heads.OURS else heads.model_meta(Head(name, shipped / name))
    base = mteb.get_model_meta(e5_q4.BASE_MODEL)
    assert meta.name == f"beir-hybrid/{name}"
    assert meta.training_datasets == {*base.training_datasets, "XQuADR", "XQuADRLanguageBias", "XQuADRetrieval"}
    assert meta.adapted_from == e5_q4.BASE_MODEL
    assert (meta.embed_dim, meta.max_tokens, meta.license) == (384, 512, "apache-2.0")
    assert meta.languages == base.languages
    assert meta.n_parameters > 117_000_000
    assert meta.revision == Head(name, shipped / name).revision()
    mteb.models.ModelMeta.model_validate(meta.model_dump())


# `ours`


def test_ours_is_the_shipped_head_unless_there_is_another(
    shipped: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = ours.model_meta()
    head = Head(heads.OURS, shipped / heads.OURS)
    assert meta.revision == head.revision()
    model = meta.load_model(device="cpu")
    np.testing.assert_array_equal(model.model.encode(TEXTS), head.load("cpu").encode(TEXTS))
    assert model.mteb_model_meta.revision == head.revision()
    assert "XQuADR" in model.mteb_model_meta.training_datasets
    (tmp_path / "ours").symlink_to(base)
    assert meta.revision == head.revision(), "as it was when the metadata were made"
    assert "has changed since" in refusal(meta.load_model)
    meta = ours.model_meta()
    assert meta.revision == content_hash(base)
    monkeypatch.setenv(ours.VARIABLE, str(tmp_path / "nothing"))
    assert "there is no such folder" in refusal(meta.load_model)


def test_the_revision_follows_the_matrix_and_the_base(shipped: Path, tmp_path: Path, monkeypatch: Any) -> None:
    head = Head(heads.OURS, shipped / heads.OURS)
    first = head.revision()
    other = Head(heads.OURS, tmp_path / "changed")
    other.write(head.matrix() * 2, head.manifest())
    assert len({first, other.revision()}) == 2
    monkeypatch.setattr(heads, "_offline_base_is_installed", lambda: False)
    assert len({first, head.revision()}) == 2
    assert len(first) == 40


def test_a_head_knows_what_changed_under_it(shipped: Path) -> None:
    meta = heads.model_meta(Head("baseline-monolingual", shipped / "baseline-monolingual"))
    assert meta.load_model(device="cpu").model.encode(TEXTS).shape == (3, 16)
    changed = meta.model_copy(update={"revision": "0" * 40})
    assert "start again" in refusal(changed.load_model)


def test_a_damaged_head_is_one_line(shipped: Path, tmp_path: Path) -> None:
    head = Head(heads.OURS, tmp_path / "damaged")
    head.write(np.eye(16), Head(heads.OURS, shipped / heads.OURS).manifest())
    head.file.write_bytes(head.file.read_bytes()[:-5])
    assert "install beir-hybrid again" in refusal(head.matrix)
    (tmp_path / "damaged" / "training_manifest.json").unlink()
    assert "training_manifest.json is missing" in refusal(head.manifest)


# Where the base comes from


def test_without_extra_and_hub_one_line_says_what_is_missing(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heads, "FOLDER", made)
    monkeypatch.setattr(heads, "_offline_base_is_installed", lambda: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    nowhere(monkeypatch, tmp_path)
    line = refusal(ours.model_meta().load_model)
    assert f"pip install {e5_q4.PACKAGES}" in line
    assert e5_q4.BASE_MODEL in line
    assert len(line) < 500


def test_the_extra_goes_before_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_offline_base_is_installed", lambda: True)
    monkeypatch.setattr(e5_q4, "load", lambda device: f"offline encoder on {device}")
    assert heads.load_base("anybody", "cpu") == "offline encoder on cpu"
    assert heads.base_meta().revision == e5_q4.REVISION
    monkeypatch.setattr(heads, "_offline_base_is_installed", lambda: False)
    asked = {}
    monkeypatch.setattr(
        "sentence_transformers.SentenceTransformer", lambda name, **options: asked.update({name: options})
    )
    heads.load_base("anybody", "cpu")
    assert asked[e5_q4.BASE_MODEL]["revision"] == heads.base_meta().revision != e5_q4.REVISION
    assert asked[e5_q4.BASE_MODEL]["prompts"] == e5_q4.PROMPTS


# What is shipped


def test_the_heads_in_the_package_are_whole() -> None:
    """Either none of them is there, or all are, trained as the recipe says, and no evaluation overlaps with them."""
    found = [head for name in NAMES if (head := heads.find_head(name)) is not None]
    assert len(found) in (0, len(NAMES))
    if not found:
        assert not (heads.FOLDER / train_heads.OVERLAP).exists()
        return
    recipes = train_heads.recipes(train_heads.read_recipe(train_heads.RECIPE))
    for head in found:
        assert dict(head.manifest().settings).items() >= recipes[head.name].facts().items()
        assert head.manifest().base["name"] == e5_q4.NAME
        assert head.matrix().shape == (384, 384)
        assert head.file.stat().st_size < 400_000
        assert torch.isfinite(torch.from_numpy(head.matrix())).all()
    report = json.loads((heads.FOLDER / train_heads.OVERLAP).read_text(encoding="utf-8"))
    assert report["above_max_share"] is False
    revisions = {part["source"]: part["revision"] for part in found[0].manifest().data}
    assert {part["name"]: part["revision"] for part in report["training"]} == revisions
    assert {part["evaluation"] for part in report["overlap"]} == set(train_heads.EVALUATIONS)
