"""A small data set in the layout of XQuAD-R, made up here: 11 languages, two paragraphs each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from beir_hybrid.corpora import spec_of

LANGUAGES = spec_of("xquad-r").languages
QUESTIONS = {"q0": 0, "q1": 1, "q2": 3, "q3": 4}
"""Question id -> number of the sentence that answers it."""


def sentences(language: str) -> list[list[str]]:
    """Return the sentences of two paragraphs; English has one more than the other languages."""
    first = [f"{language} sentence {n}." for n in range(3)]
    second = [f"{language} sentence {n}." for n in range(3, 5)]
    return [first, [*second, f"{language} only."] if language == "en" else second]


def document(language: str) -> dict:
    """Make the SQuAD document of a language."""
    paragraphs, number = [], 0
    for texts in sentences(language):
        context = " ".join(texts)
        starts = [context.index(text) for text in texts]
        qas = [
            {
                "id": question_id,
                "question": f"{language} question {question_id}?",
                "answers": [{"answer_start": starts[answer - number], "text": texts[answer - number]}],
            }
            for question_id, answer in QUESTIONS.items()
            if number <= answer < number + len(texts)
        ]
        breaks = [[start, start + len(text)] for start, text in zip(starts, texts, strict=True)]
        paragraphs.append({"context": context, "sentence_breaks": breaks, "qas": qas})
        number += len(texts)
    articles = [{"title": f"article {n}", "paragraphs": [paragraph]} for n, paragraph in enumerate(paragraphs)]
    return {"version": "1.1", "data": articles}


def be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the small data set the one that is read, and a new folder the home of rank tables, which is returned."""
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(write(folder / "data")))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(folder / "home"))
    return folder / "home"


def write(folder: Path) -> Path:
    """Write all languages of XQuAD-R, and of MLQA-R, as a BEIR_HYBRID_DATA folder and return it."""
    for source in (spec_of("xquad-r"), spec_of("mlqa-r")):
        for language in source.languages:
            path = source.files.path(folder, language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document(language)), encoding="utf-8")
    return folder
