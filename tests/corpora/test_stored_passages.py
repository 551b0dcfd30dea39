"""Passages that stay in Parquet files, on disk or in object storage, until somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from beir_hybrid import corpora
from beir_hybrid.corpora import ParallelCorpus
from beir_hybrid.corpora.own import stored_passages
from beir_hybrid.corpora.own.checks import check
from beir_hybrid.corpora.parquet_texts import ParquetColumn, ParquetTable
from beir_hybrid.corpora.text_columns import TextColumn
from beir_hybrid.errors import DataError
from tests.support import object_storage, small_folder
from tests.support.object_storage import Storage


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION", "EC2_METADATA_DISABLED"):
        monkeypatch.setenv(f"AWS_{name}", "true")


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[Storage]:
    with object_storage.served(tmp_path / "bucket") as storage:
        yield storage


def written(folder: Path, row_group_size: int = 2) -> Path:
    """Write the small corpus as Parquet, its passages in small row groups."""
    small_folder.write(folder, "parquet")
    for path in folder.glob("*/corpus.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=row_group_size)
    return folder


def assert_same(found: ParallelCorpus, expected: ParallelCorpus) -> None:
    assert [*found.languages] == [*expected.languages]
    for language, part in expected.languages.items():
        other = found.languages[language]
        assert isinstance(other.passages, ParquetColumn)
        assert tuple(other.passage_ids) == part.passage_ids
        assert tuple(other.passages) == part.passages
        assert other.titles is not None and tuple(other.titles) == part.titles
        for name in ("question_ids", "questions", "articles", "relevance", "ignored"):
            assert getattr(other, name) == getattr(part, name)


def test_large_files_are_the_same_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "mine")
    expected = corpora.load(folder)
    assert isinstance(expected.languages["de"].passages, tuple)
    monkeypatch.setattr(stored_passages, "LARGE", 0)
    stored = corpora.load(folder)
    assert_same(stored, expected)
    assert stored.revision == expected.revision
    assert check(str(folder)).faults == []


@pytest.mark.parametrize("place", ["texts/{language}", "texts/{language}/part-0.parquet", "{}"])
def test_passages_can_be_elsewhere(tmp_path: Path, place: str) -> None:
    folder = written(tmp_path / "mine")
    expected = corpora.load(folder)
    for language in ("en", "de"):
        path = folder / "texts" / language / "part-0.parquet"
        path.parent.mkdir(parents=True)
        (folder / language / "corpus.parquet").rename(path)
    if place == "{}":
        place = f"{(folder / 'texts').as_uri()}/{{language}}/"
    toml = folder / "corpus.toml"
    toml.write_text(f'{small_folder.TOML}passages = "{place}"\n', encoding="utf-8")
    assert_same(corpora.load(folder), expected)
    assert corpora.load(folder).revision != expected.revision


def test_parts_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    for number, texts in enumerate([["a", "b", "c"], [], ["d"], ["e", "f"]]):
        table = pa.table({"text": pa.array(texts, pa.string())})
        pq.write_table(table, tmp_path / f"part-{number}.parquet", row_group_size=2)
    (tmp_path / "_SUCCESS").write_text("", encoding="utf-8")
    table = ParquetTable(tmp_path)
    column = ParquetColumn(table, "text", str.upper)
    assert len(column) == 6 and list(column) == [*"ABCDEF"]
    assert column.take(np.array([5, 0, 3, 0, 2])) == [*"FADAC"]
    assert (column[-1], column[1:4], column[::-2], column[4:4]) == ("F", [*"BCD"], [*"FDB"], [])
    with pytest.raises(IndexError):
        column[6]


@pytest.mark.parametrize("rows", [[], [3], [2, 3, 4], [2, 4, 5], [5, 2, 3, 2], [9, 0], [0, 9, 0]])
def test_texts_of_a_data_set_are_those_of_the_rows(rows: list[int]) -> None:
    """Rows that lie close together are read as one piece."""
    texts = [*"abcde", None, *"ghij"]
    column = TextColumn(Dataset.from_dict({"id": texts}), "id", "en:")
    assert column.take(np.array(rows, dtype=np.int64)) == [f"en:{texts[row] or ''}" for row in rows]


def test_object_storage_is_read_by_row_group(tmp_path: Path, bucket: Storage) -> None:
    folder = small_folder.write(bucket.folder / "mine", "parquet")
    texts = [f"{n:04} {np.random.default_rng(n).bytes(50).hex()}" for n in range(4000)]
    rows = {"_id": [str(n) for n in range(1, 4001)], "text": texts}
    pq.write_table(pa.table(rows), folder / "de" / "corpus.parquet", row_group_size=1000)
    size = (folder / "de" / "corpus.parquet").stat().st_size
    expected = corpora.load(folder).languages["de"]
    corpus = corpora.load(bucket.address("mine"))
    assert corpus.name == "help-centre"
    german = corpus.languages["de"]
    assert tuple(german.passage_ids) == expected.passage_ids and german.relevance == expected.relevance
    before = bucket.sent["mine/de/corpus.parquet"]
    assert before < size / 2  # footers and ids
    assert german.passages[1000:2000] == texts[1000:2000]
    assert 100_000 < bucket.sent["mine/de/corpus.parquet"] - before < size / 3
    assert [path.suffix for path in (tmp_path / "home").rglob("corpus.*")] == [".toml"]  # passages are not copied
    assert corpora.load(bucket.address("mine")).revision == corpus.revision


def test_other_texts_are_another_revision(tmp_path: Path, bucket: Storage) -> None:
    folder = written(bucket.folder)
    first = corpora.load(bucket.address()).revision
    small_folder.write_parquet(folder / "de" / "corpus.parquet", small_folder.passages("en"))
    assert corpora.load(bucket.address()).revision != first


def without_text(folder: Path) -> None:
    small_folder.write_parquet(folder / "de" / "corpus.parquet", [*small_folder.passages("de"), {"_id": "5"}])


def truncated(folder: Path) -> None:
    path = folder / "de" / "corpus.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def with_ids(*names: str | None) -> Callable[[Path], None]:
    rows = [{"_id": name, "text": "a"} for name in ("1", "2", "3", *names)]
    return lambda folder: small_folder.write_parquet(folder / "de" / "corpus.parquet", rows)


def empty(folder: Path) -> None:
    path = folder / "de" / "corpus.parquet"
    pq.write_table(pq.read_table(path)[:0], path)


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a text is missing": (without_text, "de/corpus.parquet, row 5: the field 'text' is missing"),
    "an id is missing": (with_ids(None), "de/corpus.parquet, row 4: the field '_id' is missing"),
    "an id is blank": (with_ids("4", " "), "de/corpus.parquet, row 5: the field '_id' is empty"),
    "an id has a tab": (with_ids("a\tb"), "row 4: the field '_id' is 'a\\tb'; an id holds no tab or line break"),
    "an id stands twice": (with_ids("2"), "help-centre de: the passage id 'de:p:2' stands twice; ids must be unique"),
    "an id is a query's": (with_ids("de:1"), "the query 'de:1' has the id of a passage; rename one of them"),
    "no row": (empty, "de/corpus.parquet: there is no passage"),
    "truncated": (truncated, "de/corpus.parquet: is not a whole Parquet file"),
    "no such passage": (
        lambda folder: small_folder.write_parquet(
            folder / "de" / "qrels.parquet", [{"query-id": "1", "corpus-id": "9", "score": 1}]
        ),
        "de/qrels.parquet, row 1: there is no passage '9' in de",
    ),
    "no text column": (
        lambda folder: small_folder.write_parquet(folder / "de" / "corpus.parquet", [{"_id": "1"}]),
        "de/corpus.parquet: the column 'text' is missing; there are _id",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    spoil, problem = FAULTS[name]
    folder = written(tmp_path / "mine")
    monkeypatch.setattr(stored_passages, "LARGE", 0)
    spoil(folder)
    with pytest.raises(DataError) as caught:
        list(corpora.load(folder).languages["de"].passages)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://key:secret@bucket/mine", "an address with a password would be written to results"),
        ("foo://bucket/mine", "cannot be read; pyarrow, which reads s3://"),
        ("file:///nowhere/mine", "file:///nowhere/mine/corpus.toml: the file is missing"),
    ],
)
def test_a_bad_address_is_one_line(address: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        corpora.load(address)
    assert problem in str(caught.value) and "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_files_that_change_meanwhile_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "mine") / "de" / "corpus.parquet"
    column = ParquetColumn(ParquetTable(path), "text")
    assert column[0] == "de passage 1"
    small_folder.write_parquet(path, small_folder.passages("de")[:2])
    with pytest.raises(DataError, match="has changed since it was opened"):
        column[3]
    path.unlink()
    with pytest.raises(DataError, match="cannot read"):
        column[3]


def test_a_text_that_no_footer_says_is_missing_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "a.parquet", write_statistics=False)
    column = ParquetColumn(ParquetTable(tmp_path / "a.parquet"), "text")
    with pytest.raises(DataError, match=r"a\.parquet, row 2: the field 'text' is missing"):
        column[:]


def test_files_of_different_columns_are_no_table(tmp_path: Path) -> None:
    small_folder.write_parquet(tmp_path / "a.parquet", [{"_id": "1", "text": "a"}])
    small_folder.write_parquet(tmp_path / "b.parquet", [{"_id": "1"}])
    with pytest.raises(DataError, match=r"b\.parquet: has other columns than a\.parquet"):
        ParquetTable(tmp_path)
    with pytest.raises(DataError, match="there is no Parquet file"):
        ParquetTable(tmp_path / "none")
