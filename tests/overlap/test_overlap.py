"""The overlap check: the sparse computation against plain sets, the command, and the real data."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.cli.overlap import overlap as command
from beir_hybrid.corpora import load, spec_of
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.models.manifest import TrainingManifest
from beir_hybrid.overlap import check as module
from beir_hybrid.overlap.check import (
    CONTAINED,
    MATCHES,
    NEAR,
    SHINGLES_TO_BE_CONTAINED,
    EvaluationTexts,
    TrainingData,
    best_matches,
    find_overlap,
    read_evaluation,
    read_training,
)
from beir_hybrid.overlap.fingerprints import FILE_NAME, fingerprint, normalise, of_pairs, shingle_length
from beir_hybrid.training.pairs import read_source
from beir_hybrid.training.parallel_pairs import ParallelPairs
from benchmarks.overlap import altered
from tests.support import small_xquad
from tests.support.command_line import exit_code
from tests.support.helpers import property_test

TEXTS = st.lists(st.text(st.sampled_from("abcd .A"), max_size=45), max_size=12)


def shingles(text: str, length: int) -> set[str]:
    normal = normalise(text)
    return {normal[n : n + length] for n in range(max(1, len(normal) - length + 1))} if normal else set()


def brute_force(texts: Sequence[str], training: Sequence[str], length: int, near: float = NEAR) -> dict[int, tuple]:
    """Row of a text -> match, similarity and training row of the best match, from plain sets."""
    best = {}
    training_sets = [shingles(other, length) for other in training]
    for row, text in enumerate(texts):
        ours, candidates = shingles(text, length), []
        for column, theirs in enumerate(training_sets):
            shared = len(ours & theirs)
            jaccard = shared / len(ours | theirs) if shared else 0.0
            if ours and normalise(text) == normalise(training[column]):
                candidates.append((0, -1.0, column))
            elif jaccard >= near:
                candidates.append((1, -jaccard, column))
            elif len(ours) >= SHINGLES_TO_BE_CONTAINED and shared / len(ours) >= CONTAINED:
                candidates.append((2, -shared / len(ours), column))
        if candidates:
            match, similarity, column = min(candidates)
            best[row] = (match, -similarity, column)
    return best


def as_dict(found: Any) -> dict[int, tuple]:
    return {int(row): (int(match), float(similarity), int(column)) for row, match, similarity, column in found.tolist()}


@property_test(150)
@given(TEXTS, TEXTS, st.integers(1, 3), st.sampled_from([0.1, 0.5, 0.6, 1.0]), st.sampled_from([1, 30, 1 << 22]))
def test_sparse_matches_are_those_of_plain_sets(
    texts: list[str], training: list[str], length: int, near: float, pairs_at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PAIRS_AT_ONCE", pairs_at_once)
        found = best_matches(fingerprint(texts, length), fingerprint(training, length), near)
    assert as_dict(found) == brute_force(texts, training, length, near)


def test_a_sentence_of_a_paragraph_is_contained() -> None:
    sentence = "The lighthouse keeper counted eleven ships."
    paragraph = f"It was a quiet night by the sea. {sentence} None of them came back in the morning, and he wept."
    (match,) = as_dict(best_matches(fingerprint([sentence], 3), fingerprint([paragraph], 3))).values()
    assert match == (MATCHES.index("contained"), 1.0, 0)


def write_pairs(path: Path, entries: Sequence[tuple[str, str, str, str]]) -> Path:
    keys = ("id", "language", "question", "answer")
    lines = [json.dumps(dict(zip(keys, entry, strict=True)), ensure_ascii=False) for entry in entries]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_checkpoint(folder: Path, *sources: str) -> Path:
    of_pairs([read_source(source) for source in sources]).write(folder / FILE_NAME)
    write_manifest(folder, {"file": FILE_NAME, "sha256": hashlib.sha256((folder / FILE_NAME).read_bytes()).hexdigest()})
    return folder


def write_manifest(folder: Path, fingerprints: dict[str, str]) -> None:
    TrainingManifest(
        base={"name": "tests/base", "revision": "1", "training_datasets": None},
        data=[],
        languages=[],
        pairs={},
        settings={},
        processes=1,
        steps_done=1,
        losses={},
        fingerprints=fingerprints,
        versions={},
    ).write(folder)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the small data set in place of XQuAD-R and MLQA-R, and a folder to work in."""
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(small_xquad.write(tmp_path / "data")))
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own(small: Path) -> str:
    """Write pairs of which one question in two languages is the small data set's, but for its case."""
    entries = [
        ("1", "en", "EN  question: q0", "a short answer that is nowhere else"),
        ("1", "de", "De Question (q0)!", "eine kurze Antwort, die es sonst nicht gibt"),
        ("2", "en", "what is the colour of the third boat", "it has none"),
    ]
    return str(write_pairs(small / "own.jsonl", entries))


def test_the_command(
    own: str, small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    near = ("--near", 1)  # the questions of the small data set differ in one character
    assert exit_code("overlap", "--train", own, "--eval", "XQuADR", *near, "--json", "r.json") == 1
    printed = capsys.readouterr().out
    report = json.loads((small / "r.json").read_text(encoding="utf-8"))
    assert report["above_max_share"] is True
    assert [source["texts"] for source in report["training"]] == [6]
    assert len(report["overlap"]) == 2 * len(small_xquad.LANGUAGES)
    by_part = {(one["language"], one["kind"]): one for one in report["overlap"]}
    expected = {("en", "question"): "EN  question: q0", ("de", "question"): "De Question (q0)!"}
    for part, one in by_part.items():
        assert sum(one["matches"].values()) == (part in expected)
        assert one["training_texts"] == {"en": 4, "de": 2}.get(part[0], 0)
    for part, text in expected.items():
        one = by_part[part]
        assert (one["texts"], one["share"], one["matches"]["exact"]) == (4, 0.25, 1)
        (example,) = one["examples"]
        assert (example["id"], example["training_text"], example["source"]) == (f"{part[0]}:q0", text, own)
        assert f"exact 1.00  {part[0]}:q0: {part[0]} question q0?" in printed
    assert "Above 1.00%: XQuADR de questions (25.00%), XQuADR en questions (25.00%)" in printed

    assert exit_code("overlap", "--train", own, "--eval", "xquad-r", *near, "--max-share", 0.25) == 0
    assert "Above 25.00%: none" in capsys.readouterr().out
    assert exit_code("overlap", "--train", own, "--eval", "xquad-r", "--quiet") == 1
    assert capsys.readouterr() == ("", "")


def test_a_checkpoint_gives_what_its_sources_give(own: str, small: Path) -> None:
    checkpoint = read_training(str(write_checkpoint(small / "model", own, "mlqa-r")))
    sources = [read_training(own), read_training("mlqa-r")]
    evaluation = read_evaluation("XQuADRLanguageBias")
    known, unknown = find_overlap(sources, evaluation, examples=99), find_overlap([checkpoint], evaluation, examples=99)
    assert [dict(one.matches) for one in known] == [dict(one.matches) for one in unknown]
    assert sum(one.matches["exact"] for one in unknown) > 0
    examples = [example for one in unknown for example in one.examples]
    assert {example.training_text for example in examples} == {None}
    assert {example.source for example in examples} == {checkpoint.name}
    hashes = checkpoint.fingerprints.table["text_hash"].to_pylist()
    for example in examples:
        if example.match == "exact":
            assert hashes[example.row] == fingerprint([example.text], 3)["text_hash"][0].as_py()


def test_training_sees_questions_and_answers_only(small: Path) -> None:
    found = find_overlap([read_training("xquad-r")], read_evaluation("XQuADR"), near=1.0)
    answers = set(small_xquad.QUESTIONS.values())
    for one in found:
        assert one.matches["exact"] == (len(small_xquad.QUESTIONS) if one.kind == "question" else len(answers))


def test_a_source_of_pairs_as_evaluation(own: str) -> None:
    texts = {(one.language, one.kind): one for one in read_evaluation(own)}
    assert set(texts) == set(itertools.product(("en", "de"), ("question", "passage")))
    assert texts["en", "passage"].ids == ["en:0", "en:1"]
    assert texts["de", "question"].texts == ["De Question (q0)!"]
    assert {one.share for one in find_overlap([read_training(own)], list(texts.values()))} == {1.0}


def test_tasks_are_known_by_their_names(small: Path) -> None:
    for task, corpus in {"XQuADR": "xquad-r", "MLQAR": "mlqa-r", "MLQARLanguageBias": "mlqa-r"}.items():
        named, plain = read_evaluation(task), read_evaluation(corpus)
        assert [one.texts for one in named] == [one.texts for one in plain]
        assert {one.language for one in named} == set(spec_of(corpus).languages)


def test_languages_are_not_mixed() -> None:
    data = TrainingData("made up", "1", of_pairs([]))
    texts = EvaluationTexts("made up", "1", "en", "question", ["en:0", "en:1"], ["one", "?"])
    (found,) = find_overlap([data], [texts])
    assert (found.texts, found.training_texts, found.share) == (2, 0, 0.0)


def test_the_default_similarity_is_the_documented_one() -> None:
    assert inspect.signature(command).parameters["near"].default == NEAR


def broken_checkpoints(folder: Path) -> dict[str, str]:
    """Make folders that are not whole checkpoints: folder -> what is wrong."""
    for name in ("bare", "empty", "no-file", "changed"):
        (folder / name).mkdir()
    (folder / "bare/config.json").write_text("{}")
    write_manifest(folder / "empty", {})
    write_manifest(folder / "no-file", {"file": "f.parquet", "sha256": ""})
    write_checkpoint(folder / "changed", "mlqa-r")
    of_pairs([]).write(folder / "changed" / FILE_NAME)
    return {
        "bare": "a model without the training_manifest.json",
        "empty": "the field 'fingerprints' does not name a file",
        "no-file": "there are no fingerprints",
        "changed": "its SHA-256 is",
    }


def test_bad_input_is_one_line(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, message in broken_checkpoints(small).items():
        with pytest.raises(BeirHybridError, match=message) as caught:
            read_training(str(small / folder))
        assert "\n" not in str(caught.value)
    for arguments, message in {
        ("--train", "nothing", "--eval", "XQuADR"): "unknown pairs 'nothing'",
        ("--train", "mlqa-r", "--eval", "MIRACLCL"): "unknown evaluation 'MIRACLCL'; known: the tasks XQuADR",
    }.items():
        assert exit_code("overlap", *arguments) == 2
        printed = capsys.readouterr()
        assert printed.err.startswith(f"error: {message}")
        assert printed.err.count("\n") == 1
        assert printed.out == ""


def exact_by_lookup(pairs: ParallelPairs, evaluation: Sequence[EvaluationTexts]) -> list[int]:
    """Count texts that equal a training text but for case, spaces and punctuation, independently of the check."""

    def letters(text: str) -> str:
        return "".join(character for character in text.casefold() if character.isalnum())

    seen = {(language, letters(text.as_py())) for language, _, texts in pairs.texts() for text in texts}
    return [sum((one.language, letters(text)) in seen for text in one.texts) for one in evaluation]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("source", "languages", "task", "near", "contained"),
    [
        ("xquad-r", None, "XQuADR", 22, 3),
        ("mlqa-r", None, "XQuADR", 17, 0),
        ("ntrex", ["en", "hi", "th"], "XQuADR", 0, 0),
        ("ntrex", ["ar", "zh"], "MLQAR", 0, 0),
    ],
)
def test_real_sources_against_real_evaluations(
    source: str, languages: list[str] | None, task: str, near: int, contained: int, data_folder: Path
) -> None:
    pairs = read_source(source, languages)
    evaluation = [one for one in read_evaluation(task) if one.language in pairs.languages]
    found = find_overlap([TrainingData(source, "1", of_pairs([pairs]))], evaluation)
    exact = exact_by_lookup(pairs, evaluation)
    assert [one.matches["exact"] for one in found] == exact
    assert sum(one.matches["near"] for one in found) == near
    assert sum(one.matches["contained"] for one in found) == contained
    if source == "xquad-r":
        assert all(one.matches["exact"] == one.texts for one in found if one.kind == "question")
    else:
        assert sum(exact) == 0
        assert max(one.share for one in found) < 0.01


@pytest.mark.real_data
@pytest.mark.parametrize("language", ["de", "vi", "zh"])
def test_real_questions_against_plain_sets(language: str, data_folder: Path) -> None:
    length = shingle_length(language)
    ours, theirs = (list(load(name, [language]).languages[language].questions[:150]) for name in ("mlqa-r", "xquad-r"))
    found = as_dict(best_matches(fingerprint(ours, length), fingerprint(theirs, length), near=0.2))
    assert found == brute_force(ours, theirs, length, near=0.2)
    assert found


@pytest.mark.real_data
def test_altered_real_questions_are_found(data_folder: Path) -> None:
    for language, part in load("xquad-r").languages.items():
        training, length = part.questions, shingle_length(language)
        prints = fingerprint(training, length)
        shouted = best_matches(fingerprint([f"« {text.upper()} » ?!" for text in training], length), prints)
        assert [MATCHES[match] for match in shouted["match"]] == ["exact"] * len(training)
        replaced = best_matches(fingerprint(altered(training, language, seed=1), length), prints)
        # docs/overlap.md: 97.3 to 99.7 % with another seed.
        assert sum(replaced["match"] <= MATCHES.index("near")) > 0.965 * len(training)
        assert sum(replaced["match"] == MATCHES.index("near")) > 0.9 * len(training)
