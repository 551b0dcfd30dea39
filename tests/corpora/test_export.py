"""Exports: BEIR folders and TREC files that other tools read, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ir_measures
import mteb
import pytest
import pytrec_eval
from beir.datasets.data_loader import GenericDataLoader
from ir_measures import AP, nDCG
from mteb.cache import ResultCache
from ranx import Qrels, Run
from ranx import evaluate as ranx_evaluate

from beir_hybrid import beir, corpora
from beir_hybrid.corpora import ParallelCorpus, spec_of
from beir_hybrid.corpora.formats import trec
from beir_hybrid.corpora.formats.corpus_folder import export_corpus
from beir_hybrid.corpora.formats.export import documents_of, export_trec, judgments_of
from beir_hybrid.corpora.formats.export_folder import MARKER
from beir_hybrid.corpora.formats.trec import read_predictions, write_trec_qrels, write_trec_run
from beir_hybrid.corpora.spec import CORPUS_FILE
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.files import as_folder
from beir_hybrid.mteb.passes import SHARED_RUNS
from tests.cli.test_cli import Cli, cli
from tests.support import small_xquad
from tests.support.beir_models import WordsForBeir, WordsForMteb
from tests.support.helpers import corpus_of
from tests.support.processes import die_at, run

__all__ = ["cli"]  # a fixture

LANGUAGES = small_xquad.LANGUAGES
N_LANGUAGES = len(LANGUAGES)


@pytest.fixture(autouse=True)
def shared_runs() -> Iterator[None]:
    SHARED_RUNS.clear()
    yield
    SHARED_RUNS.clear()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParallelCorpus:
    """Make the small data set the one that is read, and read it."""
    small_xquad.be_read(tmp_path, monkeypatch)
    return corpora.load("xquad-r")


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def subsets_in(folder: Path) -> set[str]:
    """The pairs that the folder says it holds, which must be those it does hold."""
    contents = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    pairs = folder.rglob("*-qrels/test.tsv")
    found = {f"{path.parent.name.removesuffix('-qrels')}-{path.parents[1].name}" for path in pairs}
    assert set(contents["subsets"]) == found
    return found


def test_the_layout_is_beirs(small: ParallelCorpus, tmp_path: Path) -> None:
    folder = export_corpus(small, tmp_path / "datasets")
    assert folder == tmp_path / "datasets" / "xquad-r"
    assert sorted(path.name for path in folder.iterdir()) == sorted([MARKER, CORPUS_FILE, "multi", *LANGUAGES])
    assert len(subsets_in(folder)) == 132
    assert (folder / "de/en-qrels/test.tsv").read_text().splitlines()[:2] == [
        "query-id\tcorpus-id\tscore",
        "en:q0\tde:0\t1",
    ]
    [first, *_] = (folder / "de/corpus.jsonl").read_text().splitlines()
    assert json.loads(first) == {"_id": "de:0", "title": "", "text": "de sentence 0."}
    contents = json.loads((folder / MARKER).read_text())
    assert (contents["data_set"], contents["revision"]) == ("xquad-r", small.revision)
    assert contents["licence"] == "cc-by-sa-4.0"
    assert list(tmp_path.joinpath("datasets").iterdir()) == [folder]


@pytest.mark.parametrize("links", [True, False])
def test_questions_are_written_once_where_there_are_hard_links(
    small: ParallelCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def no_links(*_: Any, **__: Any) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", no_links)
    folder = export_corpus(small, tmp_path)
    same = [path / "en-queries.jsonl" for path in folder.iterdir() if path.is_dir()] + [folder / "en/queries.jsonl"]
    assert len(same) == N_LANGUAGES + 2
    assert len({path.read_bytes() for path in same}) == 1
    assert len({path.stat().st_ino for path in same}) == (1 if links else len(same))


def test_ids_and_texts_of_all_kinds_are_read_back_by_beir(tmp_path: Path) -> None:
    names = ['"', 'a"b', "a,b", "a b", "\u200b", "'", "\\"]
    ids = [f"q{name}" for name in names]
    corpus = corpus_of({"en": names}, {"en": ids}, {"en": {q: {row: row + 1} for row, q in enumerate(ids)}})
    folder = export_corpus(corpus, tmp_path)
    read = GenericDataLoader(str(folder / "en"), prefix="en").load(split="test")
    assert read[0] == dict(documents_of(corpus, "en"))
    assert read[1] == dict(zip(corpus.languages["en"].query_ids, corpus.languages["en"].questions, strict=True))
    assert read[2] == judgments_of(corpus, "en", "en")
    assert list(read[2]["en:q\\"].values()) == [len(names)]
    assert corpora.load(folder).languages == corpus.languages


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "\u2028"])
def test_ids_that_cannot_be_read_back_are_not_written(tmp_path: Path, name: str) -> None:
    corpus = corpus_of({"en": [name]}, {"en": ["q"]}, {"en": {"q": {0: 1}}})
    with pytest.raises(DataError, match="holds a tab or a line break"):
        export_corpus(corpus, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_questions_and_pairs_without_judgments_are_left_out(tmp_path: Path) -> None:
    # As in MLQA-R: q1 exists in English only, and nothing in German answers q2, nor anything at all in Chinese.
    corpus = corpus_of(
        {"en": ["0", "1"], "de": ["0"], "zh": ["0"]},
        {"en": ["q0", "q1", "q2"], "de": ["q0", "q2"], "zh": []},
        {"en": {"q0": {0: 1}, "q1": {1: 1}, "q2": {1: 1}}, "de": {"q0": {0: 2}}},
    )
    folder = export_corpus(corpus, tmp_path)
    assert subsets_in(folder) == {"en-en", "de-en", "en-de", "de-de", "en-multi", "de-multi"}
    _, queries, qrels = GenericDataLoader(str(folder / "de"), prefix="en").load(split="test")
    assert (queries, qrels) == ({"en:q0": "en question q0"}, {"en:q0": {"de:0": 2}})
    assert sorted(path.name for path in (folder / "zh").iterdir()) == ["corpus.jsonl"]
    assert corpora.load(folder).languages == corpus.languages


def test_a_pool_without_passages_is_an_error(tmp_path: Path) -> None:
    corpus = corpus_of({"en": ["0"], "de": []}, {"en": ["q0"], "de": []}, {"en": {"q0": {0: 1}}})
    with pytest.raises(DataError, match="random de: there is no passage"):
        export_corpus(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_is_refreshed_and_files_of_others_in_it_stay(small: ParallelCorpus, tmp_path: Path) -> None:
    folder = export_corpus(small, tmp_path)
    whole = files_below(folder)
    (folder / "en" / "notes.txt").write_text("mine")
    (folder / "en" / "corpus.jsonl").write_text("damaged")
    export_corpus(small, tmp_path)
    assert files_below(folder) == {**whole, "en/notes.txt": b"mine"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_other_languages_and_other_files_are_another_corpus(small: ParallelCorpus, tmp_path: Path) -> None:
    folder = export_corpus(small.restricted(["en", "de"]), tmp_path)
    assert subsets_in(folder) == {"en-en", "en-de", "de-en", "de-de", "en-multi", "de-multi"}
    before = files_below(folder)
    for corpus, form, what in (
        (small.restricted(["en", "th"]), "jsonl", r"in en th \(jsonl\)"),
        (small.restricted(["en", "de"]), "parquet", r"in de en \(parquet\)"),
    ):
        with pytest.raises(BeirHybridError, match=rf"holds xquad-r local-\w+ in de en \(jsonl\), not .* {what}; name"):
            export_corpus(corpus, tmp_path, form=form)
        assert files_below(folder) == before
    export_corpus(small.restricted(["en", "de"]), tmp_path, force=True, form="parquet")
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".parquet", ".toml", ".json"}


def test_a_folder_that_is_not_ours_is_replaced_only_by_force(small: ParallelCorpus, tmp_path: Path) -> None:
    theirs = tmp_path / "xquad-r"
    for marker in (None, "{", "[]", '{"data_set": "xquad-r"}'):
        theirs.mkdir()
        (theirs / "corpus.jsonl").write_text("theirs")
        if marker is not None:
            (theirs / MARKER).write_text(marker)
        before = files_below(theirs)
        with pytest.raises(BeirHybridError, match=r"xquad-r exists and is not an export .* with --force$") as error:
            export_corpus(small, tmp_path)
        assert "\n" not in str(error.value)
        assert files_below(theirs) == before
        export_corpus(small, tmp_path, force=True)
        assert len(subsets_in(theirs)) == 132
        assert not (theirs / "corpus.jsonl").exists()
        assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["xquad-r"]
        shutil.rmtree(theirs)


def test_an_export_of_another_revision_is_replaced_only_by_force(small: ParallelCorpus, tmp_path: Path) -> None:
    folder = export_corpus(small, tmp_path)
    other = ParallelCorpus(small.name, "other", small.languages).restricted(["en"])
    before = files_below(folder)
    with pytest.raises(BeirHybridError, match=r"holds xquad-r local-\w+ .* not xquad-r other in en \(jsonl\);"):
        export_corpus(other, tmp_path)
    assert files_below(folder) == before
    export_corpus(other, tmp_path, force=True)
    assert subsets_in(folder) == {"en-en", "en-multi"}


def test_an_empty_folder_and_a_link_are_written_to(small: ParallelCorpus, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "xquad-r").symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        export_corpus(small.restricted(["en"]), tmp_path / "out")
        assert (tmp_path / "out" / "xquad-r").is_symlink()
        assert subsets_in(tmp_path / "elsewhere") == {"en-en", "en-multi"}


@pytest.mark.parametrize("path", ["out", "out/xquad-r"])
@pytest.mark.parametrize("force", [True, False])
def test_a_file_in_the_way_is_one_line(small: ParallelCorpus, tmp_path: Path, path: str, force: bool) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("theirs")
    with pytest.raises(BeirHybridError, match=f"{path} is a file; name another folder$"):
        export_corpus(small, tmp_path / "out", force=force)
    assert (tmp_path / path).read_text() == "theirs"


def export_and_die(small: ParallelCorpus, step: int, out: Path, force: bool) -> None:
    corpus = small.restricted(["en", "de"])
    die_at(step, out, "open", "os.rename", "os.mkdir", "os.link")
    export_corpus(corpus, out, force)


@pytest.mark.parametrize("there", ["nothing", "theirs", "damaged"])
def test_a_killed_export_leaves_nothing_that_looks_whole(small: ParallelCorpus, tmp_path: Path, there: str) -> None:
    out = tmp_path / "out"
    target = out / "xquad-r"
    out.mkdir()
    before: dict[str, bytes] = {}
    if there == "theirs":
        target.mkdir()
        (target / "corpus.jsonl").write_text("theirs")
    elif there == "damaged":
        export_corpus(small.restricted(["en", "de"]), out)
        (target / "en" / "corpus.jsonl").write_text("damaged")
    before = files_below(target)
    whole = files_below(export_corpus(small.restricted(["en", "de"]), tmp_path / "whole"))
    step, finished = 1, False
    while not finished:
        ended = run(partial(export_and_die, small, step, out, there == "theirs"), tmp_path)
        assert ended.status in (0, 9), ended.output
        found = files_below(target) if target.exists() else {}
        finished = MARKER in found and b"damaged" not in found.values()
        assert finished or (ended.status == 9 and found == before)
        # Early and late steps, and some between.
        step += 1 if step < 4 else 3
    assert len(subsets_in(target)) == 6
    assert found.keys() == whole.keys()
    assert all(found[name] == content for name, content in whole.items() if name != MARKER)
    if ended.status:  # killed after the last file was in its place: the next export clears away what was left
        export_corpus(small.restricted(["en", "de"]), out)
    assert list(out.iterdir()) == [target]
    assert step > 10


def test_a_full_disk_is_one_line(small: ParallelCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("beir_hybrid.corpora.formats.corpus_folder._write_text", full)
    with pytest.raises(BeirHybridError, match=r"^cannot write .*xquad-r: No space left on device$"):
        export_corpus(small, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_some_languages_are_a_corpus_of_these(tmp_path: Path) -> None:
    part = corpora.load("atlas-r", ["en", "de"])
    folder = export_corpus(part, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted([MARKER, CORPUS_FILE, "en", "de", "multi"])
    assert json.loads((folder / MARKER).read_text())["licence"] == "unicode-3.0"
    read = corpora.load(folder)
    assert read.languages == part.languages
    assert (read.spec.task.name, read.revision) == (part.spec.task.name, part.spec.revision)


# --- TREC ---


def run_task(subsets: list[str], folder: Path) -> tuple[dict[str, dict[str, Any]], Path]:
    """Evaluate with MTEB and return subset -> scores, and the predictions file."""
    result = mteb.evaluate(
        WordsForMteb(),
        mteb.get_task("XQuADR", hf_subsets=subsets),
        cache=ResultCache(folder / "cache"),
        co2_tracker=False,
        show_progress_bar=False,
        prediction_folder=folder / "predictions",
    )
    scores = {entry["hf_subset"]: entry for entry in result.task_results[0].scores["test"]}
    return scores, folder / "predictions" / "XQuADR_predictions.json"


def files_of(folder: Path, subset: str) -> tuple[str, str]:
    return str(folder / "qrels" / f"{subset}.qrels"), str(folder / "runs/tests__words/1" / f"{subset}.run")


def assert_ir_measures_agrees(qrels: str, run: str, average_precision: float, ndcg_at_10: float) -> None:
    judged, found = list(ir_measures.read_trec_qrels(qrels)), list(ir_measures.read_trec_run(run))
    measured = ir_measures.calc_aggregate([AP, nDCG @ 10], judged, found)
    assert measured[AP] == pytest.approx(average_precision, abs=1e-6)
    assert measured[nDCG @ 10] == pytest.approx(ndcg_at_10, abs=1e-6)


def assert_three_tools_agree(qrels: str, run: str, average_precision: float, ndcg_at_10: float) -> None:
    assert_ir_measures_agrees(qrels, run, average_precision, ndcg_at_10)
    with open(qrels) as judgments, open(run) as ranking:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(judgments), {"map", "ndcg_cut.10"})
        by_query = evaluator.evaluate(pytrec_eval.parse_run(ranking)).values()
    assert sum(scores["map"] for scores in by_query) / len(by_query) == pytest.approx(average_precision, abs=1e-6)
    assert sum(scores["ndcg_cut_10"] for scores in by_query) / len(by_query) == pytest.approx(ndcg_at_10, abs=1e-6)
    by_ranx = ranx_evaluate(Qrels.from_file(qrels, kind="trec"), Run.from_file(run, kind="trec"), ["map", "ndcg@10"])
    assert by_ranx["map"] == pytest.approx(average_precision, abs=1e-6)
    assert by_ranx["ndcg@10"] == pytest.approx(ndcg_at_10, abs=1e-6)


def test_trec_files_give_other_tools_the_scores_of_the_task(small: ParallelCorpus, tmp_path: Path) -> None:
    subsets = ["en-de", "th-th", "ar-multi"]
    scores, predictions = run_task(subsets, tmp_path)
    folder = export_trec(small, tmp_path / "datasets", predictions=predictions)
    assert len(list((folder / "qrels").iterdir())) == 132
    assert len(list(folder.rglob("*.run"))) == len(subsets)
    for subset in subsets:
        assert_three_tools_agree(*files_of(folder, subset), scores[subset]["map"], scores[subset]["ndcg_at_10"])


@pytest.mark.real_data
def test_trec_files_of_real_data_give_other_tools_the_scores_of_the_task(tmp_path: Path) -> None:
    scores, predictions = run_task(["th-th", "th-de"], tmp_path)
    folder = export_trec(corpora.load("xquad-r", ["th", "de"]), tmp_path, predictions=predictions)
    for subset, score in scores.items():
        # MTEB's predictions end after 1000 passages, more than Thai has.
        average_precision = score["map" if subset == "th-th" else "map_at_1000"]
        assert_ir_measures_agrees(*files_of(folder, subset), average_precision, score["ndcg_at_10"])


def test_what_a_beir_retriever_returned_can_be_written_too(small: ParallelCorpus, tmp_path: Path) -> None:
    found = beir.evaluate(WordsForBeir(), "xquad-r", questions="en", passages="multi", score_function="dot")
    ndcg = run_task(["en-multi"], tmp_path)[0]["en-multi"]["ndcg_at_10"]
    qrels, run = tmp_path / "a.qrels", tmp_path / "a.run"
    write_trec_qrels(qrels, beir.load("xquad-r", "en", "multi")[2])
    write_trec_run(run, found.results, "words")
    assert_three_tools_agree(str(qrels), str(run), found.map, ndcg)


def test_equal_scores_are_in_the_order_of_trec_eval(tmp_path: Path) -> None:
    # Equal in single precision, as trec_eval compares them.
    write_trec_run(tmp_path / "x.run", {"q": {"a": 0.5, "c": 0.5, "b": 0.5 + 1e-12, "d": 0.25, "e": 1e300}}, "t")
    lines = [line.split() for line in (tmp_path / "x.run").read_text().splitlines()]
    assert [(line[2], line[3]) for line in lines] == [("e", "1"), ("c", "2"), ("b", "3"), ("a", "4"), ("d", "5")]
    assert lines[2] == ["q", "Q0", "b", "3", "0.500000000001", "t"]


def test_runs_of_several_models_lie_side_by_side(small: ParallelCorpus, tmp_path: Path) -> None:
    for model in ("a/one", "../../two"):
        export_trec(small.restricted(["en"]), tmp_path, predictions=predictions_file(tmp_path, model=model))
    folder = tmp_path / "xquad-r-trec"
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.run")) == [
        f"runs/{as_folder('../../two')}/1/en-en.run",
        "runs/a__one/1/en-en.run",
    ]


def predictions_file(
    folder: Path, content: Any = None, model: str = "a/b", scores: Any = None, subset: str = "en-en"
) -> Path:
    """Write predictions: of one query, unless told otherwise."""
    path = folder / "predictions.json"
    results = {"en:q0": {"en:0": 0.5, "en:1": 0.25}} if scores is None else scores
    meta = {"model_name": model, "revision": "1"}
    whole = {"mteb_model_meta": meta, subset: {"test": results}} if content is None else content
    path.write_text(whole if isinstance(whole, str) else json.dumps(whole), encoding="utf-8")
    return path


META = {"mteb_model_meta": {"model_name": "a", "revision": "1"}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"content": "[1]"}, "is not a whole predictions file"),
        ({"content": '{"mteb_model_meta": {"model_name": "a"'}, "is not a whole predictions file"),
        ({"content": '{"mteb_model_meta": {}, "en-en": {"test": {}}'}, "is not a whole predictions file"),
        ({"content": {}}, "is not a whole predictions file"),
        ({"content": {"en-en": {}}}, "does not begin with its model"),
        ({"content": META}, "holds no subset of xquad-r in "),
        ({"content": {**META, "en-en": {"dev": {}}}}, "en-en has no predictions of the split 'test'"),
        ({"content": {**META, "en-en": {"test": [1]}}}, "en-en is not query id -> passage id -> score"),
        ({"scores": {"en:q0": [1]}}, "en-en is not query id -> passage id -> score"),
        ({"scores": {"en:q0": {"en:0": "high"}}}, "en-en is not query id -> passage id -> score"),
        ({"scores": {"en:q0": {"en:0": float("nan")}}}, "the score of en:0 is not a number"),
        ({"scores": {"en:q9": {"en:0": 1.0}}}, "en-en names 'en:q9', which is not in xquad-r"),
        ({"scores": {"en:q0": {"de:0": 1.0}}}, "en-en names 'de:0', which is not in xquad-r"),
        ({"subset": "swahili"}, "'swahili' is not a subset of xquad-r"),
        ({"subset": "en-sw"}, "'en-sw' is not a subset of xquad-r"),
    ],
)
def test_predictions_that_do_not_fit_are_one_line(
    small: ParallelCorpus, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError) as error:
        export_trec(small, tmp_path / "out", predictions=predictions_file(tmp_path, **options))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_predictions_are_one_line(small: ParallelCorpus, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cannot read .*none\.json: No such file or directory$"):
        export_trec(small, tmp_path / "out", predictions=tmp_path / "none.json")


@pytest.mark.parametrize("chunk", [1, 2, 7, 50, 1000])
def test_predictions_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    content = {
        "mteb_model_meta": {"model_name": 'a"}, "x": {', "revision": None},
        'quo"ted\\': {"test": {"q": {"{": 1.5, "}": -2e-05}}},
        "empty": {},
        "zwölf": {"test": {"q": {"p,": 12.0}}},
    }
    monkeypatch.setattr(trec, "_CHUNK", chunk)
    for indent, end in ((None, ""), (2, "\n\n")):
        path = predictions_file(tmp_path, json.dumps(content, indent=indent) + end)
        assert list(read_predictions(path)) == list(content.items())


@pytest.mark.parametrize("name", ["a b", "", "a\u2028b", " a", "a\n"])
def test_ids_that_trec_cannot_express_are_one_line(tmp_path: Path, name: str) -> None:
    for write in (write_trec_qrels, write_trec_run):
        for content in ({name: {"d": 1}}, {"q": {name: 1}}):
            with pytest.raises(DataError, match="which TREC's format cannot express"):
                write(tmp_path / "out", content)
    assert not (tmp_path / "out").exists()


# --- The command line ---


def test_the_command_exports(small: ParallelCorpus, tmp_path: Path, cli: Cli) -> None:
    code, out, err = cli("export", "xquad-r", "--out", tmp_path, "--languages", "en, de")
    assert (code, err) == (0, "")
    assert out == f"{tmp_path / 'xquad-r'}: 2 languages; 6 pairs of questions and pool for BEIR\n"
    assert cli("export", "xquad-r", "--out", tmp_path, "--quiet", "--force") == (0, "", "")
    assert len(subsets_in(tmp_path / "xquad-r")) == 132
    predictions = predictions_file(tmp_path)
    code, out, _ = cli("export", "xquad-r", "--out", tmp_path, "--trec", "--predictions", predictions)
    assert (code, out) == (0, f"{tmp_path / 'xquad-r-trec'}: 132 qrels, 1 runs\n")


def test_what_the_command_cannot_do_is_one_line(small: ParallelCorpus, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "mlqa-r").mkdir()
    (tmp_path / "file").write_text("")
    spec_of("mlqa-r").files.path(Path(os.environ["BEIR_HYBRID_DATA"]), "hi").unlink()
    cases = [
        (("squad", "--out", tmp_path), "unknown data set 'squad'; known: xquad-r"),
        (("xquad-r", "--out", tmp_path, "--languages", "en,fr"), "unknown language 'fr'"),
        (("xquad-r", "--out", tmp_path, "--languages", ","), "no language was asked for"),
        (("xquad-r", "--out", tmp_path / "file"), "is a file"),
        (("xquad-r", "--out", tmp_path, "--predictions", "x.json"), "add --trec"),
        (("mlqa-r", "--out", tmp_path), "is missing; BEIR_HYBRID_DATA="),
    ]
    for arguments, message in cases:
        code, out, err = cli("export", *arguments)
        assert (code, out) == (2, "")
        assert message in err and err.startswith("error: ") and err.count("\n") == 1
