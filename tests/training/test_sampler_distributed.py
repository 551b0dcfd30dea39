"""The batch sampler on several processes: each step is of one kind, no row goes to two processes, runs can resume."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import run_ranks
from tests.support.sampler_processes import (
    BATCH_SIZE,
    KILLED_AFTER,
    SAVE_STEPS,
    SIZES,
    SKIPPED,
    STEPS_PER_EPOCH,
    sample,
)
from tests.support.small_pairs import LABELS_PER_PAIR
from tests.training.test_sampler import make, no_duplicates, pairs_of, shuffled

Results = list[dict[str, Any]]


def saw(folder: Path, processes: int) -> Results:
    run_ranks(partial(sample, folder, processes), processes, folder)
    return [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(processes)]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return saw(tmp_path_factory.mktemp("processes"), 2)


@pytest.fixture(scope="module", params=[2, 4])
def results(request: pytest.FixtureRequest, two: Results, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what each process saw."""
    return two if request.param == 2 else saw(tmp_path_factory.mktemp("processes"), request.param)


def steps_of(results: Results, name: str, epoch: int) -> list[list[list[int]]]:
    """Return the labels that each process got in each step."""
    return list(map(list, zip(*(result[name]["epochs"][epoch] for result in results), strict=True)))


def check_steps(steps: list[list[list[int]]], mixed: set[int]) -> None:
    """Check that steps are of one pair, or of those that are mixed (places in SIZES), and hold no row twice."""
    for step in steps:
        labels = [label for batch in step for label in batch]
        pairs = {label // LABELS_PER_PAIR for label in labels}
        assert {len(batch) for batch in step} == {BATCH_SIZE}
        assert len(pairs) == 1 or pairs <= mixed
        assert len(set(labels)) == len(labels)


MIXED = {"shuffled": set(), "no_duplicates": set(), "mixed": {2, 3}, "mixed, no duplicates": {0, 1, 2, 3}}


@pytest.mark.parametrize("name", MIXED)
def test_a_step_is_of_one_kind_and_no_row_goes_to_two_processes(results, name):
    for epoch in (0, 1):
        steps = steps_of(results, name, epoch)
        assert len(steps) == results[0][name]["length"]
        check_steps(steps, MIXED[name])
        pairs = [{label // LABELS_PER_PAIR for batch in step for label in batch} for step in steps]
        assert any(len(own) > 1 for own in pairs) == bool(MIXED[name])
    assert {result[name]["processes"] for result in results} == {len(results)}
    assert steps_of(results, name, 0) != steps_of(results, name, 1)


@pytest.mark.parametrize(
    ("name", "underlying", "options"),
    [
        ("shuffled", shuffled, {}),
        ("no_duplicates", no_duplicates, {"drop_last": True}),
        ("mixed, no duplicates", no_duplicates, {"drop_last": True, "alpha": None, "cross_lingual": "mixed"}),
    ],
)
def test_the_processes_share_out_what_one_sampler_yields(results, name, underlying, options):
    sampler = make(pairs_of(SIZES), underlying, BATCH_SIZE, processes=len(results), **options)
    sampler.set_epoch(1)
    labels = [[sampler.dataset[row]["label"] for row in batch] for batch in sampler]
    assert [batch for step in steps_of(results, name, 1) for batch in step] == labels


@pytest.mark.parametrize("name", [*MIXED, "split"])
def test_resumed_epoch_is_the_epoch_that_was_asked_for(results, name):
    for result in results:
        assert result[name]["resumed"] == result[name]["epochs"][1][SKIPPED:]


def test_split_batches_share_out_each_batch(results):
    sampler = make(pairs_of(SIZES), shuffled, BATCH_SIZE, drop_last=True, processes=1)
    expected = [[sampler.dataset[row]["label"] for row in batch] for batch in sampler]
    steps = steps_of(results, "split", 0)
    assert [[label for part in step for label in part] for step in steps] == expected
    assert len(steps) == len(sampler)


def test_killed_and_resumed_training(two):
    whole, killed, resumed = (
        list(zip(*(result["trainer"][name] for result in two), strict=True)) for name in ("whole", "killed", "resumed")
    )
    assert len(whole) == 2 * STEPS_PER_EPOCH
    check_steps([list(step) for step in whole], MIXED["mixed"])
    assert whole[:STEPS_PER_EPOCH] != whole[STEPS_PER_EPOCH:]
    assert killed == whole[:KILLED_AFTER]
    assert KILLED_AFTER > SAVE_STEPS * 2 > STEPS_PER_EPOCH  # the checkpoint is of the second epoch
    assert resumed == whole[SAVE_STEPS * 2 :]
