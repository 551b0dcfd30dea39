"""Training pairs: against pairs made by hand from the corpus, without copies of the texts, and from all sources."""

from __future__ import annotations

import gzip
import json
import pickle
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset, DatasetDict, Value, load_from_disk
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler
from torch.utils.data import DataLoader

from beir_hybrid.corpora import ParallelCorpus, load, spec_of, specs
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.finetune import model_card
from beir_hybrid.languages import is_tag
from beir_hybrid.training import pair_sources
from beir_hybrid.training.pairs import ParallelPairs, load_pairs, pair_datasets, read_source
from beir_hybrid.training.parallel_pairs import same_answer_labels
from tests.support import small_ntrex, small_xquad
from tests.support.helpers import corpora, property_test

Row = tuple[str, str]
"""Text of a question and of an answer."""

ENTRIES = [
    {"id": "sky", "language": "en", "question": "What is blue?", "answer": "The sky."},
    {"id": "sky", "language": "de", "question": "Was ist blau?", "answer": "Der Himmel."},
    {"id": "sea", "language": "en", "question": "What is wet?", "answer": "The sea."},
    {"id": "air", "language": "en", "question": "What is above?", "answer": "The sky."},
    {"id": "air", "language": "tr", "question": "Yukarıda ne var?", "answer": "Hava."},
    {"id": "fog", "language": "tr", "question": "Gri olan ne?", "answer": "Hava."},
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user an own folder with small data sets of all names."""
    folder = small_ntrex.write(small_xquad.write(tmp_path / "data"))
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(folder))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    return folder


def write_lines(folder: Path, entries: Sequence[object] = ENTRIES) -> str:
    """Write entries as a JSON Lines file and return its path."""
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return str(path)


def error_of(source: str, languages: Sequence[str] | None = None) -> str:
    """Return the one line that reading a source ends with."""
    with pytest.raises(DataError) as caught:
        read_source(source, languages)
    message = str(caught.value)
    assert "\n" not in message
    return message


def rows_of(corpus: ParallelCorpus, x: str, y: str) -> dict[str, Row]:
    """Make the rows of a pair by hand: question id -> question and answer."""
    part, answers = corpus.languages[x], corpus.languages[y]
    texts = dict(zip(part.question_ids, part.questions, strict=True))
    return {
        question_id: (text, answers.passages[min(relevant)])
        for question_id, text in texts.items()
        if (relevant := corpus.relevant(question_id, y))
    }


def same_answers(corpus: ParallelCorpus, question_ids: Sequence[str]) -> list[set[str]]:
    """Group questions by hand: those that share the text of a relevant passage, and those joined by others."""
    groups: list[tuple[set[str], set[Row]]] = []
    for question_id in question_ids:
        ids, texts = {question_id}, set()
        for language, part in corpus.languages.items():
            texts |= {(language, part.passages[row]) for row in corpus.relevant(question_id, language)}
        for group in [group for group in groups if group[1] & texts]:
            groups.remove(group)
            ids |= group[0]
            texts |= group[1]
        groups.append((ids, texts))
    return [ids for ids, _ in groups]


def texts_and_labels(dataset: Dataset) -> list[tuple[str, str, int]]:
    return list(zip(dataset["question"], dataset["answer"], dataset["label"], strict=True))


def check_against(corpus: ParallelCorpus, pairs: Mapping[str, Dataset]) -> None:
    """Compare all pairs with those made by hand."""
    question_ids = list(dict.fromkeys(name for part in corpus.languages.values() for name in part.question_ids))
    label_of: dict[str, int] = {}
    for x, y in product(corpus.languages, repeat=2):
        expected = rows_of(corpus, x, y)
        if not expected:
            assert f"{x}-{y}" not in pairs
            continue
        found = texts_and_labels(pairs[f"{x}-{y}"])
        in_order = [name for name in question_ids if name in expected]
        assert [row[:2] for row in found] == [expected[name] for name in in_order]
        for name, (_, _, label) in zip(in_order, found, strict=True):
            assert label_of.setdefault(name, label) == label  # in every pair
    for group in same_answers(corpus, question_ids):
        assert len({label_of[name] for name in group if name in label_of}) <= 1
    n_groups = sum(1 for group in same_answers(corpus, question_ids) if group & label_of.keys())
    assert len(set(label_of.values())) == n_groups
    in_order_of_row = [label_of[name] for name in question_ids if name in label_of]
    assert list(dict.fromkeys(in_order_of_row)) == sorted(set(in_order_of_row))


@property_test(60)
@given(corpora())
def test_pairs_are_those_made_by_hand(corpus: ParallelCorpus) -> None:
    part = pair_sources.pairs_of_corpus(corpus)
    expected = {(x, y) for x, y in product(corpus.languages, repeat=2) if rows_of(corpus, x, y)}
    if expected:
        check_against(corpus, pair_datasets([part]))
    else:
        with pytest.raises(DataError, match="random: no pair in "):
            pair_datasets([part])


@property_test(100)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["en", "de"]), st.sampled_from("abcdef")), max_size=8))
def test_labels_are_the_connected_components(answers: list[tuple[int, str, str]]) -> None:
    expected = list(range(6))
    for _ in range(6):  # until nothing changes any more
        for (row, *text), (other, *same) in product(answers, repeat=2):
            if text == same:
                expected[row] = expected[other] = min(expected[row], expected[other])
    order = list(dict.fromkeys(expected))
    labels = same_answer_labels(6, answers)
    assert labels.dtype == np.int64
    assert labels.tolist() == [order.index(label) for label in expected]


def test_labels_of_few_rows_and_of_many_equal_answers() -> None:
    assert same_answer_labels(0, []).tolist() == []
    assert same_answer_labels(2, []).tolist() == [0, 1]
    assert same_answer_labels(2, [(row, "en", "yes") for row in (0, 1) for _ in range(256)]).tolist() == [0, 0]


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])
def test_real_corpora(name: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(data_folder))
    monkeypatch.delenv("BEIR_HYBRID_DATA_UNVERIFIED", raising=False)
    corpus = load(name)
    pairs = load_pairs(name)
    languages = spec_of(name).languages
    assert list(pairs) == [f"{x}-{y}" for x, y in product(languages, repeat=2)]
    label_of: dict[str, int] = {}
    draw = random.Random(0)
    question_ids = list(dict.fromkeys(name for part in corpus.languages.values() for name in part.question_ids))
    for x, y in product(languages, repeat=2):
        expected = rows_of(corpus, x, y)
        dataset = pairs[f"{x}-{y}"]
        assert len(dataset) == len(expected) == (1190 if name == "xquad-r" else len(dataset))
        in_order = [question_id for question_id in question_ids if question_id in expected]
        for row in draw.sample(range(len(dataset)), 20):
            assert (dataset[row]["question"], dataset[row]["answer"]) == expected[in_order[row]]
        for question_id, label in zip(in_order, dataset["label"], strict=True):
            assert label_of.setdefault(question_id, label) == label
    groups = same_answers(corpus, question_ids)
    assert len(groups) == len(set(label_of.values())) == max(label_of.values()) + 1
    assert all(len({label_of[question_id] for question_id in group}) == 1 for group in groups)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["xquad-r", "mlqa-r"])
def test_all_pairs_take_the_memory_of_one_copy_of_the_texts(
    name: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(data_folder))
    corpus = load(name)
    texts = [text for part in corpus.languages.values() for text in (*part.questions, *part.passages)]
    one_copy = sum(len(text.encode()) for text in texts)
    del corpus, texts
    before = pa.total_allocated_bytes()
    pairs = load_pairs(name)
    taken = pa.total_allocated_bytes() - before
    assert len(pairs) == len(spec_of(name).languages) ** 2
    assert 0 < taken <= 1.5 * one_copy


def addresses(dataset: Dataset, column: str) -> set[int]:
    """Return where the texts of a column lie in memory."""
    return {chunk.buffers()[2].address for chunk in dataset.data.column(column).chunks}


def test_no_pair_copies_a_text(data: Path) -> None:
    part, other = read_source("xquad-r", ["de", "en"]), read_source("ntrex-next", ["de", "en"])
    pairs = pair_datasets([part, other])
    for x, y in product(("de", "en"), repeat=2):
        for column, first, second in (
            ("question", part.questions[x], other.questions[x]),
            ("answer", part.answers[y], other.answers[y]),
        ):
            kept = {chunk.buffers()[2].address for chunk in (*first.chunks, *second.chunks)}
            assert addresses(pairs[f"{x}-{y}"], column) == kept


def test_rows_that_a_language_lacks_cost_an_index_and_no_text(tmp_path: Path) -> None:
    part = read_source(write_lines(tmp_path))
    dataset = part.dataset("tr", "tr")
    assert texts_and_labels(dataset) == [("Yukarıda ne var?", "Hava.", 0), ("Gri olan ne?", "Hava.", 0)]
    assert addresses(dataset, "question") == {chunk.buffers()[2].address for chunk in part.questions["tr"].chunks}


def test_columns_types_and_names(data: Path, tmp_path: Path) -> None:
    pairs = load_pairs("xquad-r", "ntrex", write_lines(tmp_path))
    for name, dataset in pairs.items():
        assert dataset.column_names == ["question", "answer", "label"]
        assert dataset.features == {"question": Value("string"), "answer": Value("string"), "label": Value("int64")}
        assert name == dataset.info.config_name
        assert name == dataset.select([0]).info.config_name == dataset.shuffle(seed=1).info.config_name


def test_fingerprints_follow_the_content(data: Path, tmp_path: Path) -> None:
    first, again = load_pairs("mlqa-r"), load_pairs("mlqa-r")
    fingerprints = {name: dataset._fingerprint for name, dataset in first.items()}
    assert fingerprints == {name: dataset._fingerprint for name, dataset in again.items()}
    assert len(set(fingerprints.values())) == len(fingerprints)
    assert load_pairs("mlqa-r", languages=["en"])["en-en"]._fingerprint != fingerprints["en-en"]
    path = write_lines(tmp_path)
    before = load_pairs(path)["en-en"]._fingerprint
    write_lines(tmp_path, [{**ENTRIES[0], "answer": "The sea above."}, *ENTRIES[1:]])
    assert load_pairs(path)["en-en"]._fingerprint != before


def test_no_text_is_hashed_for_a_fingerprint(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> str:
        raise AssertionError("the data set was hashed")

    monkeypatch.setattr("datasets.arrow_dataset.generate_fingerprint", refuse)
    assert load_pairs("xquad-r", "ntrex")


def test_saved_and_loaded(data: Path, tmp_path: Path) -> None:
    pairs = load_pairs("xquad-r", "ntrex", languages=["de", "en"])
    pairs.save_to_disk(tmp_path / "pairs")
    loaded = load_from_disk(tmp_path / "pairs")
    assert list(loaded) == list(pairs)
    for name, dataset in loaded.items():
        assert texts_and_labels(dataset) == texts_and_labels(pairs[name])
        assert dataset.info.config_name == name


def test_a_data_loaders_worker_can_have_them(data: Path, tmp_path: Path) -> None:
    for name, dataset in load_pairs("ntrex", write_lines(tmp_path), languages=["de", "en"]).items():
        copy = pickle.loads(pickle.dumps(dataset))
        assert texts_and_labels(copy) == texts_and_labels(dataset)
        assert copy.info.config_name == name
    rows = list(DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork"))
    assert rows == list(dataset)


@pytest.mark.parametrize("hashed", [False, True])
def test_batches_without_duplicates(hashed: bool, tmp_path: Path) -> None:
    dataset = load_pairs(write_lines(tmp_path))["en-en"]
    sampler = NoDuplicatesBatchSampler(
        dataset, 2, False, ["label"], torch.Generator(), precompute_hashes=hashed, precompute_num_proc=1
    )
    batches = [set(batch) for batch in sampler]
    assert sorted(row for batch in batches for row in batch) == [0, 1, 2]
    assert not any({0, 2} <= batch for batch in batches)  # both have the same answer


def test_a_sentence_and_its_translation(data: Path) -> None:
    pairs = load_pairs("ntrex-translation", languages=["de", "en"])
    assert list(pairs) == ["de-de", "de-en", "en-de", "en-en"]
    for name, dataset in pairs.items():  # in one language, a sentence and itself
        asking, answering = map(small_ntrex.sentences, name.split("-"))
        assert texts_and_labels(dataset) == list(zip(asking, answering, range(6), strict=True))


def test_a_sentence_and_the_next_of_its_document(data: Path) -> None:
    pairs = load_pairs("ntrex-next", languages=["de", "en"])
    assert list(pairs) == ["de-de", "de-en", "en-de", "en-en"]
    for name, dataset in pairs.items():
        asking, answering = map(small_ntrex.sentences, name.split("-"))
        assert texts_and_labels(dataset) == [(asking[row], answering[row + 1], row + 1) for row in (0, 1, 4)]


def test_both_kinds_of_sentence_pairs(data: Path) -> None:
    both, translation, following = (
        load_pairs(name, languages=["de", "en"]) for name in ("ntrex", "ntrex-translation", "ntrex-next")
    )
    for name in both:
        assert texts_and_labels(both[name]) == [
            row for part in (translation, following) for row in texts_and_labels(part[name])
        ]


def test_sentences_of_equal_text_have_one_label(data: Path) -> None:
    path = small_ntrex.SOURCE.files.path(data, "de")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], lines[1]]))
    assert load_pairs("ntrex-translation", languages=["de", "en"])["en-de"]["label"] == [0, 1, 2, 3, 4, 1]
    assert load_pairs("ntrex-next", languages=["de", "en"])["en-en"]["label"] == [1, 2, 1]


@pytest.mark.real_data
def test_real_sentences(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(data_folder))
    monkeypatch.delenv("BEIR_HYBRID_DATA_UNVERIFIED", raising=False)
    pairs = load_pairs("ntrex")
    assert len(pairs) == 21 * 21
    assert {len(dataset) for dataset in pairs.values()} == {1997 + 1997 - 123}


def test_sources_are_joined(data: Path, tmp_path: Path) -> None:
    own = write_lines(tmp_path)
    parts = [read_source("xquad-r", ["en", "el"]), read_source("ntrex-next", ["en", "yo"]), read_source(own)]
    pairs = pair_datasets(parts)
    languages = ["el", "en", "yo", "de", "tr"]
    pairs_of_a_source = [{f"{x}-{y}" for x, y in product(part.languages, repeat=2)} for part in parts]
    assert set(pairs) == set.union(*pairs_of_a_source) - {"de-tr", "tr-de"}
    assert list(pairs) == [name for x, y in product(languages, repeat=2) if (name := f"{x}-{y}") in pairs]
    first = [0, max(parts[0].labels) + 1, max(parts[0].labels) + max(parts[1].labels) + 2]
    assert texts_and_labels(pairs["en-en"]) == [
        (question, answer, label + offset)
        for part, offset in zip(parts, first, strict=True)
        for question, answer, label in texts_and_labels(part.dataset("en", "en"))
    ]
    assert texts_and_labels(pairs["yo-en"]) == [
        (question, answer, label + first[1])
        for question, answer, label in texts_and_labels(parts[1].dataset("yo", "en"))
    ]


def test_batching_chooses_the_pairs(data: Path) -> None:
    parts = [read_source("mlqa-r", ["de", "en"])]
    assert list(pair_datasets(parts, "monolingual")) == ["de-de", "en-en"]
    assert list(pair_datasets(parts, "cross-lingual")) == ["de-en", "en-de"]
    assert list(pair_datasets(parts, "hybrid")) == list(pair_datasets(parts)) == ["de-de", "de-en", "en-de", "en-en"]


def test_nothing_is_left(data: Path) -> None:
    for sources, languages, batching, expected in (
        (["mlqa-r"], ["en"], "cross-lingual", "mlqa-r: no cross-lingual pair in en; choose more languages, "),
        ([], None, "hybrid", "no source: no pair in any language; "),
        ([], None, "mixed", "no source: no pair in any language; "),
        (["mlqa-r"], None, "any", "unknown batching 'any'; known: hybrid, monolingual, cross-lingual, mixed"),
    ):
        with pytest.raises(DataError) as caught:
            load_pairs(*sources, languages=languages, batching=batching)
        assert str(caught.value).startswith(expected)


def test_the_users_own_pairs(tmp_path: Path) -> None:
    part = read_source(write_lines(tmp_path))
    assert part.languages == ("en", "de", "tr")
    assert part.training_datasets == frozenset()
    assert part.labels.tolist() == [0, 1, 0, 0]  # sky and air in English, air and fog in Turkish
    pairs = pair_datasets([part])
    assert set(pairs) == {"en-en", "en-de", "en-tr", "de-en", "de-de", "tr-en", "tr-tr"}
    assert texts_and_labels(pairs["en-tr"]) == [("What is above?", "Hava.", 0)]
    assert texts_and_labels(pairs["de-en"]) == [("Was ist blau?", "The sky.", 0)]
    chosen = read_source(part.source, ["tr", "de"])
    assert chosen.languages == ("de", "tr")
    assert chosen.revision == part.revision
    assert chosen.labels.tolist() == [0, 1, 2, 2]
    assert error_of(part.source, ["de", "fr"]) == f"{part.source}: no pair in 'fr'; it has en, de, tr"
    assert error_of(part.source, []) == f"{part.source}: no language was asked for; it has en, de, tr"


def in_jsonl_gz(folder: Path) -> str:
    path = folder / "pairs.jsonl.gz"
    path.write_bytes(gzip.compress(Path(write_lines(folder)).read_bytes()))
    return str(path)


def in_parquet(folder: Path) -> str:
    path = folder / "pairs.parquet"
    Dataset.from_list([{"more": 1, **entry} for entry in ENTRIES]).to_parquet(path)
    return str(path)


def in_a_saved_data_set(folder: Path) -> str:
    Dataset.from_list(ENTRIES).with_format("numpy").save_to_disk(folder / "pairs")
    return str(folder / "pairs")


def in_a_saved_data_set_with_splits(folder: Path) -> str:
    dataset = Dataset.from_list(ENTRIES)
    DatasetDict(train=dataset, test=dataset.select([0])).save_to_disk(folder / "splits")
    return str(folder / "splits")


@pytest.mark.parametrize("stored", [in_jsonl_gz, in_parquet, in_a_saved_data_set, in_a_saved_data_set_with_splits])
def test_entries_are_the_same_however_they_are_stored(stored: Callable[[Path], str], tmp_path: Path) -> None:
    expected, found = read_source(write_lines(tmp_path)), read_source(stored(tmp_path))
    assert found.revision == expected.revision
    assert found.labels.tolist() == expected.labels.tolist()
    assert (found.questions, found.answers) == (expected.questions, expected.answers)


def test_the_revision_is_that_of_the_content(tmp_path: Path) -> None:
    revision = read_source(write_lines(tmp_path)).revision
    assert len(revision) == 64
    (tmp_path / "other.jsonl").write_text("\ufeff" + "\n\n".join(map(json.dumps, ENTRIES)), encoding="utf-8")
    assert read_source(str(tmp_path / "other.jsonl")).revision == revision
    assert read_source(write_lines(tmp_path, ENTRIES[::-1])).revision != revision


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "not JSON at column 2: Expecting property name enclosed in double quotes; write one object a line"),
        (b"\xff", "byte 0 of the line is not UTF-8"),
        ("[" * 100_000, "not JSON that can be read: "),
        ("[]", "not an object with the fields id, language, question, answer"),
        ({**ENTRIES[2], "answer": None}, "the field 'answer' is null, not a text"),
        ({**ENTRIES[2], "id": 7}, "the field 'id' is 7, not a text"),
        ({**ENTRIES[2], "question": " "}, "the field 'question' is empty"),
        ({**ENTRIES[2], "answer": "\ud83d"}, "the field 'answer' holds a lone surrogate, half a character"),
        (
            {**ENTRIES[2], "language": "eng"},
            "the field 'language': 'eng' is not a language tag (BCP 47): write 'en'",
        ),
        ({"id": "sea", "language": "en", "question": "What?"}, "the field 'answer' is missing"),
        (ENTRIES[1], "the id 'sky' stands in 'de' for the second time"),
    ],
)
def test_a_malformed_line_is_named(line: object, expected: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path, ENTRIES[:2])
    raw = line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
    with open(path, "ab") as file:
        file.write(raw)
    assert error_of(path).startswith(f"{path}, line 3: {expected}")


def test_a_file_without_pairs(tmp_path: Path) -> None:
    for content in ("", "\n \n"):
        (tmp_path / "pairs.jsonl").write_text(content)
        assert error_of(str(tmp_path / "pairs.jsonl")) == f"{tmp_path / 'pairs.jsonl'}: holds no pair"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("pairs.jsonl", "pairs.jsonl.gz", "pairs.parquet"):
        path = str(tmp_path / name)
        message = error_of(path)
        assert message.startswith(f"cannot read {path}: ")
        assert "o such file" in message
    for name in ("pairs.jsonl.gz", "pairs.parquet"):
        path = str(tmp_path / name)
        Path(path).write_bytes(b"neither")
        assert error_of(path).startswith(f"cannot read {path}: ")
    whole = Path(in_jsonl_gz(tmp_path))
    whole.write_bytes(whole.read_bytes()[:-20])
    assert error_of(str(whole)).startswith(f"cannot read {whole}: ")


def test_a_malformed_data_set(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    Dataset.from_dict({"id": ["a"], "language": ["en"], "text": ["b"]}).to_parquet(path)
    assert error_of(str(path)) == f"{path}: the column 'question' is missing; it has id, language, text"
    Dataset.from_list([ENTRIES[0], {**ENTRIES[1], "answer": None}]).to_parquet(path)
    assert error_of(str(path)) == f"{path}, row 1: the field 'answer' is null, not a text"
    folder = tmp_path / "folder"
    folder.mkdir()
    assert error_of(str(folder)).startswith(f"{folder}: not a whole folder of Dataset.save_to_disk: ")
    Dataset.from_list([ENTRIES[0], {**ENTRIES[1], "id": ""}]).save_to_disk(folder)
    assert error_of(str(folder)) == f"{folder}, row 1: the field 'id' is empty"
    (folder / "state.json").write_text("{}")
    assert error_of(str(folder)).startswith(f"{folder}: not a whole folder of Dataset.save_to_disk: ")
    DatasetDict(test=Dataset.from_list(ENTRIES)).save_to_disk(tmp_path / "splits")
    assert error_of(str(tmp_path / "splits")).endswith(
        ": has no split 'train' but test; name the folder of one of them"
    )


@pytest.mark.parametrize(("source", "split"), [("some/pairs", "train"), ("some/pairs:dev", "dev")])
def test_a_data_set_of_the_hub(source: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def load_dataset(name: str, split: str) -> Dataset:
        calls.append((name, split))
        return Dataset.from_list(ENTRIES)

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    part = read_source(source)
    assert calls == [("some/pairs", split)]
    assert part.source == source
    assert part.revision == read_source(write_lines(tmp_path)).revision


def test_the_hub_cannot_be_reached() -> None:
    message = error_of("some/pairs:dev")  # the tests are offline
    assert message.startswith(
        "some/pairs:dev: no folder of this name here, and split 'dev' of some/pairs cannot be had from the hub: "
    )


def test_an_unknown_source(data: Path) -> None:
    for source in ("squad", "./some/pairs", "pairs.csv", ""):
        message = error_of(source)
        assert message.startswith(f"unknown pairs {source!r}; known: xquad-r, mlqa-r, ntrex, ntrex-translation, ")
        assert "org/name" in message
    assert error_of("xquad-r", ["fr"]).startswith("xquad-r: unknown language 'fr'; ")
    assert error_of("ntrex", ["it"]).startswith("ntrex: unknown language 'it'; ")


def test_training_datasets_are_tasks_that_mteb_knows(data: Path) -> None:
    for source, expected in (("xquad-r", "XQuADR"), ("mlqa-r", "MLQAR"), ("ntrex-next", "NTREXBitextMining")):
        names = read_source(source, ["de", "en"]).training_datasets
        assert expected in names
        assert {task.metadata.name for task in mteb.get_tasks(tasks=sorted(names))} == names


def test_distinct_texts(data: Path, tmp_path: Path) -> None:
    part = read_source(write_lines(tmp_path))
    found = {(language, kind): texts.to_pylist() for language, kind, texts in part.texts()}
    assert list(found) == [(language, kind) for language in ("en", "de", "tr") for kind in ("question", "answer")]
    assert found["en", "answer"] == ["The sky.", "The sea."]
    assert found["tr", "question"] == ["Yukarıda ne var?", "Gri olan ne?"]
    assert [language for language, _, _ in part.texts(["tr", "en"])] == ["en", "en", "tr", "tr"]
    with pytest.raises(DataError, match=r"pairs\.jsonl: no pair in 'fr'; it has en, de, tr"):
        list(part.texts(["fr"]))
    with pytest.raises(DataError, match=r"no pair in 'fr'"):
        part.dataset("en", "fr")


def test_columns_of_different_lengths_are_refused() -> None:
    one, two = (pa.chunked_array([pa.array(["a"] * n)]) for n in (1, 2))

    def pairs(questions: pa.ChunkedArray, answers: dict[str, pa.ChunkedArray]) -> ParallelPairs:
        return ParallelPairs("made", "1", frozenset(), {"en": questions}, answers, np.zeros(1, dtype=np.int64))

    assert len(pairs(one, {"en": one}).dataset("en", "en")) == 1
    with pytest.raises(DataError, match="made: a column has not 1 rows"):
        pairs(one, {"en": two})
    with pytest.raises(DataError, match="made: questions in en, answers not in the same"):
        pairs(one, {"de": one})


def test_the_languages_of_the_data_sets_have_tags() -> None:
    assert all(is_tag(code) for spec in specs() for code in spec.languages)


def test_a_source_is_named_as_users_name_it(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(write_lines(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = load_pairs(str(path), languages=["en"])
    assert set(expected) == {"en-en"}
    shouted = path.rename(tmp_path / "PAIRS.JSONL")
    for source in (shouted, str(shouted), "~/PAIRS.JSONL", Path("~/PAIRS.JSONL")):
        assert load_pairs(source, languages="en")["en-en"].to_list() == expected["en-en"].to_list()
    assert set(load_pairs(spec_of("xquad-r"), languages="de")) == {"de-de"}
    assert read_source("xquad-r", "de").languages == ("de",)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Dataset.from_list(ENTRIES), "a source of pairs is a name or a path, not a Dataset; "),
        (None, "a source of pairs is a name or a path, not a NoneType; "),
        (Path("no/folder"), "unknown pairs '/"),  # a path is never looked for on the hub
        (Path("xquad-r"), "unknown pairs '/"),
    ],
)
def test_what_is_no_source_is_one_line(source: Any, message: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load_pairs(source)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_nobodys_home_is_one_line() -> None:
    with pytest.raises(BeirHybridError, match="there is no such home folder"):
        load_pairs("~nobody-of-this-name/pairs.jsonl")


@pytest.mark.parametrize(
    ("source", "licence"),
    [
        ("ntrex", "cc-by-sa-4.0"),
        ("ntrex-next", "cc-by-sa-4.0"),
        ("xquad-r", spec_of("xquad-r").licence),
        ("ntrex-mine.jsonl", "see the source"),
        ("xquad-r-mine", "see the source"),
    ],
)
def test_the_licence_is_that_of_the_source_and_of_none_of_a_like_name(source: str, licence: str) -> None:
    part = {"source": source, "revision": "0" * 40, "rows": 1, "languages": ["en"]}
    assert model_card._data_row(part).endswith(f"| {licence} |")
