"""Shards: what a user writes, what launchers set, and that launchers change nothing where no shard is asked for."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.scoring import shards
from beir_hybrid.scoring.shards import SHARD, Shard, asked_for, asked_shard, check_whole

TORCHRUN = {"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}
SRUN = {"SLURM_PROCID": "1", "SLURM_NTASKS": "8", "SLURM_LOCALID": "3"}
ARRAY = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "6", "SLURM_ARRAY_TASK_MIN": "0"}
BATCH = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
"""What the script of every batch job sees; SLURM_NTASKS beside it where --ntasks was given."""


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from a process that nobody has launched."""
    for name in list(os.environ):
        if name.startswith("SLURM_") or name in (*TORCHRUN, SHARD):
            monkeypatch.delenv(name)


def launch(patch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        patch.setenv(name, value)


@pytest.mark.parametrize(
    ("text", "shard"), [("1/1", (1, 1)), ("2/4", (2, 4)), (" 04/4 ", (4, 4)), ("999/1000", (999, 1000))]
)
def test_a_shard_is_written_i_of_n(text: str, shard: tuple[int, int]) -> None:
    assert Shard.parse(text) == Shard(*shard)
    assert str(Shard.parse(text)) == f"{shard[0]}/{shard[1]}"
    assert Shard.parse(text).part == f"counts-{shard[0]}-of-{shard[1]}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0/4",
        "5/4",
        "0/0",
        "1/0",
        "-1/4",
        "2",
        "2/",
        "/4",
        "2/4/8",
        "a/b",
        "²/4",
        "1.0/4",
        "AUTO",
        f"1/{'9' * 5000}",
        "1/4\n2",
    ],
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(
        BeirHybridError, match=r"^--shard .*: write i/n, i from 1 to n, such as 2/4, or auto$"
    ) as refused:
        Shard.parse(text)
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("variables", "shard", "local"),
    [
        (TORCHRUN, "3/4", 0),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "1/2", None),
        (SRUN, "2/8", 3),
        (ARRAY, "6/6", None),
        ({"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "4"}, "2/4", None),
        ({**ARRAY, "SLURM_ARRAY_TASK_MIN": "1"}, "5/6", None),
        ({**ARRAY, "SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_STEP": "2"}, "4/6", None),
        # The first launcher that is there decides.
        (SRUN | TORCHRUN | ARRAY, "3/4", 0),
        (SRUN | ARRAY, "2/8", 3),
        # One that has started a single process does not: each of these is one of several.
        (SRUN | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, "2/8", 3),
        (BATCH | ARRAY, "6/6", None),
        (BATCH | {"SLURM_NTASKS": "1"} | ARRAY, "6/6", 0),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, "1/1", 0),
        (BATCH | {"SLURM_NTASKS": "1"}, "1/1", 0),
        ({"RANK": "3"} | SRUN, "2/8", 3),
        ({"WORLD_SIZE": "3"} | ARRAY, "6/6", None),
    ],
)
def test_auto_is_what_the_launcher_says(
    variables: dict[str, str], shard: str, local: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(monkeypatch, **variables)
    assert str(Shard.parse("auto")) == shard
    assert Shard.parse("auto").local == local


@pytest.mark.parametrize(
    "world",
    [
        {"RANK": "{}", "WORLD_SIZE": "5"},
        {"SLURM_PROCID": "{}", "SLURM_NTASKS": "5"},
        {"SLURM_ARRAY_TASK_ID": "{}", "SLURM_ARRAY_TASK_COUNT": "5"},
    ],
)
def test_the_processes_of_a_launcher_are_all_the_shards(world: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Counter()
    for number in range(5):
        launch(monkeypatch, **{name: value.format(number) for name, value in world.items()})
        seen[str(Shard.parse("auto"))] += 1
    assert seen == Counter([f"{number}/5" for number in range(1, 6)])


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "WORLD_SIZE"),
        ({"RANK": "3"}, "SLURM_ARRAY_TASK_COUNT"),
        (BATCH, "SLURM_NTASKS"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "RANK=4"),
        ({"RANK": "-1", "WORLD_SIZE": "4"}, "RANK=-1"),
        ({"RANK": "0", "WORLD_SIZE": "x\x1b[2J"}, "WORLD_SIZE=x"),
        ({"SLURM_PROCID": "8", "SLURM_NTASKS": "8"}, "SLURM_PROCID=8"),
        # --array=1,3,7: its numbers have gaps.
        (
            {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1"},
            "SLURM_ARRAY_TASK_ID=7",
        ),
        ({**ARRAY, "SLURM_ARRAY_TASK_STEP": "2"}, "SLURM_ARRAY_TASK_ID=5"),
        ({**ARRAY, "SLURM_ARRAY_TASK_MIN": "6"}, "SLURM_ARRAY_TASK_ID=5"),
    ],
)
def test_auto_without_a_launcher_that_counts_is_one_line(
    variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch(monkeypatch, **variables)
    with pytest.raises(BeirHybridError) as refused:
        Shard.parse("auto")
    message = str(refused.value)
    assert message.startswith("--shard auto: ") and named in message and "write i/n" in message
    assert message.isprintable()


def test_launchers_change_nothing_where_no_shard_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch, **TORCHRUN, **SRUN, **ARRAY)
    assert asked_shard() is None
    check_whole("a study")
    monkeypatch.setenv(SHARD, "")
    assert asked_shard() is None


def test_a_variable_asks_as_the_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARD, "2/4")
    assert asked_shard() == Shard(2, 4)
    monkeypatch.setenv(SHARD, "auto")
    launch(monkeypatch, **TORCHRUN)
    assert asked_shard() == Shard(3, 4)
    with pytest.raises(BeirHybridError, match=f"{SHARD}=3/4 is set, but a study needs the scores of whole runs"):
        check_whole("a study")
    monkeypatch.setenv(SHARD, "4")
    with pytest.raises(BeirHybridError, match=f"^{SHARD}=4: write i/n"):
        asked_shard()


@pytest.mark.parametrize("before", [None, "1/2"])
def test_what_was_asked_for_before_is_asked_for_afterwards(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if before is not None:
        monkeypatch.setenv(SHARD, before)
    with asked_for("2/4"):
        assert asked_shard() == Shard(2, 4)
    with asked_for(None):
        assert asked_shard() == (None if before is None else Shard(1, 2))
    assert os.environ.get(SHARD) == before
    with pytest.raises(BeirHybridError, match="write i/n"), asked_for("7"):
        pass
    assert os.environ.get(SHARD) == before


@pytest.mark.parametrize(("local", "taken"), [(None, []), (0, [0]), (3, [3]), (5, [1])])
def test_each_process_of_a_machine_takes_a_gpu(
    local: int | None, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    seen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", seen.append)
    Shard(1, 8, local).take_gpu()
    assert seen == taken
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    Shard(1, 8, local).take_gpu()
    assert seen == taken


def test_the_whole_is_one_of_one() -> None:
    assert Shard.parse("1/1") == shards.WHOLE
