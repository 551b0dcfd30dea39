"""`beir-hybrid mine` and `train --mine`: a file that training reads, one model from both, and one line of error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

from beir_hybrid import cli
from beir_hybrid.finetune import run_trainer
from beir_hybrid.finetune.recipe import make_recipe
from beir_hybrid.models.manifest import read_manifest
from beir_hybrid.overlap import fingerprints
from beir_hybrid.training import mine, read_source
from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data

Run = Callable[..., tuple[int, str, str]]
"""Arguments -> exit code, what was printed, the last line of error."""

TRAIN = ["--base", "base", "--steps", "3", "--batch-size", "2", "--learning-rate", "1e-3", "--quiet"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labse(tmp_path_factory.mktemp("bases") / "base")


@pytest.fixture(autouse=True)
def folder(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    (tmp_path / "base").symlink_to(base)
    use_small_data(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command and gives its exit code, what it printed and its last line of error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["beir-hybrid", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, (printed.err.strip().splitlines() or [""])[-1]

    return run


def weights(folder: Path) -> dict[str, np.ndarray]:
    return {
        f"{path.relative_to(folder)} {name}": values
        for path in folder.rglob("*.safetensors")
        for name, values in load_file(path).items()
    }


@pytest.mark.parametrize("name", ["mined.jsonl", "mined.jsonl.gz", "mined.parquet"])
def test_the_file_is_what_the_model_finds(name: str, base: Path, run: Run) -> None:
    code, printed, _ = run("mine", "base", "--data", "xquad-r", "--languages", "en,th", "--out", name, "-k", "2")
    assert code == 0
    *_, english, thai, last = printed.splitlines()
    assert [line.split()[:4] for line in (english, thai)] == [[code, "4", "0", "4"] for code in ("en", "th")]
    assert last == f"{name}: 2 hard negatives a question in each language; no row has fewer"
    expected, _ = mine(read_source("xquad-r", ["en", "th"]), SentenceTransformer(str(base)), 2, progress=False)
    found = read_source(name)
    assert found.negatives == expected.negatives
    for x, y in (("en", "en"), ("en", "th"), ("th", "en")):
        assert found.dataset(x, y, "both").to_list() == expected.dataset(x, y, "both").to_list()


@pytest.mark.parametrize("tune", ["full", "head"])
def test_mining_while_training_gives_the_model_of_the_mined_file(tune: str, folder: Path, run: Run) -> None:
    data = ["--data", "xquad-r", "--languages", "en,de"]
    assert run("mine", "base", *data, "--out", "mined.jsonl", "-k", "2", "-q")[:2] == (0, "")
    options = [*TRAIN, "--tune", tune, "--negatives", "question"]
    assert run("train", *options, "--data", "mined.jsonl", "--output", "from-file")[0] == 0
    code, printed, _ = run("train", *options, *data, "--mine", "2", "--output", "at-once")
    assert (code, printed) == (0, "")
    found, expected = weights(folder / "at-once"), weights(folder / "from-file")
    assert (
        all(np.array_equal(found[name], values) for name, values in expected.items())
        and found.keys() == expected.keys()
    )
    manifest = read_manifest(folder / "at-once")
    assert manifest is not None
    assert (manifest.settings["mine"], manifest.settings["negatives"]) == (2, "question")
    assert [part["negatives"] for part in manifest.data] == [2]
    card = (folder / "at-once" / "README.md").read_text(encoding="utf-8")
    assert "pairs, each with 2 hard negatives in the language of the question. Batches: hybrid" in card
    run("train", *options, "--data", "mined.jsonl", "--negatives", "none", "--output", "without")
    assert any(not np.array_equal(weights(folder / "without")[name], values) for name, values in expected.items())


def test_negatives_get_the_prompt_of_answers_and_are_remembered(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [
        f'{{"id": "{row}", "language": "{code}", "question": "{code} question q{row}?", '
        f'"answer": "{code} sentence {row}.", "negative": "{code} nothing {row}."}}'
        for code in ("en", "de")
        for row in range(4)
    ]
    Path("own.jsonl").write_text("\n".join(entries), encoding="utf-8")
    texts: list[tuple[str | None, str]] = []
    preprocess = SentenceTransformer.preprocess

    def noted(self: SentenceTransformer, inputs: list[str], prompt: str | None = None, **more: object) -> object:
        texts.extend((prompt, text) for text in inputs)
        return preprocess(self, inputs, prompt=prompt, **more)

    monkeypatch.setattr(SentenceTransformer, "preprocess", noted)
    assert run("train", *TRAIN, "--data", "own.jsonl", "--output", "out")[0] == 0
    prompts = {"question": "query: ", "sentence": "passage: ", "nothing": "passage: "}
    trained = [(prompt, text) for prompt, text in texts if text.split()[1] in prompts]
    assert {text.split()[1] for _, text in trained} == set(prompts)
    assert all(prompt == prompts[text.split()[1]] for prompt, text in trained)
    seen = fingerprints.Fingerprints.read(folder / "out" / fingerprints.FILE_NAME).table
    assert seen.num_rows == 2 * (4 + 4 + 4)


def test_weight_decay_is_the_optimisers() -> None:
    recipe = make_recipe("paper", data=("xquad-r",))
    assert run_trainer.settings_of_recipe(recipe)["weight_decay"] == 1e-2
    assert (recipe.batch_size, recipe.learning_rate, recipe.tau, recipe.alpha) == (100, 3e-5, 0, 0.5)
    assert (recipe.batching, recipe.negatives) == ("hybrid", "answer")
    assert make_recipe(data=("xquad-r",)).weight_decay == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-k", "0"], "-k 0: ask for 1 or more hard negatives"),
        (["-k", "4"], "xquad-r: 4 hard negatives asked for, but ar has 4 different answers; ask for fewer"),
        (["--data", "nothing"], "unknown pairs 'nothing'"),
        (["--languages", "en,xx"], "xx"),
        (["--languages", ","], "name at least one, such as en,de"),
        (["--out", "mined.csv"], "--out mined.csv: give it the ending .jsonl, .jsonl.gz or .parquet"),
        (["--margin", "1.5"], "--margin 1.5: it is a share of the answer's score, from 0 to below 1"),
        (["--margin", "nan"], "--margin nan: it is a share"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_mined_is_one_line(options: list[str], message: str, run: Run) -> None:
    before = sorted(Path().iterdir())
    code, printed, error = run("mine", "base", "--data", "xquad-r", "--out", "mined.jsonl", *options)
    assert (code, printed) == (2, "")
    assert error.startswith("error: ") and message in error
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mine", "0"], "--mine 0: it must be greater than 0"),
        (["--mine", "4"], "xquad-r: 4 hard negatives asked for, but de has 4 different answers; "),
        (["--mine", "2", "--negatives", "none"], "--mine 2 finds hard negatives, and --negatives none leaves them out"),
        (["--mine", "1", "--negatives", "both"], "--negatives both: one hard negative has one language; "),
        (["--negatives", "question"], "--negatives question: xquad-r has no hard negatives; find some with --mine 4"),
        (["--negatives", "all"], "--negatives all: choose from answer, question, both, none"),
        (["--weight-decay", "-1"], "--weight-decay -1.0: it must be 0 or greater"),
        (["--data", "mined.jsonl", "--negatives", "answer"], "equally many hard negatives a row, but xquad-r has 0, "),
        (
            ["--data", "mined.jsonl", "--mine", "1"],
            "mined.jsonl: has hard negatives already; train on it as it is",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_on_is_one_line(options: list[str], message: str, run: Run) -> None:
    if "mined.jsonl" in options:
        run("mine", "base", "--data", "xquad-r", "--languages", "en,de", "--out", "mined.jsonl", "-k", "1", "-q")
    code, printed, error = run(
        "train", *TRAIN, "--data", "xquad-r", "--languages", "en,de", "--output", "out", *options
    )
    assert (code, printed) == (2, "")
    assert error.startswith("error: ") and message in error
    assert not Path("out").exists()
