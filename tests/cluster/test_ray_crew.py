"""The driver of Ray's workers, without Ray: what is lost is counted again, and what cannot be counted is one line."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import mteb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mteb.models.model_implementations import MODEL_REGISTRY

from beir_hybrid.cluster import ray_engine
from beir_hybrid.cluster.ray_cluster import Workers
from beir_hybrid.cluster.ray_crew import MOST_LOST, RayCrew
from beir_hybrid.cluster.ray_engine import RayModel
from beir_hybrid.cluster.ray_worker import Job, Worker
from beir_hybrid.corpora import spec_of
from beir_hybrid.errors import BeirHybridError, ModelError
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import TASKS, XQuADR
from tests.support import small_xquad
from tests.support.fake_ray import FakeRay
from tests.support.helpers import property_test
from tests.support.mteb_models import CountingEncoder, WordSearch, meta_of, vector_of

MODEL = "tests/counting"


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patched:
        folder = small_xquad.be_read(tmp_path_factory.mktemp("crew"), patched)
        patched.setenv("BEIR_HYBRID_CHUNK_SIZE", "2")
        patched.setenv("BEIR_HYBRID_CHECKPOINT_SECONDS", "0")
        use(patched, CountingEncoder())
        yield folder


def use(patched: pytest.MonkeyPatch, model: Any, name: str = MODEL) -> None:
    """Let workers load a model by its name."""
    patched.setitem(MODEL_REGISTRY, name, meta_of(name.removeprefix("tests/"), loader=lambda *_, **__: model))


def evaluate(ray: FakeRay, folder: Path, model: str = MODEL, workers: int = 3, **options: Any) -> bytes:
    """Evaluate by Ray's workers and return the rank table."""
    crew = RayCrew(ray, Workers(workers, 1, 0), model, None)
    stand_in = RayModel(crew)
    try:
        run(stand_in, folder, **options)
        stand_in.finish()
    finally:
        stand_in.release()
        crew.end()
    return table(folder)


def run(model: Any, folder: Path, **options: Any) -> None:
    task = XQuADR().filter_languages(["eng", "deu"])
    task.ranks_folder = folder
    quiet: Any = {"show_progress_bar": False}
    mteb.evaluate(model, task, cache=None, co2_tracker=False, encode_kwargs=quiet, **options)


def table(folder: Path) -> bytes:
    [path] = rank_table.rank_tables_below(folder)
    return path.read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, home: Path) -> bytes:
    """Return the rank table of one process."""
    folder = tmp_path_factory.mktemp("alone")
    run(CountingEncoder(), folder)
    return table(folder)


@property_test(5)
@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(0, 0.3))
def test_whatever_is_lost_the_rank_table_is_that_of_one_process(
    alone: bytes, tmp_path_factory: pytest.TempPathFactory, home: Path, seed: int, workers: int, share: float
) -> None:
    chance, bar = random.Random(seed), MagicMock()
    ray = FakeRay(lambda _: chance.random() < share, seed)
    with patch.object(ray_engine, "tqdm", bar):
        assert evaluate(ray, tmp_path_factory.mktemp("lost"), workers=workers) == alone
    shown = bar.return_value.__enter__.return_value
    assert sum(call.args[0] for call in shown.update.call_args_list) == bar.call_args.kwargs["total"] == 11
    assert not list(home.rglob("counts-*"))
    assert all(actor.dead for actor in ray.actors)


def test_a_driver_that_ended_goes_on_where_it_was(alone: bytes, tmp_path: Path, home: Path) -> None:
    def end_after(calls: int) -> FakeRay:
        def is_lost(method: str) -> bool:
            if ray.calls.count("hand_over") == calls:
                raise KeyboardInterrupt
            return False

        ray = FakeRay(is_lost)
        return ray

    with pytest.raises(KeyboardInterrupt):
        evaluate(end_after(4), tmp_path / "ended")
    resumed = FakeRay()
    assert evaluate(resumed, tmp_path / "resumed") == alone
    undisturbed = FakeRay()
    evaluate(undisturbed, tmp_path / "undisturbed")
    assert resumed.calls.count("count") == undisturbed.calls.count("count") - 4
    assert "prepare" in undisturbed.calls and "prepare" not in resumed.calls


def test_counts_of_a_model_that_has_changed_are_left_alone(tmp_path: Path, home: Path) -> None:
    ended = FakeRay(lambda _: _ == "hand_over" and ended.calls.count("count") > 5 and 1 / 0 > 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(ended, tmp_path / "ended")
    with pytest.MonkeyPatch.context() as patched:
        use(patched, CountingEncoder(lambda text: vector_of(text + "!")))
        other = evaluate(FakeRay(), tmp_path / "changed")
        run(CountingEncoder(lambda text: vector_of(text + "!")), tmp_path / "alone")
    assert other == table(tmp_path / "alone")
    left = list(home.rglob("counts-*"))
    assert len(left) == 1
    left[0].unlink()


def test_an_error_of_a_worker_is_the_one_line_that_it_is_in_one_process(tmp_path: Path) -> None:
    def spoil(embeddings: np.ndarray, prompt_type: Any, **_: Any) -> np.ndarray:
        embeddings[-1] = np.nan if prompt_type == "document" else embeddings[-1]
        return embeddings

    with pytest.MonkeyPatch.context() as patched:
        use(patched, CountingEncoder(spoil=spoil, name="spoilt"), "tests/spoilt")
        with pytest.raises(ModelError, match="is not finite"):
            evaluate(FakeRay(), tmp_path, "tests/spoilt")
        use(patched, WordSearch("words"), "tests/words")
        with pytest.raises(ModelError, match="searches and does not embed: evaluate it without --engine ray"):
            evaluate(FakeRay(), tmp_path, "tests/words")
        with pytest.raises(ModelError, match="cannot load the model"):
            evaluate(FakeRay(), tmp_path, "tests/nothing")
    assert not list(tmp_path.rglob("*.parquet"))


def test_workers_that_never_come_to_count_are_given_up(tmp_path: Path) -> None:
    ray = FakeRay(lambda method: method == "begin")
    with pytest.raises(BeirHybridError, match=r"23 workers in a row were lost .* \(The actor died\.\)") as error:
        evaluate(ray, tmp_path, workers=2)
    assert "\n" not in str(error.value)
    assert len(ray.actors) == MOST_LOST + 2 + 2


def test_a_node_with_another_model_is_named() -> None:
    job = Job({"task": "XQuADR", "subsets": ["de-de"]}, "test", {}, None, None)
    with pytest.raises(BeirHybridError, match=r"another evaluation .*, by its model_revision: ") as error:
        Worker(MODEL, None).begin(job, json.dumps({"task": "XQuADR", "model_revision": "2"}), {})
    assert "\n" not in str(error.value)


def test_no_predictions_are_written_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    evaluate(FakeRay(), tmp_path, prediction_folder=tmp_path)
    assert "writes no predictions" in caplog.text
    assert not list(tmp_path.rglob("*predictions*"))


def test_the_language_bias_task_is_counted_by_workers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_CHUNK_SIZE", "100")
    [bias] = [task for task in TASKS if task.metadata.name == spec_of("xquad-r").task.bias_name]
    crew = RayCrew(FakeRay(), Workers(2, 1, 0), MODEL, None)
    quiet: Any = {"encode_kwargs": {"show_progress_bar": False}, "cache": None, "co2_tracker": False}
    by_ray, alone = (
        mteb.evaluate(model, bias(), **quiet).task_results[0].scores for model in (RayModel(crew), CountingEncoder())
    )
    assert by_ray == alone


def test_tasks_of_mteb_are_refused(tmp_path: Path) -> None:
    crew = RayCrew(FakeRay(), Workers(1, 1, 0), MODEL, None)
    with pytest.raises(ModelError, match="counts the ranks of BEIR-Hybrid's tasks; evaluate Other without it"):
        RayModel(crew).encode([], task_metadata=meta_of("x").model_copy(update={"name": "Other"}))


def test_actors_have_names_and_what_they_need(home: Path) -> None:
    ray = FakeRay()
    RayCrew(ray, Workers(2, 3, 0.5), MODEL, None)
    first, second = (actor.options for actor in ray.actors)
    assert first["name"].endswith("worker 1") and second["name"].endswith("worker 2")
    assert (first["num_cpus"], first["num_gpus"]) == (3, 0.5)
    assert first["runtime_env"]["env_vars"]["BEIR_HYBRID_CHUNK_SIZE"] == "2"
