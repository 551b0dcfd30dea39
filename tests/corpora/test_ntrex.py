"""NTREX-128: the reader, and what it says about files that are not as they should be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from beir_hybrid.corpora import load, ntrex, sources, spec_of
from beir_hybrid.corpora.parallel import ParallelSentences
from beir_hybrid.errors import DataError
from tests.support import small_ntrex

SOURCE = spec_of("ntrex")
LISTED = "DOCUMENT_IDS.tsv"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user an own folder with a small NTREX-128; return where its files are."""
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(small_ntrex.write(tmp_path)))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    return tmp_path / "ntrex"


def read_sentences(languages: Iterable[str] | None = None) -> ParallelSentences:
    return ntrex.read(SOURCE, SOURCE.choose(languages))


def error_of(*languages: str) -> str:
    """Return the one line that reading ends with."""
    with pytest.raises(DataError) as caught:
        read_sentences(languages or None)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_sentences_and_their_documents(data: Path) -> None:
    read = read_sentences(["tr", "de"])
    assert list(read.languages) == ["de", "tr"]
    assert read.languages["tr"] == small_ntrex.sentences("tr")
    assert read.documents == small_ntrex.DOCUMENTS
    assert read.revision == sources.revision_of(SOURCE) != SOURCE.revision
    assert tuple(read_sentences().languages) == small_ntrex.LANGUAGES


def test_lines_end_as_on_any_system_and_only_there(data: Path) -> None:
    odd = "a\u2028b\x85c\x0bd", *small_ntrex.sentences("de")[1:]
    for end in ("\n", "\r\n"):
        for last in (end, ""):
            (data / "de.txt").write_bytes(("\ufeff" + end.join(odd) + last).encode())
            assert read_sentences(["de"]).languages["de"] == odd


def test_a_file_of_another_length(data: Path) -> None:
    (data / "de.txt").write_text("one\ntwo\n")
    assert error_of("de").startswith(f"{data / 'de.txt'}: 2 lines, but {data / LISTED} has 6; ")
    assert read_sentences(["tr"]).languages  # the files of other languages are not read


@pytest.mark.parametrize("name", ["de.txt", LISTED])
@pytest.mark.parametrize("content", ["", "\n", " \r\n\r\n"])
def test_an_empty_file(name: str, content: str, data: Path) -> None:
    (data / name).write_text(content)
    assert error_of("de") == f"{data / name}: the file is empty; restore it"


@pytest.mark.parametrize("name", ["de.txt", LISTED])
def test_an_empty_line(name: str, data: Path) -> None:
    (data / name).write_bytes(b"one\r\n\r\nthree\r\n")
    assert error_of("de") == f"{data / name}, line 2: the line is empty; restore the file"


@pytest.mark.parametrize("name", ["de.txt", LISTED])
def test_a_file_that_is_not_utf_8(name: str, data: Path) -> None:
    (data / name).write_bytes(b"one\n\xfftwo\n")
    assert error_of("de") == f"{data / name}: byte 4 is not UTF-8; restore the file"


def test_a_document_that_goes_on_after_another(data: Path) -> None:
    (data / LISTED).write_text("a\na\nb\nb\na\nc\n")
    assert error_of().startswith(f"{data / LISTED}, line 5: the document 'a' goes on after another")


@pytest.mark.parametrize("name", ["de.txt", LISTED])
def test_a_missing_file(name: str, data: Path) -> None:
    (data / name).unlink()
    assert error_of("de").startswith(f"{data / name} is missing; ")


def test_a_file_that_cannot_be_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert error_of("de") == f"cannot read {data / LISTED}: Permission denied"


def test_an_unknown_language(data: Path) -> None:
    assert error_of("it").startswith("ntrex: unknown language 'it'; it has ar, bn, de, ")


def test_it_is_no_retrieval_corpus(data: Path) -> None:
    with pytest.raises(DataError, match=r"ntrex is no retrieval corpus: .* training only$"):
        load("ntrex")


def test_a_corpus_that_only_its_task_reads_is_one_line() -> None:
    with pytest.raises(DataError, match=r"^miracl is read by its task MIRACLCLFull only, through MTEB$"):
        load("miracl")


def test_its_addresses_are_those_of_the_publisher() -> None:
    commit = "https://raw.githubusercontent.com/MicrosoftTranslator/NTREX/8561f6a622db9edad1217683e5c83daefd8bb2bf"
    assert sources.address_of(SOURCE, "en") == f"{commit}/NTREX-128/newstest2019-src.eng.txt"
    assert sources.address_of(SOURCE, "ar") == f"{commit}/NTREX-128/newstest2019-ref.arb.txt"
    assert sources.address_of(SOURCE, "zh") == f"{commit}/NTREX-128/newstest2019-ref.zho-CN.txt"
    assert sources.address_of(SOURCE, LISTED) == f"{commit}/DOCUMENT_IDS.tsv"
    assert set(SOURCE.files.names) == set(SOURCE.languages)


@pytest.mark.real_data
def test_the_published_files(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(data_folder))
    monkeypatch.delenv("BEIR_HYBRID_DATA_UNVERIFIED", raising=False)
    read = read_sentences()
    assert read.revision == SOURCE.revision
    assert len(read.languages) == 21
    assert len(read.documents) == 1997
    assert len(set(read.documents)) == 123
    assert all(len(texts) == 1997 for texts in read.languages.values())
    assert all(text == text.strip() for texts in read.languages.values() for text in texts)
