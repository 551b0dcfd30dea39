"""The LAReQA reader: what it makes of good files, and the one line it gives for bad ones."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus, load, spec_of
from beir_hybrid.corpora.lareqa import read_file
from beir_hybrid.errors import DataError
from tests.support.helpers import corpus_of

Json = Any
Write = Callable[..., Path]


def paragraph(sentences: list[str], questions: dict[str, list[int]], gap: str = " ") -> Json:
    """Make a paragraph; each question is answered by the first characters of the sentences that it names."""
    starts = [len(gap.join([*sentences[:n], ""])) for n in range(len(sentences))]
    return {
        "context": gap.join(sentences),
        "sentence_breaks": [[start, start + len(text)] for start, text in zip(starts, sentences, strict=True)],
        "sentences": sentences,
        "qas": [
            {
                "id": question_id,
                "question": f"What is {question_id}?",
                "answers": [{"answer_start": starts[n], "text": sentences[n][:1]} for n in rows],
            }
            for question_id, rows in questions.items()
        ],
    }


def document(*articles: list[Json]) -> Json:
    """Make a SQuAD document of articles, each a list of paragraphs."""
    return {"version": "1.1", "data": [{"title": f"t{n}", "paragraphs": list(a)} for n, a in enumerate(articles)]}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a file of a data set into the folder that the reader will read."""
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(tmp_path))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")

    def write_file(language: str, content: Json, name: str = "xquad-r") -> Path:
        path = spec_of(name).files.path(tmp_path, language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    return write_file


def message_of(content: Json, write: Write) -> str:
    """Return the message that reading a malformed English file ends with, less the path it begins with."""
    path = write("en", content)
    with pytest.raises(DataError) as caught:
        load("xquad-r", ["en"])
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message.replace(f"{path}: ", "")


ENGLISH = document(
    [paragraph(["One.", "Two!", "Three?"], {"q1": [0], "q2": [2]}), paragraph(["Four.", "Five."], {"q3": [1]})],
    [paragraph(["Six.", "Seven."], {"q4": [0, 1]})],
)
GERMAN = document([paragraph(["Vier.", "Fünf."], {"q3": [1]})], [paragraph(["Eins.", "Zwei!"], {"q1": [0]})])


def test_every_sentence_is_a_passage_and_the_answers_sentence_is_relevant(write: Write) -> None:
    write("en", ENGLISH)
    english = load("xquad-r", ["en"]).languages["en"]
    assert english.passages == ("One.", "Two!", "Three?", "Four.", "Five.", "Six.", "Seven.")
    assert english.passage_ids == tuple(f"en:{n}" for n in range(7))
    assert english.question_ids == ("q1", "q2", "q3", "q4")
    assert english.questions[0] == "What is q1?"
    assert english.query_ids[0] == "en:q1"
    assert english.relevance == {"q1": {0: 1}, "q2": {2: 1}, "q3": {4: 1}, "q4": {5: 1, 6: 1}}
    assert english.articles == ("0", "0", "0", "1")


def test_a_sentence_that_stands_twice_in_the_paragraph_is_relevant_twice(write: Write) -> None:
    repeated = ["Yes.", "No.", "Yes."]
    write("en", document([paragraph(repeated, {"q1": [2]}), paragraph(repeated, {"q2": [1]})]))
    corpus = load("xquad-r", ["en"])
    assert corpus.relevant("q1", "en") == {0: 1, 2: 1}
    assert corpus.relevant("q2", "en") == {4: 1}


def test_the_article_of_a_question_is_that_of_the_english_file(write: Write) -> None:
    write("en", ENGLISH, "mlqa-r")
    write("de", GERMAN, "mlqa-r")
    for languages in (["de"], ["de", "en"]):
        corpus = load("mlqa-r", languages)
        assert list(corpus.languages) == languages
        assert corpus.languages["de"].articles == ("0", "0")
    assert corpus.relevant("q2", "de") == {}


def test_texts_are_not_changed(write: Write) -> None:
    decomposed = "Cafe\u0301 \u00a0🙂\u200b."
    write("en", document([paragraph([decomposed, "🙂🙂"], {"q1": [1]}, gap="\n")]))
    english = load("xquad-r", ["en"]).languages["en"]
    assert english.passages == (decomposed, "🙂🙂")
    assert english.relevance == {"q1": {1: 1}}


def test_a_byte_order_mark_is_allowed(write: Write) -> None:
    write("en", b"\xef\xbb\xbf" + json.dumps(ENGLISH).encode())
    assert len(load("xquad-r", ["en"]).languages["en"].passages) == 7


def test_the_revision_of_other_data_is_not_the_pinned_one(write: Write) -> None:
    write("en", ENGLISH)
    first = load("xquad-r", ["en"]).revision
    write("en", GERMAN)
    second = load("xquad-r", ["en"]).revision
    assert first.startswith("local-")
    assert second.startswith("local-")
    assert first != second


def test_unknown_names_are_answered_with_the_known_ones(write: Write) -> None:
    with pytest.raises(DataError, match=r"unknown data set 'squad'; known: xquad-r, mlqa-r"):
        load("squad")
    with pytest.raises(DataError, match=r"mlqa-r: unknown language 'tr'; it has ar, de, en, es, hi, vi, zh"):
        load("mlqa-r", ["en", "tr"])


def test_a_missing_language_is_named(write: Write) -> None:
    write("en", ENGLISH)
    with pytest.raises(DataError, match=r"lareqa/xquad-r/de\.json is missing"):
        load("xquad-r", ["en", "de"])
    write("de", GERMAN, "mlqa-r")
    with pytest.raises(DataError, match=r"lareqa/mlqa-r/en\.json is missing"):
        load("mlqa-r", ["de"])


def test_a_question_without_an_english_one_has_no_article(write: Write) -> None:
    english = write("en", GERMAN)
    german = write("de", ENGLISH)
    with pytest.raises(DataError) as caught:
        load("xquad-r", ["de"])
    assert str(caught.value) == f"{german}: question 'q2' is not in {english}, which names its article"


def test_a_question_id_that_looks_like_a_passage_number_is_refused(write: Write) -> None:
    write("en", document([paragraph(["One."], {"0": [0]})]))
    with pytest.raises(DataError, match="'en:0' names both a query and a passage"):
        load("xquad-r", ["en"])


@pytest.mark.parametrize("code", ["multi", "zh_Hant", "EN", "e", "", "e\n"])
def test_a_language_is_written_like_a_tag(code: str) -> None:
    part = corpus_of({"en": ["0"]}, {"en": ["q"]}, {"en": {"q": {0: 1}}}).languages["en"]
    with pytest.raises(DataError, match=f"^random: {re.escape(repr(code))} is not a language tag"):
        ParallelCorpus("random", "1", {"en": part, code: replace(part, language=code)})
    for known in ("fil", "zh-Hant", "pt-BR"):
        assert ParallelCorpus("random", "1", {known: replace(part, language=known)}).languages


def test_truncated_json_is_answered_with_the_position(write: Write) -> None:
    whole = json.dumps(ENGLISH).encode()
    message = message_of(whole[: len(whole) // 2], write)
    assert "is not a whole JSON file: " in message and " line 1 column " in message
    assert message_of(b"", write).endswith("is not a whole JSON file: Expecting value: line 1 column 1 (char 0)")


def test_json_nested_beyond_what_python_reads(write: Write) -> None:
    assert message_of(b"[" * 100_000, write).endswith(" is nested too deeply to be read")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"data": [\xff]}', "byte 10 is not UTF-8; restore the file"),
        (b"[1]", "the object with the field 'data' is missing; this is not SQuAD JSON"),
        (b"{}", "the field 'data' is missing; this is not SQuAD JSON with sentence breaks"),
        (b'{"data": {}}', "the field 'data' is not a list"),
        (b'{"data": []}', "holds no question"),
        (b'{"data": [7]}', "article 0: the object with the field 'paragraphs' is missing; this is not SQuAD JSON"),
    ],
)
def test_what_is_not_squad_json(content: bytes, message: str, write: Write) -> None:
    assert message_of(content, write).startswith(message)


def broken(change: Callable[[Json], object]) -> Json:
    """Return the English document after a change to the second paragraph of its first article."""
    content = json.loads(json.dumps(ENGLISH))
    change(content["data"][0]["paragraphs"][1])
    return content


PLACE = "article 0, paragraph 1"
QUESTION = "article 0, paragraph 1, question 'q3'"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("context"), f"{PLACE}: the field 'context' is missing"),
        (lambda p: p.pop("sentence_breaks"), f"{PLACE}: the field 'sentence_breaks' is missing"),
        (lambda p: p.pop("qas"), f"{PLACE}: the field 'qas' is missing"),
        (lambda p: p.update(context=5), f"{PLACE}: the field 'context' is not a text"),
        (lambda p: p.update(context="\ud800" + p["context"]), f"{PLACE}: the field 'context' holds a lone surrogate"),
        (lambda p: p["sentence_breaks"].append([8, 99]), f"{PLACE}: sentence break 2 is [8, 99) in a context of 11"),
        (lambda p: p["sentence_breaks"].append([-1, 4]), f"{PLACE}: sentence break 2 is [-1, 4) in a context of 11"),
        (lambda p: p["sentence_breaks"].append([4, 4]), f"{PLACE}: sentence break 2 is [4, 4) in a context of 11"),
        (lambda p: p["sentence_breaks"].append([0, 2.5]), f"{PLACE}: sentence break 2 is not a pair of whole numbers"),
        (lambda p: p["sentence_breaks"].append([0, True]), f"{PLACE}: sentence break 2 is not a pair of whole numbers"),
        (lambda p: p["sentence_breaks"].append([0]), f"{PLACE}: sentence break 2 is not a pair of whole numbers"),
        (lambda p: p["qas"][0].pop("id"), f"{PLACE}: the field 'id' is missing"),
        (lambda p: p["qas"][0].update(id="q1"), f"{PLACE}, question 'q1': another question of this file has the same"),
        (lambda p: p["qas"][0].update(question=" \n"), f"{QUESTION}: the field 'question' is empty"),
        (lambda p: p["qas"][0].pop("answers"), f"{QUESTION}: the field 'answers' is missing"),
        (lambda p: p["qas"][0].update(answers=[]), f"{QUESTION}: it has no answer"),
        (lambda p: p["qas"][0]["answers"][0].pop("answer_start"), f"{QUESTION}: the field 'answer_start' is missing"),
        (
            lambda p: p["qas"][0]["answers"][0].update(answer_start="6"),
            f"{QUESTION}: the field 'answer_start' is not a whole number",
        ),
        (
            lambda p: p["qas"][0]["answers"][0].update(answer_start=5),
            f"{QUESTION}: its answer_start 5 lies outside every sentence of the paragraph",
        ),
    ],
)
def test_a_malformed_paragraph_is_named(change: Callable[[Json], object], message: str, write: Write) -> None:
    assert message_of(broken(change), write).startswith(message)


def read_document(content: Json, language: str = "en") -> LanguageCorpus:
    """Read a document from a file in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{language}.json")
        path.write_text(json.dumps(content), encoding="utf-8")
        return read_file(path, language)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
# Few sentences to choose from, so that one often stands twice in a paragraph.
SENTENCES = st.lists(st.sampled_from(["Ja.", "Nein!", "e\u0301", "🙂 ok", "はい。"]) | TEXTS, min_size=1, max_size=6)


@st.composite
def paragraphs(draw: st.DrawFn) -> tuple[list[str], list[list[tuple[int, int]]], str]:
    """Draw sentences, for each question the (sentence, offset in it) of its answers, and what divides sentences."""
    sentences = draw(SENTENCES)
    answer = st.integers(0, len(sentences) - 1).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, len(sentences[n]) - 1))
    )
    return (
        sentences,
        draw(st.lists(st.lists(answer, min_size=1, max_size=3), max_size=3)),
        draw(st.sampled_from(["", " ", "\n🙂"])),
    )


@given(st.lists(st.lists(paragraphs(), max_size=3), min_size=1, max_size=3))
def test_any_document_is_read_as_it_was_written(drawn: list[list[tuple[list[str], list[Any], str]]]) -> None:
    articles: list[list[Json]] = []
    passages: list[str] = []
    expected: dict[str, tuple[str, dict[int, int]]] = {}
    for a, article in enumerate(drawn):
        articles.append([])
        for sentences, questions, gap in article:
            answers = {f"q{len(expected) + n}": rows for n, rows in enumerate(questions)}
            made = paragraph(sentences, {key: [n for n, _ in rows] for key, rows in answers.items()}, gap)
            for entry, rows in zip(made["qas"], questions, strict=True):
                for given_answer, (_, offset) in zip(entry["answers"], rows, strict=True):
                    given_answer["answer_start"] += offset
            for key, rows in answers.items():
                texts = {sentences[n] for n, _ in rows}
                expected[key] = str(a), {len(passages) + n: 1 for n, s in enumerate(sentences) if s in texts}
            articles[-1].append(made)
            passages += sentences
    if not expected:
        with pytest.raises(DataError, match="holds no question"):
            read_document(document(*articles))
        return
    part = read_document(document(*articles), "tr")
    assert list(part.passages) == passages
    assert len(set(part.passage_ids) | set(part.query_ids)) == len(passages) + len(expected)
    assert dict(part.relevance) == {key: rows for key, (_, rows) in expected.items()}
    assert list(part.articles) == [article for article, _ in expected.values()]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def places(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value inside a JSON value, its own first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(way for key, inner in items for way in places(inner, (*path, key)))]


@given(st.sampled_from(places(ENGLISH)), JSON)
def test_a_file_with_any_one_value_replaced_is_read_or_refused_in_one_line(way: tuple[Any, ...], value: Json) -> None:
    content = {"whole": json.loads(json.dumps(ENGLISH))}
    holder: Json = content
    for key in ("whole", *way)[:-1]:
        holder = holder[key]
    holder[("whole", *way)[-1]] = value
    try:
        part = read_document(content["whole"])
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all(0 <= row < len(part.passages) for rows in part.relevance.values() for row in rows)
