"""The script that checks a GPU, on the CPU; and what is said of devices, by stand-ins for them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from beir_hybrid.finetune import run_trainer
from beir_hybrid.scoring.confidence import TopScores
from beir_hybrid.study.head_bench import HeadBench
from beir_hybrid.training.trainer import HybridTrainer
from benchmarks import gpu_check


def test_all_checks_pass_on_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main(["--device", "cpu", "--size", "small"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["passed"]
    assert outcome["ranks"]["ranks"] == 2 * 20 * 11 * 11
    assert outcome["training"]["steps"] == 2
    assert outcome["checkpoint"]["broke_off"]
    assert outcome["shards"]["chunks"] == [23, 21]
    assert outcome["embeddings"]["on"] == "cpu"


def test_wrong_ranks_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([torch.zeros(2, 3).numpy(), torch.ones(2, 3).numpy()] * 2)
    monkeypatch.setattr(gpu_check, "_ranks", lambda _: next(answers))
    assert not gpu_check.check_ranks(gpu_check.synthetic(2, 11), 4, "cpu")["passed"]


class Wrong(gpu_check.Table):
    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        return -super().similarity(embeddings1, embeddings2)


def test_a_shard_that_scores_otherwise_fails() -> None:
    corpus = gpu_check.synthetic(2, 44)
    assert not gpu_check.merge_shards(corpus, 4, [(gpu_check.Table, "cpu"), (Wrong, "cpu")])["passed"]


def test_there_is_a_shard_on_every_gpu_and_one_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device for _, device in gpu_check._devices("cuda")] == ["cuda:0", "cuda:1", "cpu"]


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_check.main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: torch finds no GPU here")


class OnDevice(torch.Tensor):
    """A tensor that numpy cannot have before it is copied to the CPU, as those of a GPU."""

    @staticmethod
    def of(values: torch.Tensor) -> OnDevice:
        return values.as_subclass(OnDevice)

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def double(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_the_matrix_of_a_head_comes_back_from_its_device() -> None:
    bench = HeadBench.__new__(HeadBench)
    weights = OnDevice.of(torch.eye(3))
    bench.model = nn.ModuleList([nn.Identity(), nn.Identity()])  # type: ignore[assignment]
    bench.model[1].linear = SimpleNamespace(weight=weights)  # type: ignore[assignment]
    assert bench.matrix().tolist() == torch.eye(3).tolist()


def test_confidence_needs_no_float64_of_the_device() -> None:
    top = TopScores()
    top.values = OnDevice.of(torch.tensor([[3.0, 1.0, 2.0]]))
    confidence = top.confidence()
    assert (confidence.maximum.tolist(), confidence.margin.tolist()) == ([3.0], [1.0])


@pytest.mark.parametrize(("device", "forked"), [("cuda:1", [torch.device("cuda:1")]), ("cpu", []), ("mps", [])])
def test_evaluating_forks_the_random_numbers_of_its_own_device(
    device: str, forked: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every visible GPU, each process would open a context on each."""
    asked: list[Any] = []

    @contextlib.contextmanager
    def fork(devices: Any = None) -> Iterator[None]:
        asked.append(devices)
        yield

    monkeypatch.setattr(torch.random, "fork_rng", fork)
    monkeypatch.setattr(HybridTrainer, "evaluate", lambda *_, **__: {"a": 1.0})
    trainer = run_trainer._Trainer.__new__(run_trainer._Trainer)
    trainer.args = SimpleNamespace(device=torch.device(device))
    assert trainer.evaluate() == {"a": 1.0}
    assert asked == [forked]
