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
