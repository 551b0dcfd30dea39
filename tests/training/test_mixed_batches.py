"""Batches with rows of many pairs: cross-lingual ones as the paper makes them, and those of rows of any pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from datasets import DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from beir_hybrid.errors import DataError
from beir_hybrid.training.batching import pair_languages
from beir_hybrid.training.sampler import HybridBatchSampler
from tests.support.small_pairs import dataset_of, pairs_of
from tests.training.test_sampler import (
    SIZES,
    Batches,
    batches_of,
    by_label,
    chunks,
    hashed,
    no_duplicates,
    shuffled,
    unseeded,
)
from tests.training.test_sampler import make as make_of_pairs

MIXTURES: list[dict[str, Any]] = [{"alpha": 0.5}, {"alpha": 0.0}, {"alpha": None}]
LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")


def make(data: DatasetDict, *args: Any, **options: Any) -> HybridBatchSampler:
    return make_of_pairs(data, *args, **{"cross_lingual": "mixed", **options})


def parallel(languages: Sequence[str], n_rows: int) -> DatasetDict:
    """Make all pairs of some languages: row i has question i of one and answer i of another, and the label i."""
    return DatasetDict(
        {
            f"{x}-{y}": dataset_of(f"{x}-{y}", n_rows)
            .remove_columns(["question", "answer"])
            .add_column("question", [f"{x} question {row}" for row in range(n_rows)])
            .add_column("answer", [f"{y} answer {row}" for row in range(n_rows)])
            for x, y in product(languages, repeat=2)
        }
    )


def pair_names(sampler: HybridBatchSampler, batch: Sequence[int]) -> list[str]:
    places = np.searchsorted(sampler.dataset.cumulative_sizes, batch, side="right")
    return [sampler.pairs[place] for place in places]


def kinds_of(sampler: HybridBatchSampler, batch: Sequence[int]) -> set[bool]:
    """Return whether rows are monolingual."""
    return {x == y for x, y in map(pair_languages, pair_names(sampler, batch))}


def rows_by_pair(sampler: HybridBatchSampler, batches: Batches) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {name: [] for name in sampler.pairs}
    for batch in batches:
        for name, row in zip(pair_names(sampler, batch), batch, strict=True):
            rows[name].append(row)
    return rows


def check_used_up_before_again(sampler: HybridBatchSampler, batches: Batches, data: DatasetDict) -> None:
    """Check of each pair whose rows are mixed that all its rows come before any of them comes again."""
    mixed = {sampler.pairs[place] for group in sampler.groups if len(group) > 1 for place in group}
    for name, drawn in rows_by_pair(sampler, batches).items():
        if name in mixed:
            for start in range(0, len(drawn), len(data[name])):
                rows = drawn[start : start + len(data[name])]
                assert len(set(rows)) == len(rows)


# What an epoch holds


@given(
    sizes=st.lists(st.integers(1, 30), min_size=3, max_size=5),
    batch_size=st.integers(1, 6),
    processes=st.integers(1, 4),
    draw=st.sampled_from(["chance", "exact"]),
    mixture=st.sampled_from(MIXTURES),
    tau=st.sampled_from([0.0, 1.0]),
    epoch=st.integers(0, 5),
)
def test_rows_are_drawn_without_replacement(sizes, batch_size, processes, draw, mixture, tau, epoch):
    names = ["en-de", "de-en", "en-en", "fr-en", "de-de"]
    need = processes * batch_size
    filling = ("en-en", "de-de", "en-de")
    named = dict(zip(names, sizes, strict=False))
    data = pairs_of({name: max(size, need) if name in filling else size for name, size in named.items()})
    sampler = make(
        data, batch_size=batch_size, processes=processes, draw=draw, tau=tau, batches_per_epoch=30, **mixture
    )
    batches = batches_of(sampler, epoch)
    assert len(batches) == len(sampler) == 30 // processes * processes
    for step in chunks(batches, processes):
        rows = [row for batch in step for row in batch]
        assert len(set(rows)) == len(rows)
        if mixture["alpha"] is not None:
            assert len(kinds_of(sampler, rows)) == 1
            assert kinds_of(sampler, rows) == {False} or len(set(pair_names(sampler, rows))) == 1
        if processes > 1 or mixture["alpha"] is None or kinds_of(sampler, rows) == {False}:
            assert {len(batch) for batch in step} == {batch_size}
    check_used_up_before_again(sampler, batches, data)


@pytest.mark.parametrize("underlying", [no_duplicates, hashed])
@pytest.mark.parametrize(
    ("mixture", "processes", "drop_last"),
    [({"alpha": 0.4}, 1, False), ({"alpha": 0.0}, 4, False), ({"alpha": None}, 2, True)],
)
def test_no_text_and_no_label_twice_in_a_batch_where_the_batch_sampler_promises_it(
    underlying, mixture, processes, drop_last
):
    data = parallel(["en", "de", "tr"], 40)
    options = {"batch_size": 10, "drop_last": drop_last, "batches_per_epoch": 120, "processes": processes, **mixture}
    sampler = make(data, underlying, **options)
    batches = batches_of(sampler, 1)
    check_used_up_before_again(sampler, batches, data)
    for step in chunks(batches, processes):
        assert len({row for batch in step for row in batch}) == 10 * processes
    for batch in batches:
        labels = [sampler.dataset[row]["label"] for row in batch]
        assert len(set(labels)) == len(labels) == 10


def test_labels_with_those_of_hard_negatives_count_by_the_answer_s_own():
    data = parallel(["en", "de"], 12)
    data = DatasetDict(
        {
            name: rows.remove_columns("label").add_column("label", [[row % 6, 6 + row] for row in range(12)])
            for name, rows in data.items()
        }
    )
    sampler = make(data, no_duplicates, alpha=None, batch_size=6, drop_last=True, batches_per_epoch=20)
    for name, rows in data.items():
        rows.info.config_name = name
    for batch in batches_of(sampler):
        assert sorted(sampler.dataset[row]["label"][0] for row in batch) == list(range(6))


def test_a_batch_of_the_paper_has_many_pairs_and_wrong_answers_in_the_question_s_own_language():
    sampler = make(parallel(LANGUAGES, 20), batch_size=64, alpha=0.0, tau=0.0, batches_per_epoch=50)
    for batch in batches_of(sampler):
        pairs = [pair_languages(name) for name in pair_names(sampler, batch)]
        assert len(batch) == 64
        assert len(set(pairs)) > 25
        assert all(x != y for x, y in pairs)
        labels = [sampler.dataset[row]["label"] for row in batch]
        rows = list(zip(pairs, labels, strict=True))
        with_own = [any(y == x and own != label for (_, y), own in rows) for (x, _), label in rows]
        assert sum(with_own) >= 58


@pytest.mark.parametrize("draw", ["chance", "exact"])
@pytest.mark.parametrize(("alpha", "tau"), [(0.5, 1.0), (0.0, 0.5), (None, 0.0), (None, 1.0)])
def test_shares_of_rows(draw, alpha, tau):
    total = 4000
    sampler = make(pairs_of(SIZES), alpha=alpha, tau=tau, draw=draw, batches_per_epoch=total)
    batches = batches_of(sampler)
    mixed = [name for name in SIZES if alpha is None or name in ("en-de", "de-en")]
    counts = np.array([len(rows) for name, rows in rows_by_pair(sampler, batches).items() if name in mixed])
    weights = np.array([SIZES[name] for name in mixed]) ** tau
    quotas = weights / weights.sum() * counts.sum()
    if draw == "exact":
        assert np.all(np.abs(counts - quotas) < 1)
        assert counts.sum() == 4 * (total if alpha is None else round((1 - alpha) * total))
    else:
        assert chisquare(counts, quotas).pvalue > 1e-4


def test_exact_numbers_where_rows_that_do_not_fit_are_put_off():
    data = parallel(["en", "de", "tr"], 12)
    for processes in (1, 2):
        sampler = make(
            data, no_duplicates, alpha=None, draw="exact", batch_size=8, batches_per_epoch=90, processes=processes
        )
        batches = batches_of(sampler)
        counts = Counter(name for batch in batches for name in pair_names(sampler, batch))
        assert set(counts.values()) <= {79, 80, 81}  # 720 rows of 9 pairs; the last batches take what fits
        check_used_up_before_again(sampler, batches, data)


def test_pairs_smaller_than_a_batch_are_used_and_together_make_an_epoch():
    data = pairs_of({"en-de": 3, "de-en": 2, "en-fr": 1})
    for drop_last, length in ((True, 1), (False, 2)):
        sampler = make(data, batch_size=4, drop_last=drop_last, alpha=0.0)
        assert len(sampler) == length
        assert {len(batch) for batch in sampler} == {4}
    sampler = make(data, batch_size=8, alpha=0.0, batches_per_epoch=3)
    assert [sorted(batch) for batch in sampler] == [list(range(6))] * 3


# Orders


@pytest.mark.parametrize("underlying", [shuffled, no_duplicates, hashed, unseeded])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_same_seed_and_epoch_same_batches(underlying, mixture):
    data = pairs_of(SIZES)
    first, second = make(data, underlying, **mixture), make(data, underlying, **mixture)
    batches = batches_of(first, 1)
    assert batches_of(second, 1) == batches == batches_of(first, 1)
    assert batches_of(first, 2) != batches != batches_of(make(data, underlying, seed=8, **mixture), 1)


def test_a_pair_s_order_does_not_depend_on_what_others_drew():
    data = pairs_of(SIZES)
    first, second = (make(data, alpha=alpha, batches_per_epoch=150) for alpha in (0.2, 0.7))
    ours, theirs = (rows_by_pair(sampler, batches_of(sampler, 3)) for sampler in (first, second))
    for name in ("en-de", "de-en"):
        size = min(len(ours[name]), len(theirs[name])) // SIZES[name] * SIZES[name]
        assert size >= 2 * SIZES[name]
        for start in range(0, size, SIZES[name]):  # a row that is in a batch already waits for the next one
            mine, other = (rows[name][start : start + SIZES[name]] for rows in (ours, theirs))
            assert sorted(mine) == sorted(other)
            assert sum(a == b for a, b in zip(mine, other, strict=True)) > SIZES[name] // 2


# What cannot be


def test_too_few_rows():
    with pytest.raises(DataError, match="en-de and 1 other pairs: their 6 rows do not make a full batch of 8") as error:
        make(pairs_of({"en-de": 3, "de-en": 3}), batch_size=8, drop_last=True, alpha=0.0)
    assert "\n" not in str(error.value)
    data = parallel(["en", "de"], 3)
    sampler = make(data, no_duplicates, batch_size=4, drop_last=True, alpha=None)
    with pytest.raises(DataError, match=r"their 12 rows do not make a full batch of 4 \(NoDuplicatesBatchSampler\)"):
        batches_of(sampler)
    short = batches_of(make(data, no_duplicates, batch_size=4, alpha=None, batches_per_epoch=8))
    assert {len(batch) for batch in short} <= {1, 2, 3}
    assert {row for batch in short for row in batch} == set(range(12))
    with pytest.raises(DataError, match="no dataset has any rows"):
        make(DatasetDict({"en-de": data["en-de"].select([])}), no_duplicates, alpha=None)


def test_what_cannot_stand_in_one_batch():
    data = pairs_of(SIZES)
    with pytest.raises(DataError, match="GroupByLabelBatchSampler puts batches of one dataset together"):
        make(data, by_label, alpha=0.0)
    data["de-en"] = data["de-en"].add_column("negative", ["no"] * SIZES["de-en"])
    with pytest.raises(DataError, match=r"en-de has question, answer, label and de-en has .*, negative$"):
        make(data)
    make(data, cross_lingual="pair")
