"""Fingerprints of texts: the normalisation, the shingles against plain sets, and the file."""

from __future__ import annotations

import itertools
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.overlap.fingerprints import SCHEMA, Fingerprints, fingerprint, normalise, of_pairs, shingle_length
from beir_hybrid.training.parallel_pairs import ParallelPairs
from tests.support.helpers import property_test

AWKWARD = st.one_of(
    st.characters(exclude_categories=["Cs"]), st.sampled_from("iIİı\u0345\u0307\u0301\u0323\u00ada α\u0390ß\u200d")
)
"""All characters, and often those whose case, composition or order is special."""


def column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def pairs(questions: dict[str, list[str | None]], answers: dict[str, list[str | None]]) -> ParallelPairs:
    rows = len(next(iter(questions.values())))
    return ParallelPairs(
        source="made up",
        revision="1",
        training_datasets=frozenset(),
        questions={code: column(*texts) for code, texts in questions.items()},
        answers={code: column(*texts) for code, texts in answers.items()},
        labels=np.arange(rows),
    )


PAIRS = pairs(
    {"en": ["Who sings?", "who SINGS", None, "..."], "zh": ["谁在唱歌？", "歌", None, None]},
    {"en": ["A bird.", "A cat", "A bird.", None], "zh": ["鸟。", None, "鸟", "猫"]},
)


@pytest.mark.parametrize(
    ("texts", "same"),
    [
        (["Where is Zürich?", "WHERE is  Zu\u0308rich", "«where» is—Zürich!"], "where is zürich"),
        (["Straße 7", "STRASSE ⑦", "strasse 7"], "strasse 7"),
        (["\ufb01ne co\u00adop\u200b", "FINE COOP"], "fine coop"),
        (["Işık İzmir", "IŞIK İZMİR", "ışık izmir"], "işik izmir"),
        (["ΟΔΟΣ Σ.", "οδος σ", "οδοσ ς"], "οδοσ σ"),
        (["", " ?!… ", "\u200d", "🙂"], ""),
    ],
)
def test_what_is_the_same_after_normalisation(texts: list[str], same: str) -> None:
    assert [normalise(text) for text in texts] == [same] * len(texts)


@pytest.mark.parametrize("word", ["हिन्दी", "ที่นี่", "عَرَبِيّ", "தமிழ்", "nai\u0308ve"])
def test_combining_marks_stay_in_their_word(word: str) -> None:
    assert normalise(f"({word})") == unicodedata.normalize("NFKC", word)
    without = "".join(c for c in unicodedata.normalize("NFD", word) if unicodedata.category(c)[0] != "M")
    assert normalise(without) != normalise(word)


@property_test(500)
@given(st.text(AWKWARD))
@example("I\u0307\u0307")
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert {unicodedata.category(c)[0] for c in once} <= set("LMNZ")
    assert once == " ".join(once.split(" "))


def test_normalising_any_character_twice_changes_nothing() -> None:
    every = (chr(code) for code in range(0x20000) if not 0xD800 <= code <= 0xDFFF)
    once = [normalise(character) for character in every]
    assert [normalise(text) for text in once] == once


@property_test(150)
@given(st.lists(st.text(st.sampled_from("abc .鸟\U0001f1e6"), max_size=12), max_size=12), st.integers(1, 3))
def test_shingles_are_those_of_plain_sets(texts: list[str], length: int) -> None:
    table = fingerprint(texts, length)
    of_text = []
    for text in map(normalise, texts):
        of_text.append({text[n : n + length] for n in range(max(1, len(text) - length + 1))} if text else set())
    found = [set(row) for row in table["shingles"].to_pylist()]
    assert [len(row) for row in found] == [len(row) for row in of_text]
    for (a, b), (c, d) in zip(itertools.product(found, repeat=2), itertools.product(of_text, repeat=2), strict=True):
        assert len(a & b) == len(c & d)
    hashes = table["text_hash"].to_pylist()
    assert len(set(hashes)) == len(set(map(normalise, texts)))
    assert all(row == sorted(set(row)) for row in table["shingles"].to_pylist())


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text number {n}" for n in range(10)]
    whole = fingerprint(texts, 3)
    monkeypatch.setattr("beir_hybrid.overlap.fingerprints._BATCH", 3)
    assert fingerprint(texts, 3).equals(whole)


def test_fingerprints_of_pairs_are_of_distinct_texts() -> None:
    found = of_pairs([PAIRS])
    assert found.texts is not None
    rows = zip(
        found.table["language"].to_pylist(), found.table["kind"].to_pylist(), found.texts.to_pylist(), strict=True
    )
    assert sorted(rows) == [
        ("en", "answer", "A bird."),
        ("en", "answer", "A cat"),
        ("en", "question", "Who sings?"),
        ("zh", "answer", "猫"),
        ("zh", "answer", "鸟。"),
        ("zh", "question", "歌"),
        ("zh", "question", "谁在唱歌？"),
    ]
    for language, kind in {("en", "answer"), ("zh", "question")}:
        mask = [
            a == (language, kind) for a in zip(*map(pa.ChunkedArray.to_pylist, found.table.columns[:2]), strict=True)
        ]
        part = found.table.filter(pa.array(mask))
        assert part["text_hash"].to_pylist() == sorted(part["text_hash"].to_pylist())
        texts = found.texts.filter(pa.array(mask)).to_pylist()
        assert fingerprint(texts, shingle_length(language)).equals(part.select(["text_hash", "shingles"]))


def test_the_order_of_sources_and_rows_does_not_matter() -> None:
    backwards = pairs(
        {code: texts.to_pylist()[::-1] for code, texts in reversed(PAIRS.questions.items())},
        {code: texts.to_pylist()[::-1] for code, texts in reversed(PAIRS.answers.items())},
    )
    assert of_pairs([backwards, PAIRS]).table.equals(of_pairs([PAIRS]).table)
    assert set(of_pairs([PAIRS], ["zh"]).table["language"].to_pylist()) == {"zh"}
    assert of_pairs([]).table.equals(SCHEMA.empty_table())


def test_the_file(tmp_path: Path) -> None:
    written = of_pairs([PAIRS])
    for name in ("a.parquet", "b/b.parquet"):
        written.write(tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b/b.parquet").read_bytes()
    read = Fingerprints.read(tmp_path / "a.parquet")
    assert read.table.equals(written.table)
    assert read.texts is None
    assert pq.read_schema(tmp_path / "a.parquet").names == SCHEMA.names
    assert pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_what_is_no_file_of_fingerprints(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    with pytest.raises(BeirHybridError, match="there are no fingerprints"):
        Fingerprints.read(path)
    of_pairs([PAIRS]).write(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(BeirHybridError, match="truncated or not a Parquet file"):
        Fingerprints.read(path)
    pq.write_table(SCHEMA.empty_table(), path)
    with pytest.raises(BeirHybridError, match="holds no fingerprints"):
        Fingerprints.read(path)
    pq.write_table(SCHEMA.empty_table().replace_schema_metadata({"beir_hybrid": '{"format_version": 2}'}), path)
    with pytest.raises(BeirHybridError, match="has format 2; this version reads 1"):
        Fingerprints.read(path)
