"""The command ``beir-hybrid report``, run in this process: pages of made-up runs, and what is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from beir_hybrid.interface.rank_figures import RankTable
from beir_hybrid.ranks import rank_table, tops
from tests.cli.test_cli import Cli, cli  # noqa: F401 (a fixture)
from tests.support.ranked_runs import LANGUAGES, random_scores, run_of, write_corpus
from tests.support.tiny_model import tiny_model


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a corpus and two runs on it, in a folder that is the working one."""
    monkeypatch.chdir(tmp_path)
    corpus = write_corpus(tmp_path / "corpus")
    for name, own in (("fair", 0.1), ("biased", 1.0)):
        run_of(corpus, random_scores(1, own), f"me/{name}").stored(tmp_path / name)
    return tmp_path


def refused(cli: Cli, *arguments: str | Path) -> str:  # noqa: F811
    """Return the one line of error of a command that writes nothing."""
    before = {path for path in Path.cwd().rglob("*") if path.is_file()}
    code, output, error = cli("report", *arguments)
    assert (code, output, error.count("\n")) == (2, "", 1), error
    assert {path for path in Path.cwd().rglob("*") if path.is_file()} == before
    return error.removeprefix("error: ").rstrip()


def changed(run: Path, to: Path, **facts) -> Path:
    """Store a run with some facts changed below a folder."""
    [path] = rank_table.rank_tables_below(run)
    run = RankTable.load(path)
    info = replace(run.info, **facts)
    replace(run, info=info, kept_tops=run.tops).stored(to)
    return to


def test_a_page_of_one_run(cli: Cli, place: Path) -> None:  # noqa: F811
    assert cli("report", "biased", "--data", "corpus") == (0, "Report: report.html\n", "")
    page = (place / "report.html").read_text(encoding="utf-8")
    for text in ("me/biased", "cc0-1.0", "Answers in other languages are", "Who outranks whom"):
        assert text in page


def test_a_page_of_two_runs_says_which_is_the_one_before(cli: Cli, place: Path) -> None:  # noqa: F811
    assert cli("report", "fair", "biased", "--data", "corpus", "--out", "two.html", "-q") == (0, "", "")
    page = (place / "two.html").read_text(encoding="utf-8")
    assert "With fair instead of biased," in page


def test_a_file_is_a_run(cli: Cli, place: Path) -> None:  # noqa: F811
    [path] = rank_table.rank_tables_below(place / "fair")
    assert cli("report", path, "--data", "corpus", "-q")[0] == 0


def test_a_run_on_some_languages(cli: Cli, place: Path, tmp_path: Path) -> None:  # noqa: F811
    from beir_hybrid.interface.evaluate_model import read_corpus

    restricted = read_corpus(place / "corpus", ["de", "en"])
    run_of(restricted, random_scores(1), "me/two-languages").stored(place / "two")
    assert cli("report", "two", "--data", "corpus", "-q") == (0, "", "")
    assert "th question" not in (place / "report.html").read_text(encoding="utf-8")


def test_what_is_asked_for_must_make_sense(cli: Cli, place: Path) -> None:  # noqa: F811
    assert refused(cli).startswith("name one run or two, or models to evaluate with -m")
    assert refused(cli, "fair", "-m", "me/model").startswith("name one run or two, or models to evaluate with -m")
    assert refused(cli, "fair", "fair", "biased").startswith(
        "a report is of one model or of two side by side, not of 3"
    )
    assert refused(cli, "-m", "me/model").startswith("-m needs the corpus to evaluate on")
    assert refused(cli, "fair", "--examples", "-1").startswith("--examples -1: write a whole number from 0")
    assert refused(cli, "nowhere").startswith("there is no file or folder") or "nowhere" in refused(cli, "nowhere")
    assert "holds no rank table" in refused(cli, "corpus")
    assert "is a folder; name a file such as" in refused(cli, "fair", "--out", "corpus")
    assert "--out corpus/corpus.toml/report.html: Not a directory" in refused(
        cli, "fair", "--out", "corpus/corpus.toml/report.html"
    )


def test_the_corpus_must_be_that_of_the_run(cli: Cli, place: Path) -> None:  # noqa: F811
    assert refused(cli, "fair").startswith("MadeUp is the task of no registered corpus; name the corpus with --data")
    other = refused(cli, "fair", "--data", "atlas-r")
    assert "atlas-r" in other
    (place / "corpus" / "de" / "queries.jsonl").open("a").write("\n")
    texts = place / "corpus" / "de" / "corpus.jsonl"
    texts.write_text(texts.read_text().replace("de passage 3.", "another text"))
    assert "made-up is not the corpus of the ranks of me/fair: its revision is" in refused(
        cli, "fair", "--data", "corpus"
    )


def test_two_runs_must_be_of_the_same_data_and_subsets(cli: Cli, place: Path) -> None:  # noqa: F811
    without = {language: [*LANGUAGES] + ["multi"] * (language != "th") for language in LANGUAGES}
    for facts, says in (
        (
            {"pool_sizes": dict.fromkeys([*LANGUAGES, "zu"], 20)},
            "of the other de, en, th, zu; evaluate both on the same corpus",
        ),
        ({"dataset_revision": "data-2"}, "of the other data-2; evaluate both on the same data"),
        ({"evaluated": without}, "only one was evaluated on th-multi; evaluate both on the same subsets"),
    ):
        other = changed(place / "biased", place / f"changed-{min(facts)}", **facts)
        said = refused(cli, "fair", other, "--data", "corpus")
        assert said.startswith("fair and biased cannot stand side by side: ") and said.endswith(says)


def test_a_run_without_top_passages_or_without_the_pool_of_all_languages(cli: Cli, place: Path) -> None:  # noqa: F811
    own = changed(place / "fair", place / "own", evaluated={language: [*LANGUAGES] for language in LANGUAGES})
    assert "the pool of all languages was not evaluated" in refused(cli, own, "--data", "corpus")
    [path] = rank_table.rank_tables_below(place / "fair")
    tops.tops_path(path).unlink()
    said = refused(cli, "fair", "--data", "corpus")
    assert said.endswith(
        "the top passages were not kept, which a report shows; evaluate the model again with --keep-top 10"
    )


def test_damaged_top_passages(cli: Cli, place: Path) -> None:  # noqa: F811
    [path] = rank_table.rank_tables_below(place / "fair")
    file = tops.tops_path(path)
    file.write_bytes(file.read_bytes()[:100])
    assert "MadeUp.tops.parquet is damaged" in refused(cli, "fair", "--data", "corpus")


def test_models_are_evaluated_and_their_runs_kept(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(place / "home"))
    for name, seed in (("one", 1), ("two", 2)):
        tiny_model(seed).save(str(place / name), create_model_card=False)
    assert cli("report", "-m", "one", "-m", "two", "--data", "corpus", "-q") == (0, "", "")
    page = (place / "report.html").read_text(encoding="utf-8")
    runs = [RankTable.load(path) for path in rank_table.rank_tables_below(place / "home" / "ranks")]
    assert len(runs) == 2 and all(run.tops.k == 10 for run in runs)
    runs.sort(key=lambda run: page.index(run.info.model_revision))
    assert cli("report", *(run.path for run in runs), "--data", "corpus", "-q")[0] == 0
    assert (place / "report.html").read_text(encoding="utf-8") == page


def test_a_model_or_a_corpus_that_is_not_there(cli: Cli, place: Path) -> None:  # noqa: F811
    assert "nowhere" in refused(cli, "-m", "nowhere/model", "--data", "corpus")
    assert "nowhere" in refused(cli, "-m", "nowhere/model", "--data", "nowhere/")
