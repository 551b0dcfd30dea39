"""Registering with the real mteb; stand-ins for what is registered. Fails when mteb's private names move."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import mteb
import pytest
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.benchmarks.benchmark import Benchmark
from mteb.cache import ResultCache
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.model_meta import ModelMeta
from mteb.results import TaskResult

import beir_hybrid.models
import beir_hybrid.tasks
from beir_hybrid import cli
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.mteb import registration
from beir_hybrid.mteb.registration import Registered, check_mteb, register

# The package has a function of the same name.
task_registry: Any = importlib.import_module("mteb.get_tasks")
benchmark_registry: Any = importlib.import_module("mteb.benchmarks.get_benchmark")


def make_task(name: str, **changes: Any) -> type[AbsTaskRetrieval]:
    like = mteb.get_task("NFCorpus").metadata
    metadata = like.model_copy(update={"name": name, "adapted_from": None, **changes})
    return type(name, (AbsTaskRetrieval,), {"metadata": metadata})


def make_model(name: str) -> ModelMeta:
    return MODEL_REGISTRY["mteb/baseline-bm25s"].model_copy(update={"name": name})


@pytest.fixture(autouse=True)
def restored_registries() -> Iterator[None]:
    """Take back what a test registers."""
    tasks, models = dict(task_registry._TASKS_REGISTRY), dict(MODEL_REGISTRY)
    task_list = task_registry.TASK_LIST
    similar = {name: list(names) for name, names in task_registry._SIMILAR_TASKS.items()}
    yield
    for registry, before in (
        (task_registry._TASKS_REGISTRY, tasks),
        (MODEL_REGISTRY, models),
        (task_registry._SIMILAR_TASKS, similar),
    ):
        registry.clear()
        registry.update(before)
    task_registry.TASK_LIST = task_list


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let the package offer nothing, until the test sets TASKS, MODELS or BENCHMARKS."""
    monkeypatch.setattr(beir_hybrid.tasks, "TASKS", ())
    monkeypatch.setattr(beir_hybrid.tasks, "BENCHMARKS", ())
    monkeypatch.setattr(beir_hybrid.models, "MODELS", {})
    return monkeypatch


def test_what_the_package_offers_is_registered_and_built_in_tasks_are_the_same_as_without_it() -> None:
    assert register().failed == ()
    ours = {task.metadata.name: task for task in beir_hybrid.tasks.TASKS}
    built_in = task_registry._create_name_to_task_mapping(task_registry._gather_tasks())
    assert {**built_in, **ours} == task_registry._TASKS_REGISTRY
    assert not set(ours) & set(built_in)
    assert (*built_in.values(), *ours.values()) == task_registry.TASK_LIST
    assert {key: MODEL_REGISTRY[key] for key in beir_hybrid.models.MODELS} == beir_hybrid.models.MODELS


@pytest.mark.parametrize("filters", [{"languages": ["eng"]}, {"languages": ["deu", "fra"]}, {"script": ["Cyrl"]}])
def test_mtebs_filters_work_with_our_tasks_among_the_others(filters: dict[str, list[str]]) -> None:
    assert len(mteb.get_tasks(**filters)) > 100


def test_a_task_is_found_by_name_and_by_its_metadata(offer: pytest.MonkeyPatch) -> None:
    task = make_task("StandInRetrieval", adapted_from=["XQuADRetrieval"])
    offer.setattr(beir_hybrid.tasks, "TASKS", (task,))
    assert register() == Registered(tasks=("StandInRetrieval",))
    assert isinstance(mteb.get_task("StandInRetrieval"), task)
    found = mteb.get_tasks(domains=task.metadata.domains, task_types=["Retrieval"])
    assert "StandInRetrieval" in [one.metadata.name for one in found]
    assert "StandInRetrieval" in task_registry._SIMILAR_TASKS["XQuADRetrieval"]


def test_modules_of_mteb_that_have_imported_the_task_list_see_the_new_one(offer: pytest.MonkeyPatch) -> None:
    importer = ModuleType("mteb.stand_in")
    importer.TASK_LIST = task_registry.TASK_LIST  # type: ignore[attr-defined]
    offer.setitem(sys.modules, "mteb.stand_in", importer)
    task = make_task("StandInRetrieval")
    offer.setattr(beir_hybrid.tasks, "TASKS", (task,))
    register()
    assert task_registry.TASK_LIST[-1] is task
    assert importer.TASK_LIST is task_registry.TASK_LIST


def test_registering_again_adds_nothing(offer: pytest.MonkeyPatch) -> None:
    offer.setattr(beir_hybrid.tasks, "TASKS", (make_task("StandInRetrieval", adapted_from=["XQuADRetrieval"]),))
    offer.setattr(beir_hybrid.models, "MODELS", {"stand-in": make_model("beir-hybrid/stand-in")})
    assert register() == Registered(tasks=("StandInRetrieval",), models=("stand-in",))
    length = len(task_registry.TASK_LIST)
    assert register() == Registered()
    assert len(task_registry.TASK_LIST) == length
    assert task_registry._SIMILAR_TASKS["XQuADRetrieval"].count("StandInRetrieval") == 1


def test_a_models_key_may_differ_from_its_name(offer: pytest.MonkeyPatch) -> None:
    offer.setattr(beir_hybrid.models, "MODELS", {"stand-in": make_model("beir-hybrid/stand-in")})
    assert register() == Registered(models=("stand-in",))
    assert mteb.get_model_meta("stand-in").name == "beir-hybrid/stand-in"


def test_a_benchmark_is_found_after_the_others_were_looked_up(offer: pytest.MonkeyPatch) -> None:
    before = set(benchmark_registry._build_registry())
    benchmark = Benchmark(name="Stand-in (v1)", aliases=["stand-in"], tasks=mteb.get_tasks(["NFCorpus"]))
    offer.setattr(beir_hybrid.tasks, "BENCHMARKS", (benchmark,))
    try:
        assert register() == Registered(benchmarks=("Stand-in (v1)",))
        assert mteb.get_benchmark("Stand-in (v1)") is mteb.get_benchmark("stand-in") is benchmark
        assert {one.name for one in mteb.get_benchmarks()} == before | {"Stand-in (v1)"}
        assert register() == Registered()
    finally:
        del sys.modules["mteb.benchmarks.benchmarks"].Stand_in__v1_
        benchmark_registry._build_registry.cache_clear()
        benchmark_registry._build_aliases_registry.cache_clear()


def test_what_mteb_has_under_the_same_name_is_kept(offer: pytest.MonkeyPatch) -> None:
    built_in = task_registry._TASKS_REGISTRY["NFCorpus"]
    offer.setattr(beir_hybrid.tasks, "TASKS", (make_task("NFCorpus"), make_task("StandInRetrieval")))
    with pytest.warns(RuntimeWarning, match="mteb has a task of its own called 'NFCorpus'") as warned:
        assert register() == Registered(tasks=("StandInRetrieval",))
    assert len(warned) == 1
    assert task_registry._TASKS_REGISTRY["NFCorpus"] is built_in


@pytest.mark.parametrize(
    ("part", "module", "name"),
    [
        ("tasks", beir_hybrid.tasks, "TASKS"),
        ("models", beir_hybrid.models, "MODELS"),
        ("benchmarks", beir_hybrid.tasks, "BENCHMARKS"),
    ],
)
def test_each_part_fails_on_its_own(part: str, module: ModuleType, name: str, offer: pytest.MonkeyPatch) -> None:
    offer.setattr(beir_hybrid.tasks, "TASKS", (make_task("StandInRetrieval"),))
    offer.setattr(beir_hybrid.models, "MODELS", {"stand-in": make_model("beir-hybrid/stand-in")})
    offer.setattr(module, name, 1)
    with pytest.warns(RuntimeWarning, match=f"its {part} are not registered: ") as warned:
        registered = register()
    assert len(warned) == 1
    assert registered.failed == (part,)
    assert registered.tasks == (() if part == "tasks" else ("StandInRetrieval",))
    assert registered.models == (() if part == "models" else ("stand-in",))


def test_a_moved_registry_is_a_warning_that_names_it(offer: pytest.MonkeyPatch) -> None:
    offer.setattr(beir_hybrid.tasks, "TASKS", (make_task("StandInRetrieval"),))
    offer.delattr(task_registry, "_TASKS_REGISTRY")
    with pytest.warns(RuntimeWarning, match="_TASKS_REGISTRY"):
        assert registration.register().failed == ("tasks",)
    offer.undo()


def test_importing_mteb_with_everything_registered_loads_no_torch() -> None:
    heavy = ["torch", "transformers", "sentence_transformers", "faiss", "matplotlib", "beir", "accelerate"]
    code = f"""
import mteb, sys
from beir_hybrid.mteb.registration import register
register()
assert mteb.get_task("XQuADR").metadata.name == "XQuADR"
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


UNSUPPORTED = [
    ("1.39.7", "2.26.5 or newer, 1.39.7 is installed: pip install -U mteb"),
    ("2.5.0", "2.26.5 or newer, 2.5.0 is installed: pip install -U mteb"),
    ("2.26.4", "2.26.5 or newer, 2.26.4 is installed: pip install -U mteb"),
    ("3.0.0rc1", 'older than 3, 3.0.0rc1 is installed: pip install "mteb<3"'),
    ("4.2", 'older than 3, 4.2 is installed: pip install "mteb<3"'),
]


@pytest.mark.parametrize(("installed", "said"), UNSUPPORTED)
def test_an_unsupported_mteb_is_one_line_and_nothing_is_registered(
    installed: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "version", lambda _: installed)
    before = dict(MODEL_REGISTRY)
    with pytest.warns(RuntimeWarning) as warned:
        assert register() == Registered(failed=("tasks", "models", "benchmarks"))
    assert [str(one.message) for one in warned] == [f"BEIR-Hybrid needs mteb {said}"]
    assert before == MODEL_REGISTRY


@pytest.mark.parametrize("installed", ["2.26.5", "2.26.24", "2.27", "2.30.0.dev1", "2.100.0"])
def test_supported_versions_of_mteb(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "version", lambda _: installed)
    check_mteb()


def test_without_mteb_one_line_says_so_and_a_checkout_on_the_path_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(registration, "version", not_installed)
    check_mteb()
    monkeypatch.setattr(registration, "find_spec", lambda _: None)
    with pytest.raises(BeirHybridError, match=r"needs mteb 2\.26\.5 or newer, none is installed: pip install -U mteb$"):
        check_mteb()


@pytest.mark.parametrize(
    "command",
    [
        "mteb available-tasks",
        "train --base x --data mlqa-r --output o",
        "quickstart",
        "study --preset offline",
        "leaderboard",
    ],
)
def test_commands_that_need_mteb_say_it_in_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registration, "version", lambda _: "2.5.0")
    monkeypatch.setattr(sys, "argv", ["beir-hybrid", *command.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = "error: BEIR-Hybrid needs mteb 2.26.5 or newer, 2.5.0 is installed: pip install -U mteb\n"
    assert capsys.readouterr() == ("", said)
    assert not list(tmp_path.iterdir())


def test_the_supported_versions_are_those_that_pip_installs() -> None:
    setup = ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    bounds = f"mteb>={registration.OLDEST_MTEB},<{registration.TOO_NEW_MTEB}"
    assert bounds in setup["options"]["install_requires"].split()


def result_file(cache: ResultCache, task: str, content: str) -> Path:
    path: Path = cache.get_task_result_path(task, "me/model", "1")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (1, 1))
    return path


WHOLE = TaskResult.model_construct(
    dataset_revision="1", task_name="XQuADR", mteb_version=mteb.__version__, scores={}, evaluation_time=1.0
).model_dump_json()


@pytest.mark.parametrize("content", ["", "{", WHOLE[:-1], WHOLE[: len(WHOLE) // 2]])
def test_a_result_of_ours_that_was_cut_is_set_aside(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    register()
    cache = ResultCache(tmp_path)
    path = result_file(cache, "XQuADR", content)
    assert cache.load_task_result("XQuADR", "me/model", "1") is None
    assert [file.name for file in path.parent.iterdir()] == ["XQuADR.json.damaged"]
    assert path.with_name("XQuADR.json.damaged").read_text() == content
    [line] = caplog.messages
    assert line.endswith("XQuADR.json.damaged, and is computed again.")
    result_file(cache, "XQuADR", WHOLE)
    assert cache.load_task_result("XQuADR", "me/model", "1").task_name == "XQuADR"


def test_a_cut_file_about_the_model_is_set_aside_and_the_results_are_read(tmp_path: Path) -> None:
    register()
    cache = ResultCache(tmp_path)
    path = result_file(cache, "XQuADR", WHOLE)
    path.with_name("model_meta.json").write_text('{"name": "me/mo')
    os.utime(path.with_name("model_meta.json"), (1, 1))
    assert cache.load_task_result("XQuADR", "me/model", "1").task_name == "XQuADR"
    assert sorted(file.name for file in path.parent.iterdir()) == ["XQuADR.json", "model_meta.json.damaged"]


@pytest.mark.parametrize(
    ("name", "revision", "kept"),
    [
        ("me/model", "1", True),
        ("no_model_name/available", "1", False),
        ("me/model", "no_revision_available", False),
    ],
)
def test_the_result_of_a_model_without_a_name_is_not_taken_for_anothers(
    name: str, revision: str, kept: bool, tmp_path: Path
) -> None:
    register()
    register()
    module = importlib.import_module("mteb.evaluate")
    cache, meta = ResultCache(tmp_path), ModelMeta.create_empty({"name": name, "revision": revision})
    path = cache.get_task_result_path("XQuADR", meta)
    for number in (1, 2):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(WHOLE)
        for strategy in ("never", "only-cache", "always"):
            with suppress(ValueError):
                module._check_cache(mteb.get_task("XQuADR"), meta, cache, module.OverwriteStrategy(strategy))
            assert path.exists()
        module._check_cache(mteb.get_task("XQuADR"), meta, cache, module.OverwriteStrategy.ONLY_MISSING)
        assert path.exists() is kept
        assert path.with_name(f"XQuADR.json.{number}").exists() is not kept


@pytest.mark.parametrize(("task", "content"), [("NFCorpus", "{"), ("XQuADR", '{"scores": 1}'), ("XQuADR", "[]")])
def test_other_results_and_whole_files_stay_where_they_are(task: str, content: str, tmp_path: Path) -> None:
    register()
    cache = ResultCache(tmp_path)
    path = result_file(cache, task, content)
    with pytest.raises(Exception):  # noqa: B017  (whatever mteb says of it)
        cache.load_task_result(task, "me/model", "1")
    assert path.read_text() == content


def test_a_result_that_is_being_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    cache = ResultCache(tmp_path)
    path = result_file(cache, "XQuADR", "{")
    os.utime(path)
    monkeypatch.setattr(registration.time, "sleep", lambda seconds: path.write_text(WHOLE) and None)
    assert cache.load_task_result("XQuADR", "me/model", "1").task_name == "XQuADR"
    assert path.read_text() == WHOLE


@pytest.mark.parametrize(("shard", "taken"), [(None, []), ("auto", [3]), ("2/4", [])])
def test_models_of_shards_are_loaded_on_a_gpu_each(
    shard: str | None, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    seen: list[int] = []
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("BEIR_HYBRID_SHARD", raising=False)
    for name, value in {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "3", "BEIR_HYBRID_SHARD": shard}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    model = object()
    monkeypatch.setitem(MODEL_REGISTRY, "a/b", make_model("a/b").model_copy(update={"loader": lambda *_, **__: model}))
    register()
    with suppress(Exception):  # what mteb asks of a model does not matter here
        mteb.get_model("a/b")
    assert seen == taken
