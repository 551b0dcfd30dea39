"""Two to four processes at once: nothing of any is lost, and what all write is that of one of them, whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.attacks.scenarios import SCENARIOS, beir_hybrid, bytes_below, files, leaderboard, miracl, use_folder
from tests.attacks.trials import LEFTOVERS
from tests.support.processes import Act, Ended, import_all, run, run_together


@pytest.fixture
def attack(tmp_path: Path) -> Callable[..., Any]:
    """Call a function of this module with a folder as its first argument."""
    import_all()
    folder = tmp_path / "here"
    folder.mkdir()
    return partial(_call, folder)


def _call(folder: Path, function: Callable[..., Any], *arguments: Any) -> Any:
    return function(folder, *arguments)


def together(acts: Sequence[Act], folder: Path) -> None:
    """Run acts at once; all must succeed."""
    _check(*run_together(acts, folder))


def alone(act: Act, folder: Path) -> None:
    """Run an act that must succeed."""
    _check(run(act, folder))


def _check(*ended: Ended) -> None:
    failures = [f"{one.status}: {one.output[-3000:]}" for one in ended if one.status]
    assert not failures, "\n".join(failures)


def _check_clean(folder: Path) -> None:
    assert not [str(path) for path in folder.rglob("*") if path.name.endswith(LEFTOVERS)]


# The rank table

_LANGUAGES = ("de", "en", "fi", "th")


def _store(language: str) -> None:
    from beir_hybrid.ranks import SCHEMA, build, rank_table
    from tests.support.small_ranks import info_of, ranks_of

    # The questions of one language: what a run that is restricted to it knows.
    rows = [row for row in ranks_of(0.5, 20, _LANGUAGES, seed=1) if row["query_language"] == language]
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names if name != "task"}
    info = info_of("me/model", languages=_LANGUAGES)
    rank_table.store(Path("ranks.parquet"), build("XQuADR", [columns]), info)


def _stored_languages(folder: Path) -> list[int]:
    from beir_hybrid.ranks import rank_table

    rows = []
    for number in range(20):
        place = folder / str(number)
        place.mkdir()
        languages = _LANGUAGES[: 2 + number % 3]
        together([partial(_store, language) for language in languages], place)
        table, _ = rank_table.read(place / "ranks.parquet")
        rows.append(table.num_rows / len(languages))
        _check_clean(place)
    return rows


def test_runs_of_different_languages_complete_one_rank_table(attack: Callable[..., Any]) -> None:
    assert attack(_stored_languages) == [20 * len(_LANGUAGES)] * 20


# Folders of which one is the last


def _boards(folder: Path) -> tuple[bytes | dict[str, bytes], ...]:
    acts = [partial(beir_hybrid, leaderboard(ranks)) for ranks in ("new", "other")]
    alone(SCENARIOS["leaderboard"].prepare, folder)
    boards = []
    for act in acts:
        alone(act, folder)
        boards.append(bytes_below(folder / "board"))
    for _ in range(3):
        together(acts, folder)
        assert bytes_below(folder / "board") in boards
        _check_clean(folder)
    return tuple(boards)


def test_of_two_leaderboards_one_is_there_whole(attack: Callable[..., Any]) -> None:
    one, other = attack(_boards)
    assert one.keys() == other.keys() and one["main.csv"] != other["main.csv"]


_EXPORT = "export xquad-r --out datasets --force --quiet --languages"


def _exports(folder: Path) -> list[dict[str, bytes]]:
    alone(SCENARIOS["export"].prepare, folder)
    acts = [partial(beir_hybrid, f"{_EXPORT} {languages}") for languages in ("de,en", "ar,en", "th", "zh")]
    wholes = []
    for act in acts:
        alone(act, folder)
        wholes.append(bytes_below(folder / "datasets" / "xquad-r"))
    for _ in range(3):
        shutil.rmtree(folder / "datasets")
        together(acts, folder)
        assert bytes_below(folder / "datasets" / "xquad-r") in wholes
        _check_clean(folder)
    return wholes


def _subsets(export: dict[str, bytes]) -> list[str]:
    return sorted(json.loads(export[".beir-hybrid.json"])["subsets"])


def test_of_exports_of_different_languages_one_is_there_whole(attack: Callable[..., Any]) -> None:
    german, _, thai, _ = map(_subsets, attack(_exports))
    assert {"de-en", "de-multi"} <= set(german) and {"th-th"} <= set(thai) and not set(german) & set(thai)


# MIRACL

_MADE = ("results/results/tests__model/1/MIRACLCLFull.json", "home/ranks/tests__model/**/*.parquet")


def _run_miracl_twice(folder: Path) -> None:
    alone(SCENARIOS["miracl"].prepare, folder)
    shutil.copytree(folder, folder.with_name("alone"))
    alone(miracl, folder.with_name("alone"))
    expected = _in(folder.with_name("alone"), *_MADE)
    before = bytes_below(folder / "home" / "checkpoints")

    # Both are killed half way, at the same time; what they have done is there for the next one.
    log = folder.with_suffix(".log")
    killed = run_together([miracl] * 2, folder, log, kill_at=60)
    assert any(one.killed for one in killed), killed
    assert bytes_below(folder / "home" / "checkpoints").items() >= before.items()

    together([miracl] * 2, folder)
    assert _in(folder, *_MADE) == expected
    assert bytes_below(folder / "home" / "checkpoints").items() >= before.items()

    _check(run(miracl, _again(folder)))
    assert _in(folder, *_MADE) == expected


def _again(folder: Path) -> Path:
    """Let the task be run again: without its result, and without its rank table."""
    for pattern in _MADE:
        for path in folder.glob(pattern):
            path.unlink()
    return folder


def _resume_miracl(folder: Path) -> list[int]:
    """Kill a run, and return how many texts the next one encodes, and how many an undisturbed one."""
    alone(SCENARIOS["miracl"].prepare, folder)
    shutil.copytree(folder, folder.with_name("alone"))
    log = folder.with_suffix(".log")
    whole = run(miracl, folder.with_name("alone"))
    assert run(miracl, folder, log, kill_at=60).killed
    next_run = run(miracl, folder)
    assert _in(folder, *_MADE) == _in(folder.with_name("alone"), *_MADE)
    return [int(ended.output.split("encoded ")[1].split()[0]) for ended in (next_run, whole)]


def _in(folder: Path, *patterns: str) -> dict[str, Any]:
    before = Path.cwd()
    try:
        os.chdir(folder)
        made = files(*patterns)
    finally:
        os.chdir(before)
    assert made
    return made


def test_two_runs_of_one_model_leave_each_others_checkpoints_alone(attack: Callable[..., Any]) -> None:
    attack(_run_miracl_twice)


def test_a_killed_run_of_a_model_is_gone_on_with(attack: Callable[..., Any]) -> None:
    resumed, whole = attack(_resume_miracl)
    assert 0 < resumed < whole


# The embedding cache

_TEXTS = [f"text {number}" for number in range(3000)]


def _embed(texts: list[str]) -> np.ndarray:
    from tests.support.mteb_models import vector_of

    return np.stack([vector_of(text) for text in texts])


def _fill(number: int, of: int, shared: bool) -> None:
    from beir_hybrid.finetune.embedding_cache import EmbeddingCache

    cache = EmbeddingCache(Path("cache"), _embed)
    texts = _TEXTS if shared else _TEXTS[500 * number : 500 * number + 1500]
    cache.fill(texts, progress=False, share=(number, of) if shared else (0, 1))


def _fill_together(folder: Path, shared: bool) -> None:
    from beir_hybrid.finetune.embedding_cache import EmbeddingCache

    log = folder.with_suffix(".log")
    fill = [partial(_fill, number, 4, shared) for number in range(4)]
    assert all(one.killed for one in run_together(fill, folder, log, kill_at=8))
    together(fill, folder)
    cache = EmbeddingCache(folder / "cache", lambda texts: pytest.fail("encoded again"))
    np.testing.assert_array_equal(cache.read(_TEXTS), _embed(_TEXTS))


@pytest.mark.parametrize("shared", [True, False], ids=["shares", "overlaps"])
def test_processes_fill_one_embedding_cache(shared: bool, attack: Callable[..., Any]) -> None:
    attack(_fill_together, shared)


# The quickstart


def _quickstart(out: str) -> None:
    from beir_hybrid.study.definition import Experiment
    from beir_hybrid.study.quickstart import STUDY, quickstart

    use_folder()
    (base,) = STUDY.bases
    tiny = replace(base, name="base", model="base", steps=5, batch_size=2, learning_rates=(0.1,))
    small = replace(STUDY, bases=(tiny,), experiments=(Experiment("small", ("xquad-r",), ("XQuADR",)),))
    quickstart(Path(out), quiet=True, study=small)


def _quickstarts(folder: Path, outs: tuple[str, str]) -> None:
    alone(SCENARIOS["train-head"].prepare, folder)
    alone(partial(_quickstart, "alone"), folder)
    expected = _in(folder / "alone", "leaderboard/leaderboard.json", "ranks/**/*.parquet", "models/**/*.safetensors")
    together([partial(_quickstart, out) for out in outs], folder)
    for out in outs:
        made = _in(folder / out, "leaderboard/leaderboard.json", "ranks/**/*.parquet", "models/**/*.safetensors")
        assert made == expected
        sums = (folder / out / "leaderboard" / "SHA256SUMS").read_text()
        assert sums == (folder / "alone" / "leaderboard" / "SHA256SUMS").read_text()
    _check_clean(folder)


@pytest.mark.parametrize("outs", [("one", "one"), ("one", "other")], ids=["one-folder", "two-folders"])
def test_two_quickstarts_are_as_one_alone(outs: tuple[str, str], attack: Callable[..., Any]) -> None:
    attack(_quickstarts, outs)
