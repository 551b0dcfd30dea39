"""The scripts of examples/: each is a page, runs on small models and data, and does what it says at its head."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

import beir_hybrid as bh
from tests.support.small_models import save_labse
from tests.support.tiny_model import tiny_model
from tests.tasks.test_xquad_r import use_small_data

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
HELP_CENTRE = EXAMPLES / "help-centre"
SCRIPTS = {path.stem: path for path in EXAMPLES.glob("*.py")}
COVERED = {
    "beir_five_lines",
    "compare_models",
    "debias_model",
    "evaluate_model",
    "own_corpus",
    "train_mixed_batches",
}

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs an example in a new folder, and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def run_script(name: str, *arguments: str | Path) -> str:
        script = str(SCRIPTS[name])
        monkeypatch.setattr("sys.argv", [script, *map(str, arguments)])
        runpy.run_path(script, run_name="__main__")
        return capsys.readouterr().out

    return run_script


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Save two models that know the words of help-centre and of three languages of Atlas-R, by different vectors."""
    folder = tmp_path_factory.mktemp("models")
    corpora = bh.load(HELP_CENTRE), bh.load("atlas-r", ["de", "en", "es"])
    parts = [part for corpus in corpora for part in corpus.languages.values()]
    texts = " ".join(text for part in parts for text in [*part.questions, *part.passages])
    words = sorted(set(re.findall(r"\w+|[^\w\s]+", texts)))
    for seed in (0, 1):
        tiny_model(seed, words=words).save_pretrained(str(folder / f"seed-{seed}"), create_model_card=False)
    return folder / "seed-0", folder / "seed-1"


def test_all_are_tested_and_listed() -> None:
    assert set(SCRIPTS) == COVERED
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"[{name}.py]({name}.py)" in index for name in SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=lambda path: path.stem)
def test_it_is_a_page_and_says_what_it_does(script: Path) -> None:
    code = script.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(code))
    assert said is not None and f"python {script.name}" in said and "print" in said
    assert len(code.splitlines()) <= 60


def test_the_documentation_shows_the_training_as_it_is() -> None:
    code = SCRIPTS["train_mixed_batches"].read_text(encoding="utf-8")
    assert f"```python\n{code}```\n" in (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_a_function_is_a_model(run: Run, tmp_path: Path) -> None:
    printed = run("evaluate_model")
    assert "callable/letters on HelpCentre, mAP" in printed
    assert "same_language_share_at_10" in printed and "one_target_map" in printed
    kinds = {path.suffix for path in (tmp_path / "evaluation").rglob("*") if path.is_file()}
    assert kinds >= {".parquet", ".json", ".png", ".svg"}


def test_a_folder_is_a_model(run: Run, models: tuple[Path, Path], tmp_path: Path) -> None:
    assert " on HelpCentre, mAP" in run("evaluate_model", models[0], HELP_CENTRE, "out")
    assert list((tmp_path / "out").rglob("HelpCentre.parquet"))


def test_own_corpus(run: Run, models: tuple[Path, Path], tmp_path: Path) -> None:
    printed = run("own_corpus", "mine", models[0])
    assert "fr: 2 questions, 3 passages" in printed and " on CityBikes, mAP" in printed
    corpus = bh.load(tmp_path / "mine")
    assert [part.question_ids for part in corpus.languages.values()] == [("0", "1")] * 3


def test_train_mixed_batches(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_data(tmp_path, monkeypatch)
    printed = run("train_mixed_batches", save_labse(tmp_path / "base"), "mlqa-r", "xquad-r", "out")
    before, after = re.findall(r"^(?:before|after): .*'xquad-r_multilingual_map': ([\d.]+)", printed, re.MULTILINE)
    assert 0 < float(before) <= 1 and 0 < float(after) <= 1
    assert SentenceTransformer("out").encode("en question q0?").shape == (16,)


def test_debias_model(run: Run, models: tuple[Path, Path]) -> None:
    printed = run("debias_model", models[0], "out")
    assert "example/after less example/before on AtlasR" in printed
    before, after = re.findall(r"example/\w+ on AtlasR\S*, mAP\n.*\n\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+([\d.]+)", printed)
    assert float(after) < float(before), "rank distance should fall"
    assert len(SentenceTransformer("out")) == len(SentenceTransformer(str(models[0]))) + 1


def test_beir_five_lines(run: Run, models: tuple[Path, Path]) -> None:
    printed = run("beir_five_lines", models[0])
    shown = re.findall(r"^English questions, pool (multi|en): nDCG@10 [\d.]+, mAP ([\d.]+)$", printed, re.MULTILINE)
    assert [pool for pool, _ in shown] == ["multi", "en"]
    assert all(0 < float(score) <= 1 for _, score in shown)


def test_compare_models(run: Run, models: tuple[Path, Path], tmp_path: Path) -> None:
    printed = run("compare_models", *models)
    assert "on HelpCentre, 12 questions, p corrected over" in printed
    assert re.search(r"^not worse by 0\.05 mAP: (shown|not shown)$", printed, re.MULTILINE)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "How many books can I borrow at once?" in page
