"""Which sentences a map is fitted on, which are held out, and what a folder of sentences must look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.debias.maps import DebiasError
from beir_hybrid.debias.sentences import HELD_OUT, Sentences, read_sentences
from beir_hybrid.errors import DataError
from beir_hybrid.overlap import fingerprints


def numbered(sizes: dict[str, int], parallel: bool = False) -> Sentences:
    texts = {language: [f"{language} {row}" for row in range(size)] for language, size in sizes.items()}
    return Sentences("made up", "1", texts, parallel)


@pytest.mark.parametrize(
    ("most", "number", "last"), [(25, 25, 1920), (50, 50, 1960), (100, 100, 1980), (200, 200, 1990), (999, 999, 1996)]
)
def test_of_ntrex_200_sentences_are_every_tenth_line_from_the_first(most: int, number: int, last: int) -> None:
    texts = numbered({"de": 1997}).fitted(most).texts["de"]
    assert (len(texts), texts[0], texts[1]) == (number, "de 0", f"de {last // (number - 1)}")
    assert texts[-1] == f"de {last}"


@given(st.integers(20, 3000), st.integers(20, 3000), st.integers(10, 4000))
def test_what_is_held_out_is_not_fitted_on(one: int, other: int, most: int) -> None:
    sentences = numbered({"de": one, "en": other})
    fitted, held_out = sentences.fitted(most), sentences.held_out(most)
    for language, size in (("de", one), ("en", other)):
        assert 5 <= len(fitted.texts[language]) <= min(most, (size + 1) // 2)
        assert 1 <= len(held_out.texts[language]) <= HELD_OUT
        assert not set(fitted.texts[language]) & set(held_out.texts[language])


def test_parallel_sentences_are_held_out_by_rows() -> None:
    held_out = numbered({"de": 90, "en": 90}, parallel=True).held_out()
    rows = {language: [text.split()[1] for text in texts] for language, texts in held_out.texts.items()}
    assert rows["de"] == rows["en"] and held_out.parallel


@pytest.mark.parametrize(
    ("sizes", "most", "message"),
    [
        ({"de": 30, "th": 19}, 200, "made up: th has 19 sentences; at least 20 are needed"),
        ({"de": 30, "th": 0}, 200, "made up: th has 0 sentences"),
        ({"de": 30}, 9, "9 sentences: at least 10 of each language"),
        ({"de": 30}, -1, "-1 sentences: at least 10 of each language"),
    ],
)
def test_too_few_sentences(sizes: dict[str, int], most: int, message: str) -> None:
    with pytest.raises(DebiasError, match=message):
        numbered(sizes).fitted(most)


@pytest.mark.real_data
def test_ntrex_is_read_by_default() -> None:
    sentences = read_sentences(languages=["en", "th"])
    assert sentences.parallel and list(sentences.texts) == ["en", "th"]
    assert {len(texts) for texts in sentences.texts.values()} == {1997}
    assert sentences.training_datasets == {"NTREXBitextMining"}
    assert sentences.source == "ntrex" and len(sentences.revision) == 40


@pytest.mark.real_data
def test_an_answer_of_several_questions_counts_once() -> None:
    sentences = read_sentences("xquad-r", ["en", "th"])
    numbers = {len(texts) for texts in sentences.texts.values()} | {
        len(set(texts)) for texts in sentences.texts.values()
    }
    (number,) = numbers
    assert 500 < number < 1190 and sentences.parallel  # of 1,190 questions


def test_sentences_of_atlas_r_are_those_of_its_train_split() -> None:
    from beir_hybrid.corpora import load

    sentences = read_sentences("atlas-r", ["de", "en"])
    assert sentences.parallel and len({len(texts) for texts in sentences.texts.values()}) == 1
    assert not set(sentences.texts["de"]) & set(load("atlas-r", ["de"]).languages["de"].passages)
    assert "AtlasR" in sentences.training_datasets


def write(folder: Path, lines: int = 30, **more: str) -> Path:
    """Write a folder of sentences in de, en and zh-Hant, and more files."""
    folder.mkdir()
    for language in ("de", "en", "zh-Hant"):
        text = "".join(f"{language} sentence {row}\r\n" for row in range(lines))
        (folder / f"{language}.txt").write_bytes(text.encode())
    for name, content in more.items():
        (folder / f"{name}.txt").write_bytes(content.encode("latin-1"))
    return folder


def test_a_folder_has_a_file_for_each_language(tmp_path: Path) -> None:
    folder = write(tmp_path / "own")
    sentences = read_sentences(str(folder))
    assert list(sentences.texts) == ["de", "en", "zh-Hant"] and not sentences.parallel
    assert sentences.texts["de"][::29] == ("de sentence 0", "de sentence 29")
    assert (sentences.source, sentences.training_datasets) == ("own", frozenset())
    chosen = read_sentences(str(folder), ["zh-Hant", "de"], parallel=True)
    assert list(chosen.texts) == ["de", "zh-Hant"] and chosen.parallel
    assert chosen.revision != sentences.revision and chosen.revision.startswith("local-")


def test_repeated_lines_count_once_unless_rows_belong_together(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", 30)
    (folder / "de.txt").write_text("same\n" * 29 + "other", encoding="utf-8")
    assert read_sentences(str(folder)).texts["de"] == ("same", "other")
    assert len(read_sentences(str(folder), parallel=True).texts["de"]) == 30


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda folder: None, {}, "--data .*own: there is no such folder, and no such corpus; known: .*ntrex"),
        (lambda folder: folder.mkdir(), {}, "own has no files <language>.txt"),
        (lambda folder: write(folder, notes_1="text"), {}, "notes_1.txt is not called <language>.txt"),
        (lambda folder: write(folder, th="one\n\nthree\n"), {}, "th.txt, line 2: the line is empty"),
        (lambda folder: write(folder, th=""), {}, "th.txt, line 1: the line is empty"),
        (lambda folder: write(folder, th="\xff"), {}, "th.txt.*UTF-8"),
        (lambda folder: write(folder, th="one\n"), {"parallel": True}, "de has 30 lines and th 1; parallel files"),
        (write, {"languages": ["de", "fr"]}, "own: unknown language 'fr'; it has de, en, zh-Hant"),
    ],
)
def test_folders_that_cannot_be_read(
    make: Callable[[Path], object], options: dict[str, object], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "own")
    with pytest.raises(DataError, match=message) as error:
        read_sentences(str(tmp_path / "own"), **options)
    assert "\n" not in str(error.value)


def test_the_overlap_check_gets_a_fingerprint_of_each_sentence() -> None:
    table = fingerprints.of_pairs([numbered({"de": 3, "en": 5}).as_pairs()]).table
    assert table["language"].to_pylist() == ["de"] * 3 + ["en"] * 5
    assert set(table["kind"].to_pylist()) == {"answer"}
