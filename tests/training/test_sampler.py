"""The batch sampler: which pair comes next, each pair's own order, resumed runs, and what it says of bad input.

Batches here are of one pair each, if nothing else is said, cross-lingual ones too; the others are in
test_mixed_batches.py.
"""

from __future__ import annotations

import json
import pickle
import textwrap
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator, skip_first_batches
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import (
    BatchSamplers,
    DefaultBatchSampler,
    GroupByLabelBatchSampler,
    NoDuplicatesBatchSampler,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, RandomSampler, SequentialSampler

from beir_hybrid.errors import DataError
from beir_hybrid.training import batch_passes as module
from beir_hybrid.training.sampler import HybridBatchSampler, largest_remainder, pair_languages
from tests.support.small_pairs import LABELS_PER_PAIR, dataset_of, pairs_of
from tests.support.tiny_model import tiny_model

SIZES = {"en-en": 23, "de-de": 12, "en-de": 40, "de-en": 16}
Batches = list[list[int]]


def shuffled(rows: Dataset, batch_size: int, drop_last: bool, generator: torch.Generator) -> BatchSampler:
    order = RandomSampler(rows, generator=generator)
    return DefaultBatchSampler(order, batch_size=batch_size, drop_last=drop_last, generator=generator, seed=7)


def no_duplicates(rows: Dataset, batch_size: int, drop_last: bool, generator: torch.Generator) -> BatchSampler:
    return NoDuplicatesBatchSampler(rows, batch_size, drop_last, ["label"], generator, seed=7)


def hashed(rows: Dataset, batch_size: int, drop_last: bool, generator: torch.Generator) -> BatchSampler:
    return NoDuplicatesBatchSampler(rows, batch_size, drop_last, ["label"], generator, seed=7, precompute_hashes=True)


def by_label(rows: Dataset, batch_size: int, drop_last: bool, generator: torch.Generator) -> BatchSampler:
    rows = rows.remove_columns("label").add_column("label", [row // 2 for row in range(len(rows))])
    return GroupByLabelBatchSampler(rows, batch_size, drop_last, ["label"], generator, seed=7)


def in_order(rows: Dataset, batch_size: int, drop_last: bool, generator: torch.Generator) -> BatchSampler:
    return BatchSampler(SequentialSampler(rows), batch_size, drop_last)


def unseeded(rows: Dataset, batch_size: int, drop_last: bool, generator: torch.Generator) -> BatchSampler:
    return BatchSampler(RandomSampler(rows), batch_size, drop_last)


UNDERLYING = [shuffled, no_duplicates, hashed, by_label, in_order, unseeded]


def make(
    data: DatasetDict,
    underlying: Callable[..., BatchSampler] = shuffled,
    batch_size: int = 4,
    drop_last: bool = False,
    seed: int = 7,
    **options: Any,
) -> HybridBatchSampler:
    generator = torch.Generator()
    samplers = [underlying(rows, batch_size, drop_last, generator) for rows in data.values()]
    options = {"cross_lingual": "pair", **options}
    return HybridBatchSampler(ConcatDataset(data.values()), samplers, generator, seed, **options)


def batches_of(sampler: HybridBatchSampler, epoch: int = 0) -> Batches:
    sampler.set_epoch(epoch)
    return list(sampler)


def pair_of(sampler: HybridBatchSampler, batch: Sequence[int]) -> int:
    """Return the index of the pair that all rows of a batch are of."""
    [pair] = {int(np.searchsorted(sampler.dataset.cumulative_sizes, row, side="right")) for row in batch}
    return pair


def by_pair(sampler: HybridBatchSampler, batches: Batches) -> list[Batches]:
    sorted_out: list[Batches] = [[] for _ in sampler.pairs]
    for batch in batches:
        sorted_out[pair_of(sampler, batch)].append(batch)
    return sorted_out


def chunks(batches: Batches, size: int) -> list[Batches]:
    return [batches[start : start + size] for start in range(0, len(batches), size)]


def passes_of(batches: Batches) -> list[list[tuple[int, ...]]]:
    """Cut the batches of a pair where a row comes a second time."""
    passes: list[list[tuple[int, ...]]] = [[]]
    seen: set[int] = set()
    for batch in batches:
        if not seen.isdisjoint(batch):
            passes.append([])
            seen = set()
        seen.update(batch)
        passes[-1].append(tuple(batch))
    return passes


# What an epoch holds


@pytest.mark.parametrize("underlying", UNDERLYING)
def test_every_batch_is_of_one_pair_and_all_of_a_pair_come_before_any_again(underlying):
    sampler = make(pairs_of(SIZES), underlying, batches_per_epoch=150)
    batches = batches_of(sampler)
    assert len(batches) == len(sampler) == 150
    for number, (own, size) in enumerate(zip(by_pair(sampler, batches), SIZES.values(), strict=True)):
        passes = passes_of(own)
        assert len(passes) > 1
        one_pass = list(underlying(sampler.dataset.datasets[number], 4, False, torch.Generator()))
        for rows in passes[:-1]:
            assert sorted(map(len, rows)) == sorted(map(len, one_pass))
            assert len({row for batch in rows for row in batch}) == sum(map(len, one_pass)) <= size
        if underlying is not in_order:
            assert len(set(map(tuple, passes))) == len(passes)


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    batch_size=st.integers(1, 6),
    processes=st.integers(1, 3),
    draw=st.sampled_from(["chance", "exact"]),
    epoch=st.integers(0, 5),
)
def test_rows_are_drawn_without_replacement(sizes, batch_size, processes, draw, epoch):
    names = ["en-en", "en-de", "de-de", "de-en", "fr-fr"]
    need = processes * batch_size if processes > 1 else 1
    data = pairs_of({name: max(size, need) for name, size in zip(names, sizes, strict=False)})
    sampler = make(data, batch_size=batch_size, processes=processes, draw=draw, batches_per_epoch=30)
    batches = batches_of(sampler, epoch)
    assert len(batches) == len(sampler) == 30 // processes * processes
    for step in chunks(batches, processes):
        rows = [row for batch in step for row in batch]
        pair_of(sampler, rows)
        assert len(set(rows)) == len(rows)
        assert processes == 1 or {len(batch) for batch in step} == {batch_size}
    for own, rows in zip(by_pair(sampler, batches), data.values(), strict=True):
        full_steps = len(rows) // (batch_size * processes)
        a_pass = full_steps * processes if processes > 1 else -(-len(rows) // batch_size)
        for drawn in chunks(own, a_pass):
            drawn_rows = [row for batch in drawn for row in batch]
            assert len(set(drawn_rows)) == len(drawn_rows)


@pytest.mark.parametrize(("alpha", "tau"), [(0.5, 1.0), (0.25, 0.5), (0.8, 0.0), (1.0, 1.0), (0.0, 2.0)])
def test_shares_of_kinds_and_pairs(alpha, tau):
    total = 20000
    sampler = make(pairs_of(SIZES), alpha=alpha, tau=tau, batches_per_epoch=total)
    counts = np.array([len(own) for own in by_pair(sampler, batches_of(sampler))])
    weights = np.array(list(SIZES.values())) ** tau
    monolingual = np.array([True, True, False, False])
    shares = np.where(
        monolingual,
        alpha * weights / weights[monolingual].sum(),
        (1 - alpha) * weights / weights[~monolingual].sum(),
    )
    assert not counts[shares == 0].any()
    assert chisquare(counts[shares > 0], total * shares[shares > 0]).pvalue > 1e-4
    if 0 < alpha < 1:
        kinds = [counts[monolingual].sum(), counts[~monolingual].sum()]
        assert chisquare(kinds, [total * alpha, total * (1 - alpha)]).pvalue > 1e-4


@pytest.mark.parametrize(("alpha", "processes", "total"), list(product([0.0, 0.3, 0.5, 1.0], [1, 2], [2, 37, 100])))
def test_exact_numbers(alpha, processes, total):
    sampler = make(pairs_of(SIZES), alpha=alpha, tau=0.5, draw="exact", batches_per_epoch=total, processes=processes)
    steps = total // processes
    counts = [len(own) // processes for own in by_pair(sampler, batches_of(sampler))]
    assert sum(counts[:2]) == round(alpha * steps)
    assert sum(counts) == steps
    for own, names in ((counts[:2], ("en-en", "de-de")), (counts[2:], ("en-de", "de-en"))):
        weights = np.sqrt([SIZES[name] for name in names])
        assert np.all(np.abs(own - weights / weights.sum() * sum(own)) < 1)


def test_exact_numbers_come_in_shuffled_order():
    sampler = make(pairs_of(SIZES), draw="exact", batches_per_epoch=60)
    orders = {tuple(pair_of(sampler, batch) for batch in batches_of(sampler, epoch)) for epoch in range(5)}
    assert len(orders) == 5
    assert all(list(order) != sorted(order) for order in orders)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any), st.integers(0, 200), st.integers(0, 9))
def test_largest_remainder(weights, total, seed):
    counts = largest_remainder(np.array(weights, dtype=float), total, np.random.default_rng(seed))
    quotas = [weight * total / sum(weights) for weight in weights]
    assert counts.sum() == total
    remainders = [quota - int(np.floor(quota + 1e-9)) for quota in quotas]
    raised = [int(own) - int(np.floor(quota + 1e-9)) for own, quota in zip(counts, quotas, strict=True)]
    assert set(raised) <= {0, 1}
    least_raised = min((rest for rest, up in zip(remainders, raised, strict=True) if up), default=1)
    assert all(up or rest <= least_raised + 1e-9 for rest, up in zip(remainders, raised, strict=True))


def test_ties_of_the_remainder_are_broken_by_chance():
    random = np.random.default_rng(0)
    counts = sum(largest_remainder(np.ones(4), 1, random) for _ in range(400))
    assert chisquare(counts).pvalue > 1e-4


def test_the_size_of_an_epoch():
    data = pairs_of(SIZES)
    expected = sum(-(-size // 4) for size in SIZES.values())
    assert [len(make(data, alpha=alpha)) for alpha in (0.0, 0.5, 1.0)] == [expected] * 3
    assert len(make(data, batches_per_epoch=3)) == len(batches_of(make(data, batches_per_epoch=3))) == 3
    assert len(make(data, processes=2)) == expected // 2 * 2


# The order of a pair


@pytest.mark.parametrize("underlying", UNDERLYING)
def test_same_seed_and_epoch_same_batches(underlying):
    data = pairs_of(SIZES)
    first, second, other_seed = make(data, underlying), make(data, underlying), make(data, underlying, seed=8)
    torch.manual_seed(0)
    batches = batches_of(first, 1)
    torch.manual_seed(1)  # the global generator is not asked
    assert batches_of(second, 1) == batches == batches_of(first, 1)
    assert batches_of(first, 2) != batches
    assert batches_of(other_seed, 1) != batches


@pytest.mark.parametrize("underlying", UNDERLYING)
def test_a_pair_s_order_does_not_depend_on_what_others_drew(underlying):
    data = pairs_of(SIZES)
    one, other = (make(data, underlying, alpha=alpha, batches_per_epoch=120) for alpha in (0.2, 0.7))
    for left, right in zip(by_pair(one, batches_of(one, 3)), by_pair(other, batches_of(other, 3)), strict=True):
        assert all(ours == theirs for ours, theirs in zip(left, right, strict=False))


@pytest.mark.parametrize("underlying", [shuffled, no_duplicates, by_label, unseeded])
def test_a_pair_has_another_order_in_each_pass_and_epoch(underlying):
    data = pairs_of({"en-en": 40})
    sampler = make(data, underlying, alpha=1.0, batches_per_epoch=50)
    passes = [tuple(rows) for epoch in range(3) for rows in passes_of(batches_of(sampler, epoch))]
    assert len(set(passes)) == len(passes) >= 15


@pytest.mark.parametrize("drop_last", [False, True])
def test_shuffled_batches_are_those_of_torch(drop_last):
    data = pairs_of({"en-en": 23})
    [rows] = data.values()
    torchs = shuffled(rows, 4, drop_last, torch.Generator().manual_seed(3))
    ours = shuffled(rows, 4, drop_last, torch.Generator().manual_seed(3))
    assert list(module.one_pass(ours)) == list(torchs)


@pytest.mark.parametrize("underlying", [no_duplicates, hashed])
def test_no_duplicates_in_a_batch_and_no_row_twice_where_it_would_resample(underlying):
    data = DatasetDict({"en-de": dataset_of("en-de", 20, answers=5)})
    data["en-de"] = data["en-de"].select([0, 5, 10, 15, 1, 6, 11, 2, 7, 3, 4])  # 4 of one answer: few batches of 5
    sampler = make(data, underlying, batch_size=3, drop_last=True, alpha=0.0, batches_per_epoch=40)
    batches = batches_of(sampler)
    answers = data["en-de"]["answer"]
    assert all(len({answers[row] for row in batch}) == 3 for batch in batches)
    passes = passes_of(batches)
    assert {len(rows) for rows in passes[:-1]} <= {2, 3}
    assert {row for batch in batches for row in batch} == set(range(11))


def test_small_pair_yields_its_small_batch():
    sampler = make(pairs_of({"en-en": 2, "en-de": 9}), alpha=0.9, batches_per_epoch=20)
    small, _ = by_pair(sampler, batches_of(sampler))
    assert len(small) > 3
    assert {frozenset(batch) for batch in small} == {frozenset({0, 1})}


def test_empty_dataset_is_left_out():
    data = pairs_of({"en-en": 8, "de-de": 8, "en-de": 8})
    data["de-de"] = data["de-de"].select([])
    for tau in (0.0, 1.0):
        sampler = make(data, no_duplicates, tau=tau, batches_per_epoch=50)
        assert [bool(own) for own in by_pair(sampler, batches_of(sampler))] == [True, False, True]


# Names


@pytest.mark.parametrize(
    ("name", "languages"),
    {
        "en-de": ("en", "de"),
        "en-en": ("en", "en"),
        "zh-Hans-en": ("zh-Hans", "en"),
        "en-zh-Hans": ("en", "zh-Hans"),
        "pt-BR-pt-PT": ("pt-BR", "pt-PT"),
        "es-419-es": ("es-419", "es"),
        "eng_Latn-deu_Latn": ("eng_Latn", "deu_Latn"),
        "english-german": ("english", "german"),
    }.items(),
)
def test_names_of_pairs(name, languages):
    assert pair_languages(name) == languages


@pytest.mark.parametrize("name", ["", "en", "default", "zh-Hans", "pt-br-en", "-en", "en-", "en_de"])
def test_names_that_are_no_pairs(name):
    with pytest.raises(DataError, match=r"pass pairs=list\(train_dataset\)$") as error:
        pair_languages(name)
    assert "\n" not in str(error.value)


def test_names_given_or_taken_from_the_data():
    data = pairs_of({"en-en": 8, "zh-Hans-en": 8})
    assert make(data).pairs == ["en-en", "zh-Hans-en"]
    assert make(data, pairs=["de-de", "de-fr"]).pairs == ["de-de", "de-fr"]
    unnamed = DatasetDict({name: Dataset.from_dict({"question": ["a"] * 8}) for name in data})
    assert make(unnamed, pairs=list(unnamed)).monolingual.tolist() == [True, False]


# What can go wrong


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ({"en-en": 8, "de-de": 8}, {"alpha": 0.0}, "alpha=0.0 asks for cross-lingual batches.*set alpha=1"),
        ({"en-en": 8}, {}, "alpha=0.5 asks for cross-lingual"),
        ({"en-de": 8}, {"alpha": 1.0}, "alpha=1.0 asks for monolingual batches.*set alpha=0"),
        ({"en-de": 8}, {"alpha": 0.1}, "alpha=0.1 asks for monolingual"),
        ({"en-en": 8, "en-de": 3}, {"drop_last": True}, "en-de: its 3 rows do not make a full batch of 4.*drop_last"),
        ({"en-en": 8, "en-de": 7}, {"processes": 2}, "en-de: its 7 rows do not make 2 full batches of 4.*processes"),
        ({"en-en": 8, "en-de": 8}, {"processes": 2, "batches_per_epoch": 1}, "shorter than one step of 2 processes"),
        ({"en-en": 8, "en-de": 8}, {"pairs": ["en-en"]}, "1 names for 2 datasets"),
        ({"en-en": 8, "en": 8}, {}, "'en' is not a pair of languages"),
    ],
)
def test_data_that_does_not_do(sizes, options, message):
    with pytest.raises(DataError, match=message) as error:
        make(pairs_of(sizes), **options)
    assert "\n" not in str(error.value)


def test_datasets_without_names():
    data = DatasetDict({"en-en": dataset_of("en-en", 8), "en-de": Dataset.from_dict({"question": ["a"] * 8})})
    with pytest.raises(DataError, match=r"dataset 2 of 2 .*pass pairs=list\(train_dataset\)"):
        make(data)


def test_nothing_left_of_a_kind():
    data = pairs_of({"en-en": 8, "en-de": 8})
    data["en-de"] = data["en-de"].select([])
    with pytest.raises(DataError, match="no dataset with rows is cross-lingual"):
        make(data, no_duplicates)


@pytest.mark.parametrize("options", [{"drop_last": True}, {"processes": 2, "batch_size": 2}])
def test_pair_of_duplicates_that_fills_no_batch_is_an_error_not_an_endless_loop(options):
    data = DatasetDict({"en-en": dataset_of("en-en", 8, answers=1)})
    with pytest.raises(DataError, match=r"en-en: its 8 rows .*\(NoDuplicatesBatchSampler\)"):
        batches_of(make(data, no_duplicates, alpha=1.0, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "alpha"),
        ({"alpha": 1.5}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"tau": -1.0}, "tau"),
        ({"tau": float("inf")}, "tau"),
        ({"draw": "random"}, "draw"),
        ({"cross_lingual": "many"}, "cross_lingual"),
        ({"alpha": None}, "cross_lingual='pair' is for batches of one kind"),
        ({"batches_per_epoch": 0}, "batches_per_epoch"),
        ({"batches_per_epoch": 2.5}, "batches_per_epoch"),
        ({"processes": 0}, "processes"),
        ({"pairs": "en-en"}, "pairs"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        make(pairs_of(SIZES), **options)
    with pytest.raises(ValueError, match=message):
        HybridBatchSampler.options(**{"cross_lingual": "pair", **options})


def test_unknown_option():
    with pytest.raises(TypeError, match="aplha"):
        HybridBatchSampler.options(aplha=0.5)


# With Accelerate and the trainer


def loader_of(sampler: HybridBatchSampler) -> DataLoader:
    loader = DataLoader(sampler.dataset, batch_sampler=sampler, collate_fn=lambda rows: [row["label"] for row in rows])
    return Accelerator(cpu=True).prepare(loader)


def test_the_epoch_reaches_the_sampler_through_accelerate():
    sampler, reference = make(pairs_of(SIZES)), make(pairs_of(SIZES))
    loader = loader_of(sampler)
    labels = [row["label"] for row in reference.dataset]
    for epoch in (0, 1, 2):
        expected = [[labels[row] for row in batch] for batch in batches_of(reference, epoch)]
        loader.set_epoch(epoch)
        assert list(loader) == expected
        resumed = skip_first_batches(loader, 5)
        resumed.set_epoch(epoch)
        assert list(resumed) == expected[5:]


def test_workers_that_are_spawned_get_the_data_without_the_sampler():
    sampler = make(pairs_of(SIZES))
    copy = pickle.loads(pickle.dumps(sampler.dataset))
    copy.set_epoch(5)
    assert sampler.epoch == 0
    assert copy.set_epoch.sampler is None


class Stopped(Exception):
    pass


class LabelsSeen(SentenceTransformerTrainer):
    """Keeps the labels of each batch; stops after some steps as if it had been killed."""

    steps: int = 10**6

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if len(self.seen) == self.steps:
            raise Stopped
        self.seen.append(inputs["label"].tolist())
        return super().compute_loss(model, inputs, *args, **kwargs)


def trainer_of(folder: Path, underlying: BatchSamplers, sampler: Any, **options: Any) -> LabelsSeen:
    model = tiny_model()
    defaults: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "save_steps": 3,
        "logging_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "seed": 11,
        "batch_sampler": underlying,
        "multi_dataset_batch_sampler": sampler,
    }
    args = SentenceTransformerTrainingArguments(str(folder), **{**defaults, **options})
    loss = MultipleNegativesRankingLoss(model)
    trainer = LabelsSeen(model=model, args=args, train_dataset=pairs_of(SIZES), loss=loss)
    trainer.seen = []
    return trainer


@pytest.mark.parametrize(
    ("underlying", "killed_after", "options"),
    [
        (BatchSamplers.BATCH_SAMPLER, 4, {"alpha": 0.25}),
        (BatchSamplers.BATCH_SAMPLER, 11, {"alpha": 0.25, "cross_lingual": "pair"}),
        (BatchSamplers.BATCH_SAMPLER, 11, {"alpha": None, "draw": "exact"}),
        (BatchSamplers.NO_DUPLICATES, 11, {"alpha": 0.25}),
    ],
)
def test_killed_and_resumed_run_sees_the_remaining_batches(tmp_path, underlying, killed_after, options):
    sampler = HybridBatchSampler.options(batches_per_epoch=8, **options)
    whole = trainer_of(tmp_path / "whole", underlying, sampler, save_strategy="no")
    whole.train()
    assert len(whole.seen) == 16
    assert whole.seen[:8] != whole.seen[8:]

    killed = trainer_of(tmp_path / "killed", underlying, sampler)
    killed.steps = killed_after
    with pytest.raises(Stopped):
        killed.train()
    assert killed.seen == whole.seen[:killed_after]

    resumed = trainer_of(tmp_path / "killed", underlying, sampler)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.seen == whole.seen[killed_after // 3 * 3 :]


def test_the_trainer_takes_the_class_or_its_options(tmp_path):
    for number, chosen in enumerate([HybridBatchSampler, HybridBatchSampler.options(tau=0.0)]):
        trainer = trainer_of(tmp_path / str(number), BatchSamplers.BATCH_SAMPLER, chosen, max_steps=3)
        trainer.train()
        kinds = [{label // LABELS_PER_PAIR < 2 for label in labels} for labels in trainer.seen]
        assert all(len(kind) == 1 for kind in kinds)
        assert json.loads(trainer.args.to_json_string())["per_device_train_batch_size"] == 4
        trainer.args.to_dict()
        saved = torch.load(tmp_path / str(number) / "checkpoint-3" / "training_args.bin", weights_only=False)
        copies = [saved.multi_dataset_batch_sampler, pickle.loads(pickle.dumps(chosen))]
        for copy in copies:
            assert getattr(copy, "func", copy) is HybridBatchSampler
            assert getattr(copy, "keywords", {}) == getattr(chosen, "keywords", {})


def test_example_of_the_docstring(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = (HybridBatchSampler.__doc__ or "").split("```python\n")[1].split("```")[0]
    code = textwrap.dedent(example).replace('SentenceTransformer("intfloat/multilingual-e5-small")', "tiny_model()")
    exec(compile(code, "example", "exec"), {"tiny_model": tiny_model})  # runs as it stands, on a small model
    assert list(tmp_path.glob("checkpoints/checkpoint-*"))
