"""Batches with rows of several data sets in Sentence Transformers' own collator and trainer, and in ours."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import SequentialSampler

from beir_hybrid.errors import DataError
from beir_hybrid.training import HybridBatchSampler, HybridContrastiveLoss, HybridTrainer
from beir_hybrid.training.batch_names import NameOfSeveral, names_of
from tests.support.tiny_model import tiny_model
from tests.training.test_trainer import arguments, pairs

NAMES = ["en-en", "en-de", "de-de", "de-en"]
PROMPTS = {"question": "ar only ", "answer": "zh "}
TRAINERS = [SentenceTransformerTrainer, HybridTrainer]


def trainer_of(
    trainer_class: type[SentenceTransformerTrainer], folder: Path, loss: Any = None, **options: Any
) -> SentenceTransformerTrainer:
    """Make a trainer on pairs that are mixed in batches, if no other batch sampler is given."""
    model = tiny_model()
    mixed = {"multi_dataset_batch_sampler": HybridBatchSampler.options(alpha=None, pairs=NAMES)}
    return trainer_class(
        model=model,
        args=arguments(folder, **{**mixed, **options}),
        train_dataset=pairs(NAMES),
        loss=loss(model) if loss else HybridContrastiveLoss(model),
    )


def in_order(rows: Dataset, batch_size: int, drop_last: bool, **_: Any) -> DefaultBatchSampler:
    return DefaultBatchSampler(SequentialSampler(rows), batch_size=batch_size, drop_last=drop_last)


@pytest.mark.parametrize(
    ("trainer_class", "alpha", "workers"),
    [(SentenceTransformerTrainer, None, 1), (SentenceTransformerTrainer, 0.5, 0), (HybridTrainer, None, 0)],
)
def test_the_weights_are_those_of_the_same_batches_from_one_data_set(
    trainer_class: type[SentenceTransformerTrainer], alpha: float | None, workers: int, tmp_path: Path
) -> None:
    """With prompts by column, which make Sentence Transformers name the data set of each row."""
    sampler = HybridBatchSampler.options(alpha=alpha, pairs=NAMES)
    options: dict[str, Any] = {"prompts": PROMPTS, "dataloader_num_workers": workers}
    trainer = trainer_of(trainer_class, tmp_path / "mixed", multi_dataset_batch_sampler=sampler, **options)
    loader = trainer.get_train_dataloader()
    batches = list(loader.batch_sampler)
    rows = [loader.dataset[row] for batch in batches for row in batch]
    assert "dataset_name" in rows[0]
    assert {len(batch) for batch in batches} == {4}
    trainer.train()

    model = tiny_model()
    columns = ("question", "answer", "label")
    SentenceTransformerTrainer(
        model=model,
        args=arguments(tmp_path / "one", batch_sampler=in_order, prompts=PROMPTS),
        train_dataset=Dataset.from_dict({name: [row[name] for row in rows] for name in columns}),
        loss=HybridContrastiveLoss(model),
    ).train()
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, trainer.model.state_dict()[name])
        assert not torch.equal(weights, tiny_model().state_dict()[name])


@pytest.mark.parametrize("trainer_class", TRAINERS)
@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"prompts": {name: {"question": name} for name in NAMES}}, "prompts"),
        ({"prompts": dict.fromkeys(NAMES[1:], "zh ")}, "prompts"),
        ({"router_mapping": {name: {"question": "query", "answer": "document"} for name in NAMES}}, "router_mapping"),
        ({"loss": lambda model: {name: HybridContrastiveLoss(model) for name in NAMES}}, "loss"),
    ],
    ids=["prompts by data set and column", "prompts by data set", "router_mapping", "loss"],
)
def test_settings_by_data_set_are_one_line(
    trainer_class: type[SentenceTransformerTrainer], options: dict[str, Any], what: str, tmp_path: Path
) -> None:
    trainer = trainer_of(trainer_class, tmp_path, **options)
    with pytest.raises(DataError, match=rf"rows of several data sets .*\b{what}\b.*cross_lingual='pair'") as error:
        trainer.train()
    assert "\n" not in str(error.value)
    assert not isinstance(trainer, HybridTrainer) or trainer.state.global_step == 0
    of_pairs = HybridBatchSampler.options(alpha=0.5, cross_lingual="pair", pairs=NAMES)
    trainer_of(trainer_class, tmp_path, multi_dataset_batch_sampler=of_pairs, **options).train()


def test_the_name_of_a_batch_of_several() -> None:
    name = NameOfSeveral("en-de", ["en-de", "de-de"])
    assert name.startswith("en-")
    assert names_of(name) == {"en-de", "de-de"} == names_of(pickle.loads(pickle.dumps(name)))
    assert names_of("en-de") == {"en-de"}
    assert name == NameOfSeveral("en-de", ["en-de"])
    assert name not in {"question": "query: ", "answer": ""}
    assert name != "de-de"
    for look_up in (partial(dict.__getitem__, {"en-de": 1}), {"en-de"}.__contains__):
        with pytest.raises(DataError, match=r"rows of several data sets \(de-de, en-de\)"):
            look_up(name)
