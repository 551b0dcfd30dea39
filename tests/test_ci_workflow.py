"""The `run:` steps of docs/ci.md on a made-up corpus and a tiny model: one that is better, and one that is spoilt."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.support.small_folder import HEADING, write_lines
from tests.support.tiny_model import tiny_model

PAGE = Path(__file__).parents[1] / "docs" / "ci.md"
LANGUAGES = ("en", "de")
THINGS = 40
"""Things that texts are about; each has a word of its own in each language."""

ASKED = 40
"""Questions of the corpus, and pairs to train on."""


def word(language: str, thing: int) -> str:
    """Return what a thing is called: letters that it shares with no other."""
    letters = random.Random(f"{language} {thing}")
    return "".join(letters.choice("bcdfghklmnprstvwz") + letters.choice("aeiou") for _ in range(4))


def text(language: str, things: tuple[int, ...], order: int) -> str:
    """Return a text about some things."""
    return " ".join(word(language, thing) for thing in things[::order])


def write_data(folder: Path) -> None:
    """Write a corpus to evaluate on, and other pairs to train on."""
    triples = list(combinations(range(THINGS), 3))
    random.Random(1).shuffle(triples)
    apart: list[tuple[int, ...]] = []
    for triple in triples:  # no two texts share two words: none is nearly another
        if all(len(set(triple) & set(other)) < 2 for other in apart):
            apart.append(triple)
    asked, trained = apart[:ASKED], apart[ASKED : 3 * ASKED]
    corpus = folder / "help-centre"
    corpus.mkdir()
    (corpus / "corpus.toml").write_text('name = "help-centre"\nlicence = "cc0-1.0"\nlanguages = ["en", "de"]\n')
    for language in LANGUAGES:
        for kind, order in (("queries", 1), ("corpus", -1)):
            rows = [{"_id": str(n), "text": text(language, things, order)} for n, things in enumerate(asked)]
            write_lines(corpus / language / f"{kind}.jsonl", map(json.dumps, rows))
        write_lines(corpus / language / "qrels" / "test.tsv", [HEADING, *(f"{n}\t{n}\t1" for n in range(ASKED))])
    rows = [
        {
            "id": str(n),
            "language": language,
            "question": text(language, things, 1),
            "answer": text(language, things, -1),
        }
        for n, things in enumerate(trained)
        for language in LANGUAGES
    ]
    write_lines(folder / "pairs.jsonl", map(json.dumps, rows))


def steps() -> Iterator[dict[str, str]]:
    """Yield the steps that run something, but the installation."""
    [block] = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    workflow = yaml.safe_load(block)
    [job] = workflow["jobs"].values()
    for step in job["steps"]:
        if "run" in step and "pip install" not in step["run"]:
            yield step


def run(folder: Path, step: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a step as a runner of GitHub does: bash, which ends with the first command that fails."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={**os.environ, "PATH": paths, "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_workflow_lets_a_better_model_pass_and_stops_a_spoilt_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    words = [word(language, thing) for language in LANGUAGES for thing in range(THINGS)]
    write_data(tmp_path)
    tiny_model(words=words).save(str(tmp_path / "base"), create_model_card=False)
    options = {"BASE": "base", "TRAINING": "--steps 150 --batch-size 8 --learning-rate 0.05"}
    done = [run(tmp_path, step, **options) for step in steps()]
    assert [(one.returncode, one.stderr) for one in done if one.returncode] == []
    assert len(done) == 5
    summary = tmp_path / "summary.md"
    assert summary.read_text().startswith("### Not worse than the baseline by 0.01: shown\n")
    assert re.search(r"^\| multilingual mAP \|.* better \|$", summary.read_text(), re.MULTILINE)
    summary.unlink()

    # The next one is spoilt, and its baseline is the model that is there.
    shutil.rmtree(tmp_path / "baseline")
    (tmp_path / "run").rename(tmp_path / "baseline")
    tiny_model(seed=1, words=words).save(str(tmp_path / "model"), create_model_card=False)
    [evaluate, gate] = [step for step in steps() if step["name"] in ("Evaluate the model", "Gate")]
    assert run(tmp_path, evaluate, **options).returncode == 0
    assert run(tmp_path, gate, **options).returncode == 1
    assert summary.read_text().startswith("### Not worse than the baseline by 0.01: not shown\n")
    assert re.search(r"^\| multilingual mAP \|.* worse \|$", summary.read_text(), re.MULTILINE)
