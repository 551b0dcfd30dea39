"""Enters our tasks, models and benchmarks into mteb's registries.

mteb has no interface for plug-ins. The names used here are private to it, and this is the only module that knows them;
tests/test_registration.py fails when they move.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any

from beir_hybrid.errors import BeirHybridError, NoScoresYet

OLDEST_MTEB, TOO_NEW_MTEB = "2.26.5", "3"
"""What setup.cfg says, too; but an mteb can be installed beside us without a look at it."""

logger = logging.getLogger("mteb.beir_hybrid")

_MODEL_META = "model_meta.json"
"""mteb's file of what it knows of a model, beside the results."""

_WRITING_SECONDS = 1.0
"""How long mteb may take to write a result file."""


@dataclass(frozen=True)
class Registered:
    """What one call of `register` did.

    Attributes:
        tasks: Names of the tasks it added.
        models: Registry keys of the models it added.
        benchmarks: Names of the benchmarks it added.
        failed: The parts ("tasks", "models", "benchmarks") that could not be registered; each was warned about.
    """

    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def check_mteb() -> None:
    """Make sure that the mteb installed here is one that this package works with; imports nothing.

    Raises:
        BeirHybridError: It is too old or too new, or there is none.
    """
    try:
        installed = version("mteb")
    except PackageNotFoundError:
        if find_spec("mteb"):
            return  # a checkout on the path
        installed = "none"
    if installed == "none" or _numbers(installed) < _numbers(OLDEST_MTEB):
        needed, install = f"{OLDEST_MTEB} or newer", "-U mteb"
    elif _numbers(installed) >= _numbers(TOO_NEW_MTEB):
        needed, install = f"older than {TOO_NEW_MTEB}", f'"mteb<{TOO_NEW_MTEB}"'
    else:
        return
    raise BeirHybridError(f"BEIR-Hybrid needs mteb {needed}, {installed} is installed: pip install {install}")


def _numbers(version_of_mteb: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version_of_mteb)[:3]]


def register() -> Registered:
    """Register the tasks, models and benchmarks of this package with mteb.

    What is registered already is left alone, so calling it again does nothing. What mteb has under the same name is
    never replaced: that is a warning. A part that fails is a warning too, and the others go on. With an unsupported
    mteb nothing is registered, and that is one warning.

    Returns:
        What this call added.
    """
    parts: dict[str, Callable[[], list[str]]] = {
        "tasks": _register_tasks,
        "models": _register_models,
        "benchmarks": _register_benchmarks,
    }
    try:
        check_mteb()
    except BeirHybridError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        return Registered(failed=tuple(parts))
    added: dict[str, tuple[str, ...]] = {}
    failed = []
    for part, register_part in parts.items():
        try:
            added[part] = tuple(register_part())
        except Exception as error:
            failed.append(part)
            _warn(f"its {part} are not registered: {type(error).__name__}: {error}")
    for guard, missing in (
        (_survive_cut_results, "a result file that is cut ends the next run"),
        (_keep_models_without_a_name_apart, "results of models without a name may be mixed"),
        (_evaluate_in_one_pass, "a shard of a run ends in an error, and results are saved once a subset"),
        (_let_shards_take_their_gpu, "shards of one machine share a GPU"),
    ):
        try:
            guard()
        except Exception as error:
            _warn(f"{missing}: {type(error).__name__}: {error}")
    return Registered(**added, failed=tuple(failed))


def _register_tasks() -> list[str]:
    # `mteb.get_tasks` is also the name of a function, which hides the module from an ordinary import.
    registry = importlib.import_module("mteb.get_tasks")
    from beir_hybrid.tasks import TASKS

    tasks = {task.metadata.name: task for task in TASKS}
    added = _add_new("task", tasks, registry._TASKS_REGISTRY)
    if added:
        new = tuple(tasks[name] for name in added)
        _rebind("TASK_LIST", registry.TASK_LIST, (*registry.TASK_LIST, *new))
        for original, similar in registry._create_similar_tasks(new).items():
            registry._SIMILAR_TASKS.setdefault(original, []).extend(similar)
    return added


def _survive_cut_results() -> None:
    """Let mteb compute a result of ours again whose file was cut by a kill, where it would end in a traceback.

    mteb writes result files in place, after each subset, and what it knows of the model beside them.
    """
    from mteb.cache import ResultCache

    def load_task_result(load: Any, self: Any, task_name: str, model_name: Any, *args: Any, **kwargs: Any) -> Any:
        from beir_hybrid.tasks import TASKS

        if any(task.metadata.name == task_name for task in TASKS):
            revision = kwargs.get("model_revision", args[0] if args else None)
            experiment = {name: kwargs[name] for name in ("experiment_name",) if name in kwargs}
            path = self.get_task_result_path(task_name, model_name, revision, **experiment)
            for file, outcome in ((path, ", and is computed again"), (path.with_name(_MODEL_META), "")):
                if file.exists() and _is_cut(file):
                    _set_aside(file, outcome)
        return load(self, task_name, model_name, *args, **kwargs)

    ResultCache.load_task_result = _guarded(ResultCache.load_task_result, load_task_result)  # type: ignore[method-assign]


def _keep_models_without_a_name_apart() -> None:
    """Let mteb not complete a result of ours by that of another model, where neither has a name.

    mteb calls every local model object ``no_model_name/available``, and takes what it finds under that name for results
    of the one at hand, whose ever they are. The file that is there is kept, under another name.
    """
    module: Any = importlib.import_module("mteb.evaluate")

    def check_cache(check: Any, task: Any, meta: Any, cache: Any, overwrite_strategy: Any) -> Any:
        from beir_hybrid.ranks.schema import is_named
        from beir_hybrid.tasks import TASKS

        asks = cache is not None and overwrite_strategy == module.OverwriteStrategy.ONLY_MISSING
        ours = any(isinstance(task, kind) for kind in TASKS)
        if asks and ours and not is_named(meta.name, meta.revision):
            path = cache.get_task_result_path(task.metadata.name, meta)
            if path.exists():
                kept = next(kept for n in count(1) if not (kept := path.with_name(f"{path.name}.{n}")).exists())
                os.replace(path, kept)
                logger.warning(f"{path} may be of another model, since it has no name: it is now {kept.name}.")
        return check(task, meta, cache, overwrite_strategy)

    module._check_cache = _guarded(module._check_cache, check_cache)


def _evaluate_in_one_pass() -> None:
    """Let mteb take note of how tasks of ours come by their scores.

    Of a task that has counted a shard of a run it files nothing, and goes on with the next task: a result without
    scores would be taken for done. Where one pass gives the scores of all subsets, it files them once, at the end, as
    it does anyway: after each subset it would write all results anew, those of 132 subsets in a quadratic time.
    """
    module: Any = importlib.import_module("mteb.evaluate")

    def evaluate_task(evaluate: Any, *args: Any, **kwargs: Any) -> Any:
        call = signature(evaluate).bind(*args, **kwargs)
        task = call.arguments["task"]
        loaded = task.data_loaded
        try:
            if call.arguments.get("cache") is not None and _comes_at_once(**call.arguments):
                call.arguments["cache"] = None
            return evaluate(*call.args, **call.kwargs)
        except NoScoresYet as counted:
            logger.info(str(counted))
            if not loaded:
                task.unload_data()
            return module.TaskError(task_name=task.metadata.name, exception=str(counted))

    module._evaluate_task = _guarded(module._evaluate_task, evaluate_task)


def _comes_at_once(task: Any, model: Any, splits: Any, **_: Any) -> bool:
    from beir_hybrid.tasks import AbsTaskParallelRetrieval

    return isinstance(task, AbsTaskParallelRetrieval) and len(splits) == 1 and task.comes_at_once(model)


def _let_shards_take_their_gpu() -> None:
    """Let the processes of a launcher, each asked for its shard, load their models on a GPU each."""
    import mteb

    def get_model(get: Any, *args: Any, **kwargs: Any) -> Any:
        from beir_hybrid.scoring.shards import asked_shard

        shard = asked_shard()
        if shard is not None:
            shard.take_gpu()
        return get(*args, **kwargs)

    mteb.get_model = _guarded(mteb.get_model, get_model)


def _guarded(original: Any, guard: Callable[..., Any]) -> Any:
    """Return a function that calls ``guard`` with the original and its arguments; once only, however often called."""
    if getattr(original, "guarded_by_beir_hybrid", False):
        return original

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return guard(original, *args, **kwargs)

    call.guarded_by_beir_hybrid = True  # type: ignore[attr-defined]
    return call


def _is_cut(path: Path) -> bool:
    """Whether a JSON file ends too early, and is not one that another process is writing at this moment."""
    for _ in range(2):
        try:
            json.loads(path.read_bytes())
            return False
        except (ValueError, RecursionError):
            age = time.time() - path.stat().st_mtime
            if age > _WRITING_SECONDS:
                return True
            time.sleep(_WRITING_SECONDS)
        except OSError:
            return False
    return True


def _set_aside(path: Path, outcome: str) -> None:
    damaged = path.with_name(f"{path.name}.damaged")
    os.replace(path, damaged)
    logger.warning(f"{path} was cut short while it was written: it is now {damaged.name}{outcome}.")


def _register_models() -> list[str]:
    from mteb.models.model_implementations import MODEL_REGISTRY

    from beir_hybrid.models import MODELS

    _let_checkpoints_be_named()
    return _add_new("model", MODELS, MODEL_REGISTRY)


def _let_checkpoints_be_named() -> None:
    """Let `mteb run -m <folder>` load the folder of a model, and `-m ours` the checkpoint that is there now.

    mteb itself looks for any other name on the hub only, and lists fixed metadata.
    """
    import mteb

    module: Any = importlib.import_module("mteb.models.get_model_meta")
    of_mteb = module.get_model_meta

    def get_model_meta(original: Any, model_name: str, *args: Any, **kwargs: Any) -> Any:
        from beir_hybrid.models import ours
        from beir_hybrid.models.model_files import is_model_folder

        listed = module.MODEL_REGISTRY.get(model_name)
        if not (isinstance(listed, ours.OursMeta) or (listed is None and is_model_folder(model_name))):
            return original(model_name, *args, **kwargs)
        asked = signature(original).bind(model_name, *args, **kwargs).arguments
        taken = ("revision", "fill_missing", "experiment_kwargs")
        folder = model_name if listed is None else None
        return ours.model_meta(folder, **{name: asked[name] for name in taken if name in asked})

    mteb.get_model_meta = _guarded(of_mteb, get_model_meta)
    _rebind("get_model_meta", of_mteb, mteb.get_model_meta)


def _register_benchmarks() -> list[str]:
    from beir_hybrid import tasks

    benchmarks = {benchmark.name: benchmark for benchmark in tasks.BENCHMARKS}
    if not benchmarks:
        return []
    if "mteb.benchmarks.benchmarks" in sys.modules:
        return _add_benchmarks(benchmarks)
    # Importing mteb's benchmarks takes half a second, which everybody who imports mteb would pay. Ours are added when
    # mteb first looks one up.
    registry: Any = importlib.import_module("mteb.benchmarks.get_benchmark")
    build = registry._build_registry

    @cache
    def add_ours_and_build() -> dict[str, Any]:
        registry._build_registry = build
        _add_benchmarks(benchmarks)
        return build()

    registry._build_registry = add_ours_and_build
    return list(benchmarks)


def _add_benchmarks(benchmarks: dict[str, Any]) -> list[str]:
    module = importlib.import_module("mteb.benchmarks.benchmarks")
    registry = importlib.import_module("mteb.benchmarks.get_benchmark")
    known = {**registry._build_registry(), **registry._build_aliases_registry()}
    added = _add_new("benchmark", benchmarks, known)
    for name in added:
        setattr(module, re.sub(r"\W", "_", name), benchmarks[name])
    registry._build_registry.cache_clear()
    registry._build_aliases_registry.cache_clear()
    return added


def _add_new(kind: str, ours: dict[str, Any], registry: dict[str, Any]) -> list[str]:
    """Add to a registry of mteb what it has no entry for, and return the names of what was added."""
    added = []
    for name, entry in ours.items():
        if name not in registry:
            registry[name] = entry
            added.append(name)
        elif registry[name] is not entry:
            _warn(f"mteb has a {kind} of its own called {name!r}; that one is used")
    return added


def _rebind(name: str, old: object, new: object) -> None:
    """Give a name a new value in every loaded module of mteb that imported the old value."""
    for path, module in list(sys.modules.items()):
        if path.startswith("mteb.") and vars(module).get(name) is old:
            setattr(module, name, new)


def _warn(problem: str) -> None:
    warnings.warn(f"BEIR-Hybrid: {' '.join(problem.split())}", RuntimeWarning, stacklevel=3)
