"""`beir-hybrid debias`: an ordinary model with card and manifest, a table, and one line for what cannot be."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import mteb
import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from beir_hybrid import cli
from beir_hybrid.finetune import align
from beir_hybrid.finetune.debiased_model import save_debiased
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.overlap.check import read_training
from tests.models.test_model_folders import DENSE, cross, sparse
from tests.support.small_models import save_labse, save_xlm_r

LANGUAGES = ("de", "en", "th")
Run = Callable[..., tuple[int, str, str]]
"""Arguments -> exit code, what was printed, the last line of error."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with sentences, and a base to start from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    (tmp_path / "own").mkdir()
    for language in LANGUAGES:
        lines = [f"{language} q{row % 4} {row % 5} sentence {'only ' * (row % 3)}" for row in range(60)]
        (tmp_path / "own" / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    save_xlm_r(tmp_path / "base")
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command and gives its exit code, what it printed and its last line of error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["beir-hybrid", "debias", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, (printed.err.strip().splitlines() or [""])[-1]

    return run


def test_it_writes_an_ordinary_model_and_says_before_and_after(folder: Path, run: Run) -> None:
    code, printed, _ = run("base", "--out", "new", "--data", "own", "--parallel", "--languages", "th,de")
    assert code == 0
    first, heading, rule, *rows, last = printed.splitlines()
    assert first == "new: projection takes out 1 directions, fitted on 30 sentences of each of 2 languages"
    assert heading.split() == ["30", "held-out", "sentences", "a", "language", "before", "after"] and set(rule) == {
        "-",
        " ",
    }
    assert [row.split("  ")[0] for row in rows] == [
        "translations in the pool of all languages, mAP",
        "translation in another language, mAP",
        "rank of the last translation in the pool",
        "language read off the embedding, share right",
    ]
    assert last == f'Evaluate it: mteb run -m "{folder / "new"}" -t XQuADR'
    card = (folder / "new" / "README.md").read_text(encoding="utf-8")
    assert "## Debiasing" in card and "arXiv 2401.05792" in card and "| own | `local-" in card
    assert "de q1" not in card
    model = SentenceTransformer("new", device="cpu")
    texts = [line for language in ("de", "th") for line in (folder / "own" / f"{language}.txt").read_text().split("\n")]
    embeddings = model.encode([text for text in texts]).reshape(2, 60, -1)
    means = embeddings[:, ::2].mean(axis=1)
    np.testing.assert_allclose(means[0], means[1], atol=1e-5)  # of the sentences it was fitted on


def test_the_manifest_says_what_was_seen(folder: Path, run: Run) -> None:
    assert run("base", "--out", "new", "--data", "own", "--method", "leace", "--sentences", "20", "--quiet")[:2] == (
        0,
        "",
    )
    manifest = read_manifest(folder / "new")
    assert manifest is not None
    assert manifest.base == {"name": "base", "revision": manifest.base["revision"], "training_datasets": None}
    (source,) = manifest.data
    assert source["source"] == "own" and source["languages"] == list(LANGUAGES) and source["rows"] == 20
    assert manifest.settings == {"tune": "debias", "method": "leace", "components": 2, "sentences": 20}
    assert (manifest.steps_done, manifest.pairs, manifest.losses) == (0, {}, {})
    training = read_training(str(folder / "new"))
    assert len(training.fingerprints.table) == sum(
        len(set((folder / "own" / f"{language}.txt").read_text().split("\n")[::3])) for language in LANGUAGES
    )


def test_mteb_knows_what_base_and_sentences_are_made_of(folder: Path) -> None:
    result = save_debiased(
        "base", folder / "first", data="atlas-r", languages=["de", "en"], sentences=20, progress=False
    )
    assert {"AtlasR", "AtlasRLanguageBias"} <= result.manifest.known_training_datasets
    again = save_debiased("first", folder / "second", data="own", progress=False)
    assert result.manifest.known_training_datasets == again.manifest.known_training_datasets
    meta = mteb.get_model_meta("second")
    assert meta.training_datasets == set(result.manifest.known_training_datasets)
    assert sorted(meta.languages) == ["deu-Latn", "eng-Latn", "tha-Thai"]


def test_equal_runs_write_equal_folders_over_each_other(folder: Path) -> None:
    def content() -> dict[str, bytes]:
        files = sorted(path for path in (folder / "new").rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    save_debiased("base", folder / "new", data="own", progress=False)
    first = content()
    save_debiased("base", folder / "new", data="own", progress=False)
    assert content() == first and len(first) > 5


@pytest.mark.parametrize("normalised", [True, False])
def test_embeddings_are_normalised_where_those_of_the_base_are(folder: Path, normalised: bool) -> None:
    base = save_labse(folder / "labse") if normalised else folder / "base"
    save_debiased(str(base), folder / "new", data="own", progress=False)
    modules = json.loads((folder / "new" / "modules.json").read_text())
    assert ("Normalize" in modules[-1]["type"]) is normalised
    lengths = np.linalg.norm(SentenceTransformer("new", device="cpu").encode(["de q1 1", "th q2"]), axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) is normalised


# A head that is trained from the projection


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align, "SETTINGS", {**align.SETTINGS, "steps": 20, "learning_rate": 0.01})


def layer(folder: str) -> np.ndarray:
    """Return the matrix of the last layer but the normalisation of a model of LaBSE's modules."""
    return SentenceTransformer(folder, device="cpu")[4].linear.weight.detach().numpy()


@pytest.mark.usefixtures("few_steps")
def test_an_aligned_model_lies_between_the_projection_and_a_head_trained_on_translations(
    folder: Path, run: Run
) -> None:
    base = save_labse(folder / "labse")
    options = (str(base), "--data", "own", "--parallel", "--languages", "th,de", "--sentences", "20")
    code, printed, _ = run(*options, "--out", "new", "--method", "align")
    assert code == 0
    assert printed.splitlines()[0] == (
        "new: align takes out 1 directions and keeps 0.5 of the way of 20 steps, fitted on 20 sentences of each of 2 "
        "languages"
    )
    run(*options, "--out", "projected")
    run(*options, "--out", "whole", "--method", "align", "--interpolation", "1")
    run(*options, "--out", "little", "--method", "align", "--interpolation", "1e-9")
    np.testing.assert_allclose(layer("new"), (layer("projected") + layer("whole")) / 2, atol=1e-6)
    np.testing.assert_allclose(layer("little"), layer("projected"), atol=1e-6)
    modules = json.loads((folder / "new" / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules[-2:]] == ["Dense", "Normalize"]
    run(*options, "--out", "again", "--method", "align")
    assert (folder / "again" / "4_Dense" / "model.safetensors").read_bytes() == (
        folder / "new" / "4_Dense" / "model.safetensors"
    ).read_bytes()


@pytest.mark.usefixtures("few_steps")
def test_training_brings_translations_nearer_than_the_projection_does(folder: Path) -> None:
    def nearness(method: str) -> float:
        save_debiased("base", folder / method, data="own", parallel=True, method=method, progress=False)
        model = SentenceTransformer(method, device="cpu")
        parts = [model.encode((folder / "own" / f"{language}.txt").read_text().split("\n")) for language in LANGUAGES]
        one, other = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts[:2])
        scores = one @ other.T
        return float(np.diag(scores).mean() - scores.mean())

    assert nearness("align") > nearness("projection") + 0.01


@pytest.mark.usefixtures("few_steps")
def test_the_manifest_of_an_aligned_model_has_its_settings(folder: Path, run: Run) -> None:
    assert run("base", "--out", "new", "--data", "own", "--parallel", "--method", "align", "--quiet")[:2] == (0, "")
    manifest = read_manifest(folder / "new")
    assert manifest is not None
    settings = {
        "tune": "debias",
        "method": "align",
        "start": "projection",
        "components": 2,
        "sentences": 200,
        "batching": "cross-lingual",
        "interpolation": 0.5,
        "batch_size": 64,
        "steps": 20,
        "temperature": 0.1,
        "seed": 0,
    }
    assert settings.items() <= manifest.settings.items()
    assert manifest.steps_done == 20 and manifest.losses["loss"] > 0
    assert manifest.pairs == {f"{x}-{y}": 30 for x in LANGUAGES for y in LANGUAGES if x != y}
    assert [(source["source"], source["rows"]) for source in manifest.data] == [("own", 30)]
    assert len(read_training(str(folder / "new")).fingerprints.table) > 0
    card = (folder / "new" / "README.md").read_text(encoding="utf-8")
    assert "trained" in card and "20 steps from the projection" in card and "Nothing was trained" not in card
    save_debiased("base", folder / "new", data="own", progress=False)  # over each other, whatever the method


def foreign(folder: Path) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "notes.txt").write_text("mine")


@pytest.mark.parametrize(
    ("base", "options", "message"),
    [
        ("base", "--languages de", "there must be two languages or more to tell apart, and there is de"),
        ("base", "--languages ,", "--languages ',': name at least two, such as en,de"),
        ("base", "--languages de,fr", "own: unknown language 'fr'"),
        ("base", "--components 3", "3 components: the means of 3 languages differ in 2 directions"),
        ("base", "--components 99", "99 components of 16 dimensions"),
        ("base", "--components 0", "0 components: at least 1"),
        ("base", "--method leace --components 1", "leace has no number of components to choose"),
        ("base", "--method centring", "'centring' needs the language of each text"),
        ("base", "--method magic", "'magic' is no method"),
        ("base", "--sentences 3", "3 sentences: at least 10"),
        ("base", "--method align", "align trains on translations, and own is not said to hold any: add --parallel"),
        ("base", "--interpolation 0.5", "--interpolation is for --method align: projection trains nothing"),
        ("base", "--method align --parallel --interpolation 0", "--interpolation 0.0: it must be greater than 0 and"),
        ("base", "--method align --parallel --interpolation 2", "--interpolation 2.0: it must be greater than 0 and"),
        ("base", "--method align --parallel --languages de", "there must be two languages or more"),
        ("router", "--method align --parallel", "the model has different encoders for questions and passages"),
        ("base", "--data nowhere", "--data nowhere: there is no such folder"),
        ("nowhere", "", "nowhere: there is no such folder"),
        ("router", "", "the model has different encoders for questions and passages"),
        ("sparse", "", "is a SparseEncoder, not a SentenceTransformer"),
        ("cross", "", "is a CrossEncoder, not a SentenceTransformer"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    base: str, options: str, message: str, folder: Path, run: Run
) -> None:
    {"router": DENSE["router"], "sparse": sparse, "cross": cross}.get(base, lambda place: None)(folder / base)
    there = sorted(path for path in folder.iterdir() if path.name != "home")
    code, printed, error = run(base, "--out", "new", "--data", "own", *options.split())
    assert (code, printed) == (2, "") and message in error and "--base" not in error
    assert sorted(path for path in folder.iterdir() if path.name != "home") == there


def test_a_folder_of_somebody_else_is_left_alone(folder: Path, run: Run) -> None:
    foreign(folder)
    code, _, error = run("base", "--out", "new", "--data", "own")
    assert code == 2 and error.endswith("new is not empty: choose another folder")
    assert [path.name for path in (folder / "new").iterdir()] == ["notes.txt"]
    code, _, error = run("base", "--out", "base", "--data", "own")
    assert code == 2 and error.endswith("base is not empty: choose another folder")


def test_a_language_with_too_few_sentences_is_named(folder: Path, run: Run) -> None:
    (folder / "own" / "th.txt").write_text("one\ntwo")
    code, _, error = run("base", "--out", "new", "--data", "own")
    assert code == 2 and error.endswith(
        "own: th has 2 sentences; at least 20 are needed, half of them to see what the map does"
    )
