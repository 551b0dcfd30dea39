"""The trainer: the same training as Sentence Transformers', and a log that tells the kinds of batches apart."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import nn
from transformers import TrainerCallback

from beir_hybrid.training import HybridBatchSampler, HybridContrastiveLoss, HybridTrainer
from beir_hybrid.training.batch_names import names_of
from tests.support.processes import run_ranks
from tests.support.tiny_model import tiny_model

KINDS = ("monolingual_loss", "cross_lingual_loss", "mixed_loss")

PAIRS = ("en-en", "en-de", "de-de")


def pairs(names: Sequence[str] = PAIRS, n_rows: int = 16) -> DatasetDict:
    """Make questions and answers of some pairs of languages."""

    def dataset(name: str) -> Dataset:
        asked, answered = (name.split("-") * 2)[:2]
        numbers = [number % 8 for number in range(n_rows)]
        return Dataset.from_dict(
            {
                "question": [f"{asked} question q{number}" for number in numbers],
                "answer": [f"{answered} sentence {number}" for number in numbers],
                "label": numbers,
            }
        )

    return DatasetDict({name: dataset(name) for name in names})


def arguments(folder: Path, **options: Any) -> SentenceTransformerTrainingArguments:
    defaults: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "max_steps": 12,
        "logging_steps": 4,
        "learning_rate": 0.1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return SentenceTransformerTrainingArguments(str(folder), **{**defaults, **options})


class Recorder(TrainerCallback):
    """Keeps what callbacks are given to log, as TensorBoard and W&B are."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        self.logs.append(dict(logs))


class NamedLoss(nn.Module):
    """Has, on each call, the next of some values; what batch it was is for the trainer to know."""

    def __init__(self, model: nn.Module, values: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.values = list(values)

    def forward(self, sentence_features: Any, labels: Any) -> torch.Tensor:
        embedding = self.model(next(iter(sentence_features)))["sentence_embedding"]
        return embedding.sum() * 0 + self.values.pop(0)


class NamedTrainer(HybridTrainer):
    """Remembers the data set of each batch it trains on."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self.__dict__.setdefault("names", []).append(inputs["dataset_name"])
        return super().compute_loss(model, inputs, *args, **kwargs)


def losses_of(log: dict[str, float]) -> dict[str, float]:
    return {name: log[name] for name in ("loss", *KINDS) if name in log}


def expected_means(names: Sequence[str], values: Sequence[float], per_log: int) -> list[dict[str, float]]:
    """Average the losses of each kind between two logs."""
    logs = []
    for first in range(0, len(names), per_log):
        kinds: dict[str, list[float]] = {}
        for name, value in list(zip(names, values, strict=True))[first : first + per_log]:
            crossing = {asked != answered for asked, answered in (pair.split("-") for pair in names_of(name))}
            kinds.setdefault(KINDS[2 if len(crossing) > 1 else crossing.pop()], []).append(value)
        logs.append({kind: sum(some) / len(some) for kind, some in kinds.items()})
    return logs


@pytest.mark.parametrize(
    ("accumulation", "sampler"),
    [(1, {}), (3, {}), (3, {"multi_dataset_batch_sampler": HybridBatchSampler.options(alpha=None, pairs=PAIRS)})],
)
def test_the_log_has_the_mean_loss_of_each_kind(accumulation: int, sampler: dict[str, Any], tmp_path: Path) -> None:
    values = [float(n) for n in range(12 * accumulation)]
    model, recorder = tiny_model(), Recorder()
    trainer = NamedTrainer(
        model=model,
        args=arguments(tmp_path, gradient_accumulation_steps=accumulation, **sampler),
        train_dataset=pairs(n_rows=400),
        loss=NamedLoss(model, values),
        callbacks=[recorder],
    )
    trainer.train()
    expected = expected_means(trainer.names, values, 4 * accumulation)
    for logs in (trainer.state.log_history, recorder.logs):
        found = [log for log in logs if "loss" in log]
        assert len(found) == 3
        for number, log in enumerate(found):
            ours = values[number * 4 * accumulation : (number + 1) * 4 * accumulation]
            assert losses_of(log) == pytest.approx({"loss": sum(ours) / len(ours), **expected[number]})
    assert {name for names in trainer.names for name in names_of(names)} == set(PAIRS)
    assert ("mixed_loss" in {kind for means in expected for kind in means}) == bool(sampler)


def test_a_kind_that_did_not_occur_is_left_out(tmp_path: Path) -> None:
    trainer = HybridTrainer(
        model=tiny_model(), args=arguments(tmp_path), train_dataset=pairs(["en-en", "de-de"], n_rows=32)
    )
    trainer.train()
    [*logs, _] = trainer.state.log_history
    assert [sorted(losses_of(log)) for log in logs] == [["loss", "monolingual_loss"]] * 3
    for log in logs:
        assert log["monolingual_loss"] == pytest.approx(log["loss"], rel=1e-5)


@pytest.mark.parametrize("names", [["en-en", "news", "a-b-c"], ["news", "en"]])
def test_data_sets_that_are_no_pairs_count_in_the_loss_only(names: list[str], tmp_path: Path) -> None:
    trainer = HybridTrainer(model=tiny_model(), args=arguments(tmp_path), train_dataset=pairs(names, n_rows=32))
    trainer.train()
    logged = {name for log in trainer.state.log_history for name in losses_of(log)}
    assert logged == {"loss", "monolingual_loss"} if "en-en" in names else {"loss"}


def test_a_single_data_set(tmp_path: Path) -> None:
    trainer = HybridTrainer(model=tiny_model(), args=arguments(tmp_path), train_dataset=pairs(n_rows=80)["en-de"])
    trainer.train()
    assert {name for log in trainer.state.log_history for name in losses_of(log)} == {"loss"}


@pytest.mark.parametrize("filtered", [True, False])
def test_losses_that_are_not_finite_follow_logging_nan_inf_filter(filtered: bool, tmp_path: Path) -> None:
    values = [1.0, math.nan, 3.0, math.inf, 5.0, 6.0]
    model = tiny_model()
    trainer = HybridTrainer(
        model=model,
        args=arguments(tmp_path, max_steps=6, logging_steps=3, logging_nan_inf_filter=filtered),
        train_dataset=pairs(["en-en"], n_rows=80),
        loss=NamedLoss(model, values),
    )
    trainer.train()
    [first, second, _] = [log.get("monolingual_loss") for log in trainer.state.log_history]
    if filtered:
        assert (first, second) == (2.0, 5.5)
    else:
        assert math.isnan(first)
        assert second == math.inf


def test_a_second_training_starts_with_no_losses_of_the_first(tmp_path: Path) -> None:
    values = [100.0] * 5 + [1.0] * 4
    model, recorder = tiny_model(), Recorder()
    trainer = HybridTrainer(
        model=model,
        args=arguments(tmp_path, max_steps=5),
        train_dataset=pairs(["en-en"], n_rows=80),
        loss=NamedLoss(model, values),
        callbacks=[recorder],
    )
    trainer.train()
    trainer.args.max_steps = 4
    trainer.train()
    logged = [log["monolingual_loss"] for log in recorder.logs if "monolingual_loss" in log]
    assert logged == [100.0, 1.0]


def test_evaluation_losses_are_those_of_each_data_set(tmp_path: Path) -> None:
    trainer = HybridTrainer(
        model=tiny_model(),
        args=arguments(tmp_path, eval_strategy="steps", eval_steps=6, max_steps=6),
        train_dataset=pairs(),
        eval_dataset=pairs(["en-en", "en-de"]),
    )
    trainer.train()
    evaluated = {name for log in trainer.state.log_history for name in log if name.startswith("eval")}
    assert {"eval_en-en_loss", "eval_en-de_loss"} <= evaluated
    assert not {f"eval_{kind}" for kind in KINDS} & evaluated
    before = trainer._losses.clone()
    trainer.evaluate()
    assert torch.equal(trainer._losses, before)


@pytest.mark.parametrize("loss", [None, HybridContrastiveLoss])
def test_the_weights_are_those_of_sentence_transformers(loss: Any, tmp_path: Path) -> None:
    trained = []
    for trainer_class in (HybridTrainer, SentenceTransformerTrainer):
        model = tiny_model()
        ours = HybridContrastiveLoss(model) if trainer_class is SentenceTransformerTrainer or loss else None
        trainer_class(model=model, args=arguments(tmp_path), train_dataset=pairs(), loss=ours).train()
        trained.append(model.state_dict())
    for name, weights in trained[0].items():
        assert torch.equal(weights, trained[1][name])
        assert not torch.equal(weights, tiny_model().state_dict()[name])


def test_tensorboard_gets_the_losses(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    args = arguments(tmp_path, report_to="tensorboard")
    HybridTrainer(model=tiny_model(), args=args, train_dataset=pairs(n_rows=80)).train()
    [events] = tmp_path.rglob("events.out.tfevents.*")
    accumulator = event_accumulator.EventAccumulator(str(events)).Reload()
    assert {f"train/{name}" for name in ("loss", *KINDS[:2])} <= set(accumulator.Tags()["scalars"])


def train_as_rank(folder: Path, rank: int) -> None:
    model = tiny_model()
    args = arguments(folder, max_steps=6, logging_steps=6)
    values = [float(10**args.process_index * step) for step in range(args.max_steps)]
    trainer = NamedTrainer(model=model, args=args, train_dataset=pairs(n_rows=400), loss=NamedLoss(model, list(values)))
    trainer.train()
    [log, _] = trainer.state.log_history or [{}, {}]
    outcome = {"names": trainer.names, "values": values, "log": losses_of(log)}
    (folder / f"{rank}.json").write_text(json.dumps(outcome), encoding="utf-8")


def test_the_losses_of_all_processes_are_averaged(tmp_path: Path) -> None:
    run_ranks(partial(train_as_rank, tmp_path), 2, tmp_path)
    results = [json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    names, values = ([entry for result in results for entry in result[key]] for key in ("names", "values"))
    [expected] = expected_means(names, values, len(names))
    assert len(expected) == 2
    assert results[0]["log"] == pytest.approx({"loss": sum(values) / len(values), **expected})
