"""Hard negatives of pairs: from files of all kinds, in the data sets of language pairs, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset, List, Value
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from beir_hybrid.errors import DataError
from beir_hybrid.training.negatives import places
from beir_hybrid.training.pair_files import write_pairs
from beir_hybrid.training.pairs import load_pairs, pair_datasets, read_source
from tests.support.helpers import property_test

TEXTS: list[tuple[str, str, str, list[str] | None]] = [
    ("sky", "en", "The sky.", ["The sea.", "A stone."]),
    ("sky", "de", "Der Himmel.", ["Das Meer.", "Ein Stein."]),
    ("sea", "en", "The sea.", ["The sky.", "The air."]),
    ("sea", "de", "Das Meer.", None),
    ("air", "en", "The air.", ["The sky.", "The sea."]),
    ("above", "en", "The sky.", ["A stone.", "The air."]),
    ("above", "de", "Der Himmel.", ["Ein Stein.", "Das Meer."]),
]
"""Id, language, answer and hard negatives: two questions have one answer, and in German one row has no negatives."""

ENTRIES = [
    {"id": name, "language": language, "question": f"{name}, {language}?", "answer": answer, "negative": negatives}
    for name, language, answer, negatives in TEXTS
]
PLAIN = [{name: text for name, text in entry.items() if name != "negative"} for entry in ENTRIES]
NUMBERED = [
    {**plain, **{f"negative_{place}": texts[place - 1] if texts else None for place in (1, 2)}}
    for plain, (*_, texts) in zip(PLAIN, TEXTS, strict=True)
]
ONE_EACH = [{**plain, "negative": texts and texts[0]} for plain, (*_, texts) in zip(PLAIN, TEXTS, strict=True)]
LABELS = {"The sky.": 0, "Der Himmel.": 0, "The sea.": 1, "Das Meer.": 1, "The air.": 2}


def write_lines(folder: Path, entries: list[Any] = ENTRIES) -> str:
    """Write entries as a JSON Lines file and return its path."""
    path = folder / "triplets.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return str(path)


def numbered_lines(folder: Path) -> str:
    return write_lines(folder, [{"other": "x", **entry} for entry in NUMBERED])


def in_parquet(folder: Path) -> str:
    Dataset.from_list(ENTRIES).to_parquet(folder / "lists.parquet")
    return str(folder / "lists.parquet")


def in_numbered_columns(folder: Path) -> str:
    Dataset.from_list(NUMBERED).to_parquet(folder / "columns.parquet")
    return str(folder / "columns.parquet")


def in_a_saved_data_set(folder: Path) -> str:
    Dataset.from_list(NUMBERED).save_to_disk(folder / "saved")
    return str(folder / "saved")


def on_the_hub(folder: Path) -> str:
    return "some/triplets"


@pytest.mark.parametrize("stored", [numbered_lines, in_parquet, in_numbered_columns, in_a_saved_data_set, on_the_hub])
def test_negatives_are_the_same_however_they_are_stored(
    stored: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.load_dataset", lambda name, split: Dataset.from_list(ENTRIES))
    expected = read_source(write_lines(tmp_path))
    found = read_source(stored(tmp_path))
    assert found.n_negatives == 2
    assert (found.negatives, found.revision) == (expected.negatives, expected.revision)
    without = read_source(write_lines(tmp_path, [{**entry, "negative": None} for entry in ENTRIES]))
    assert without.negatives == {}
    assert without.revision != found.revision


@pytest.mark.parametrize(
    ("whose", "x", "y", "languages"),
    [
        ("answer", "en", "de", ("de", "de")),
        ("question", "en", "de", ("en", "en")),
        ("both", "en", "de", ("de", "en")),
        ("both", "de", "en", ("en", "de")),
        ("both", "de", "de", ("de", "de")),
        ("none", "en", "de", ()),
    ],
)
def test_a_data_set_has_the_negatives_of_the_language_that_was_chosen(
    whose: Any, x: str, y: str, languages: tuple[str, ...], tmp_path: Path
) -> None:
    part = read_source(write_lines(tmp_path))
    texts = {(name, language): (answer, negatives) for name, language, answer, negatives in TEXTS}
    expected = []
    for name in dict.fromkeys(name for name, *_ in TEXTS):
        hard = [texts.get((name, language), ("", None))[1] for language in languages]
        if {(name, x), (name, y)} <= texts.keys() and None not in hard:
            # The first of either language; in one language, the first two.
            order = [languages[:place].count(language) for place, language in enumerate(languages)]
            chosen = [of_row[place] for of_row, place in zip(hard, order, strict=True)]
            answer = texts[name, y][0]
            labels = [LABELS.get(text, -1) for text in (answer, *chosen)]
            expected.append([f"{name}, {x}?", answer, *chosen, labels if languages else labels[0]])
    dataset = part.dataset(x, y, whose)
    assert dataset.column_names == ["question", "answer", *["negative_1", "negative_2"][: len(languages)], "label"]
    assert [list(row.values()) for row in dataset] == expected
    assert len(expected) == (3 if whose in ("none", "question") and x == "en" else 2)


def test_columns_types_and_fingerprints(tmp_path: Path) -> None:
    path = write_lines(tmp_path)
    one = read_source(write_lines(tmp_path, ONE_EACH))
    dataset = one.dataset("en", "en")
    assert dataset.features == {
        "question": Value("string"),
        "answer": Value("string"),
        "negative": Value("string"),
        "label": List(Value("int64"), length=2),
    }
    write_lines(tmp_path)
    modes = ("answer", "question", "both", "none")
    prints = {mode: load_pairs(path, negatives=mode)["en-de"]._fingerprint for mode in modes}
    assert len(set(prints.values())) == len(modes)
    assert prints == {mode: load_pairs(path, negatives=mode)["en-de"]._fingerprint for mode in modes}
    # No text is copied, but where rows are left out.
    part = read_source(path)
    found = part.dataset("en", "de").data.column("negative_1").chunks[0].buffers()[2].address
    assert found == part.negatives["de"][0].chunks[0].buffers()[2].address


def test_labels_are_counted_on_and_batched(tmp_path: Path) -> None:
    part = read_source(write_lines(tmp_path))
    pairs = pair_datasets([part, part])
    (batch,) = DataLoader(pairs["en-en"].with_format("torch"), batch_size=len(pairs["en-en"]))
    first, second = batch["label"].chunk(2)
    assert first.tolist() == [[0, 1, -1], [1, 0, 2], [2, 0, 1], [0, -1, 2]]
    assert (second == first.where(first == -1, first + 3)).all()


def test_texts_to_embed_and_to_remember_hold_the_negatives(tmp_path: Path) -> None:
    found = {(code, kind): texts.to_pylist() for code, kind, texts in read_source(write_lines(tmp_path)).texts()}
    assert found["de", "answer"] == ["Der Himmel.", "Das Meer.", "Ein Stein."]
    assert found["en", "answer"] == ["The sky.", "The sea.", "The air.", "A stone."]


@pytest.mark.parametrize("name", ["again.jsonl", "again.jsonl.gz", "again.parquet"])
def test_written_and_read_again(name: str, tmp_path: Path) -> None:
    part = read_source(write_lines(tmp_path))
    again = read_source(str(write_pairs(part, tmp_path / name)))
    for x, y in product(part.languages, repeat=2):
        assert again.dataset(x, y).to_list() == part.dataset(x, y).to_list()
    assert read_source(str(write_pairs(again, tmp_path / f"third-{name}"))).revision == again.revision


@property_test(100)
@given(st.integers(1, 7), st.sampled_from(["answer", "question", "both"]), st.booleans())
def test_a_row_has_as_many_negatives_in_whatever_language(number: int, whose: Any, same: bool) -> None:
    columns = {"en": ["e"] * number, "de": ["d"] * number}
    chosen = places(columns, "en", "en" if same else "de", whose)
    assert len(set(chosen)) == len(chosen) == number
    of_answer = [place for language, place in chosen if language == ("en" if same else "de")]
    assert of_answer == list(range(len(of_answer)))  # the likeliest
    expected = {"answer": number, "question": 0, "both": number - number // 2}
    assert len(of_answer) == (number if same else expected[whose])


SEA = ENTRIES[2]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (PLAIN[2], "the field 'negative' is missing, which the entries before"),
        ({**SEA, "negative": ["The sky."]}, "has 1 hard negatives, the entries before 2; give all equally many"),
        ({**SEA, "negative": ["The sky.", "A", "B"]}, "has 3 hard negatives, the entries before 2; "),
        ({**SEA, "negative": "The sky."}, "has 1 hard negatives, the entries before 2; "),
        ({**SEA, "negative": []}, "the field 'negative' is an empty list; write null where there are none"),
        ({**SEA, "negative": ["The sky.", None]}, "the field 'negative' is null, not a text"),
        ({**SEA, "negative": ["The sky.", " "]}, "the field 'negative' is empty"),
        ({**SEA, "negative": {"a": 1}}, """the field 'negative' is {"a": 1}, not a text"""),
        ({**SEA, "negative": ["The sky.", "The sea."]}, "a hard negative is the answer itself; take it out"),
        ({**SEA, "negative_1": "The sky."}, "has the fields 'negative' and 'negative_1'; write one kind"),
        ({**NUMBERED[2], "negative_4": "x"}, "has the field 'negative_4' but no 'negative_3'"),
        ({**NUMBERED[2], "negative_2": None}, "the field 'negative_2' is null, not a text"),
        ({**NUMBERED[2], "negative_2": "\ud83d"}, "the field 'negative_2' holds a lone surrogate, half a character"),
    ],
)
def test_a_malformed_entry_is_named(entry: object, expected: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path, [*ENTRIES[:2], entry])
    with pytest.raises(DataError) as caught:
        read_source(path)
    assert str(caught.value).startswith(f"{path}, line 3: {expected}")
    assert "\n" not in str(caught.value)


def test_negatives_that_begin_late(tmp_path: Path) -> None:
    path = write_lines(tmp_path, [{**ENTRIES[0], "negative": None}, *ENTRIES[1:]])
    assert read_source(path).n_negatives == 2
    with pytest.raises(DataError, match="line 2: has the field 'negative', which the entries before lack; "):
        read_source(write_lines(tmp_path, [PLAIN[0], *ENTRIES[1:]]))


def test_what_does_not_fit_together_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    two = read_source(write_lines(tmp_path))
    one = read_source(write_lines(tmp_path / "one", ONE_EACH))
    with pytest.raises(DataError, match=r"equally many hard negatives a row, but .* has 1, .* has 2; leave them out"):
        pair_datasets([two, one])
    assert pair_datasets([two, one], negatives="none")["en-en"].column_names == ["question", "answer", "label"]
    with pytest.raises(DataError, match="has 1 hard negative a row; those of both languages need 2 or more"):
        pair_datasets([one], negatives="both")
    with pytest.raises(DataError, match="unknown negatives 'all'; known: answer, question, both, none"):
        load_pairs(two.source, negatives="all")


def test_columns_that_are_not_alike_are_refused(tmp_path: Path) -> None:
    part = read_source(write_lines(tmp_path))
    short = pa.chunked_array([pa.array(["a"])])
    for negatives, message in (
        ({"en": part.negatives["en"]}, "hard negatives in en, questions not in the same"),
        ({**part.negatives, "de": part.negatives["de"][:1]}, "not equally many hard negatives in each language"),
        ({**part.negatives, "de": (short, short)}, "a column has not 4 rows, one for each label"),
    ):
        with pytest.raises(DataError, match=message):
            replace(part, negatives=negatives)
