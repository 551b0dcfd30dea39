"""The benchmark BEIR-Hybrid: which tasks it runs, and what it does without MIRACL."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import mteb
import pytest
from mteb.cache import ResultCache

from beir_hybrid.ranks.model_state import SAMPLED_TEXTS
from beir_hybrid.tasks import BENCHMARKS, MLQAR
from tests.support import small_miracl
from tests.support.mteb_models import CountingEncoder
from tests.tasks.test_xquad_r import use_small_data

BEIR_HYBRID, NANO_BEIR = BENCHMARKS
LOCAL = ["XQuADR", "XQuADRLanguageBias", "MLQAR", "MLQARLanguageBias"]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BEIR_HYBRID_MIRACL", raising=False)
    monkeypatch.setattr(BEIR_HYBRID.tasks, "_said", set())
    return use_small_data(tmp_path, monkeypatch)


def test_without_miracl_the_others_run_and_one_line_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = CountingEncoder()
    with caplog.at_level(logging.WARNING, logger="mteb.beir_hybrid"):
        tasks = mteb.get_benchmark("BEIR-Hybrid").tasks
        results = mteb.evaluate(model, tasks, cache=ResultCache(tmp_path), co2_tracker=False, show_progress_bar=False)
    assert [result.task_name for result in results.task_results] == LOCAL
    [line] = [record.getMessage() for record in caplog.records if "MIRACLCL" in record.getMessage()]
    assert line.startswith("MIRACLCL is skipped: ") and "BEIR_HYBRID_MIRACL" in line and "\n" not in line
    # XQuAD-R has 11 languages and MLQA-R 7; each text is encoded once, and each bias task encodes a sample of them,
    # which tells whether the model is still the same.
    n_texts = 11 * 9 + 1 + 7 * 9 + 1
    assert n_texts < len(model.texts) <= n_texts + 2 * SAMPLED_TEXTS


def test_with_a_copy_of_miracl_it_runs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_MIRACL", str(small_miracl.write(tmp_path / "miracl")))
    assert [task.metadata.name for task in mteb.get_benchmark("BEIR-Hybrid").tasks] == [*LOCAL, "MIRACLCL"]


def test_its_tasks_are_the_same_each_time_and_new_ones_for_other_data(data: Path) -> None:
    tasks = BEIR_HYBRID.tasks
    assert [*tasks] == [tasks[place] for place in range(len(tasks))] == [*tasks[:]]
    assert tasks[0] is tasks[0] and tasks[-1] is list(tasks)[-1]
    before = tasks[0]
    path = data / "lareqa/xquad-r/de.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert tasks[0] is not before
    assert tasks[0].metadata.revision == type(before)().metadata.revision != before.metadata.revision


def test_counting_its_tasks_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(task: object) -> None:
        raise AssertionError("made an instance")

    monkeypatch.setattr(MLQAR, "__init__", make)
    assert len(BEIR_HYBRID.tasks) == len(LOCAL)


def test_it_costs_nothing_until_a_benchmark_is_looked_up() -> None:
    code = """
import sys, mteb
assert "mteb.benchmarks.benchmarks" not in sys.modules
assert mteb.get_benchmark("BEIR-Hybrid").name == "BEIR-Hybrid"
assert mteb.get_benchmark("MTEB(eng, v2)").name == "MTEB(eng, v2)"
assert "BEIR-Hybrid" in {benchmark.name for benchmark in mteb.get_benchmarks()}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
