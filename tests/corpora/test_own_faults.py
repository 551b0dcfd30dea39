"""What can be wrong with a folder: one line that says where, exit code 2, and nothing written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beir_hybrid import corpora
from beir_hybrid.corpora.formats.corpus_folder import export_corpus
from beir_hybrid.errors import DataError
from tests.cli.test_cli import Cli, cli
from tests.support import small_folder
from tests.support.helpers import corpus_of

__all__ = ["cli"]  # a fixture

Spoil = Callable[[Path], Any]


def replaced(name: str, old: str, new: str) -> Spoil:
    """Replace the first such text of a file; a lone surrogate stands for a byte that is not UTF-8."""

    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        assert old.encode() in content
        (folder / name).write_bytes(content.replace(old.encode(), new.encode("utf-8", "surrogateescape"), 1))

    return spoil


def toml(old: str, new: str) -> Spoil:
    return replaced("corpus.toml", old, new)


def appended(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).open("a", encoding="utf-8").write(text)


def line(name: str, **changes: Any) -> Spoil:
    """Change fields of the first line of a file; None takes one away."""

    def spoil(folder: Path) -> None:
        first, *others = (folder / name).read_text().splitlines()
        content = {key: value for key, value in (json.loads(first) | changes).items() if value is not None}
        small_folder.write_lines(folder / name, [json.dumps(content), *others])

    return spoil


def content(name: str, text: str) -> Spoil:
    return lambda folder: (folder / name).write_text(text)


def removed(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def a_folder(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def a_pipe(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


def without_a_language(folder: Path) -> None:
    (folder / "de").rename(folder / "deutsch")


def parquet(kind: str, change: Callable[[pa.Table], pa.Table]) -> Spoil:
    """Make the corpus one of Parquet files, and change one of them."""

    def spoil(folder: Path) -> None:
        for path in [path for path in folder.rglob("*") if path.suffix in (".jsonl", ".tsv")]:
            path.unlink()
        small_folder.write(folder, "parquet")
        path = folder / "de" / f"{kind}.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return spoil


def truncated_parquet(folder: Path) -> None:
    parquet("corpus", lambda table: table)(folder)
    path = folder / "de/corpus.parquet"
    path.write_bytes(path.read_bytes()[:-20])


def with_column(name: str, values: list[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.schema.get_field_index(name), name, pa.array(values))


def no_answers(folder: Path) -> None:
    for language in ("en", "de"):
        content(f"{language}/qrels/test.tsv", f"{small_folder.HEADING}\n1\t1\t0\n")(folder)


def no_questions(folder: Path) -> None:
    for language in ("en", "de"):
        removed(f"{language}/queries.jsonl")(folder)
        removed(f"{language}/qrels/test.tsv")(folder)


OWN_DATA = Path(__file__).parents[2] / "docs" / "own-data.md"

CORPUS, QUERIES, QRELS = "de/corpus.jsonl", "de/queries.jsonl", "de/qrels/test.tsv"

FAULTS: dict[str, tuple[Spoil, str]] = {
    "no corpus.toml": (removed("corpus.toml"), "corpus.toml: the file is missing; it says name, licence and languages"),
    "not TOML": (toml("licence =", "licence"), r"corpus.toml is not a TOML file: .*line 2"),
    "corpus.toml not UTF-8": (toml("help", "h\udcfflp"), "corpus.toml: byte 9 is not UTF-8"),
    "a missing key": (toml('licence = "cc-by-4.0"\n', ""), "corpus.toml: the field 'licence' is missing"),
    "a misspelt key": (toml("licence", "license"), r"line 2: unknown key 'license'; did you mean licence\?"),
    "an unknown key": (toml("licence", "quux = 1\nlicence"), "line 2: unknown key 'quux'; known are name, licence"),
    "a key of the wrong type": (toml('["en", "de"]', '"en"'), "line 3: languages is 'en', not a list"),
    "another wrong type": (toml('"help-centre"', "5"), "line 1: name is 5, not a text"),
    "a name that is no name": (toml("help-centre", "../up"), "line 1: '../up' is not a name that a folder can have"),
    "a task that is no task": (toml("licence", 'task = "a b"\nlicence'), "line 2: 'a b' is not the name of a task"),
    "a name without a task": (toml("help-centre", "ж"), "line 1: no name of a task can be made of this name; add task"),
    "an unknown metric": (toml("licence", 'metrics = ["f1"]\nlicence'), "line 2: 'f1' is no retrieval metric"),
    "a cut-off of its own": (toml("licence", 'metrics = ["ndcg_at_7"]\nlicence'), "line 2: 'ndcg_at_7' is no retr"),
    "no language": (toml('["en", "de"]', "[]"), "line 3: languages is .*at least 1"),
    "no tag": (toml('"de"', '"german"'), "line 3: 'german' is not a language tag"),
    "a tag written otherwise": (toml('"de"', '"deu"'), "line 3: 'deu' is not a language tag .*: write 'de' for 'deu'"),
    "multi": (toml('"de"', '"multi"'), "line 3: 'multi' is not a language tag"),
    "a language twice": (toml('"de"', '"en"'), "line 3: .* names 'en' twice"),
    "a language without files": (without_a_language, r"mine: nothing of the language de: neither de/corpus.jsonl nor"),
    "no passages": (removed(CORPUS), f"{CORPUS}: the file is missing"),
    "no questions": (removed(QUERIES), f"{QUERIES}: the file is missing"),
    "no judgments": (removed(QRELS), f"{QRELS}: the file is missing"),
    "both forms": (content("de/corpus.parquet", ""), f"{CORPUS}: de/corpus.parquet is there, too; keep one"),
    "both places": (content("de-queries.jsonl", ""), f"{QUERIES}: de-queries.jsonl is there, too; keep one"),
    "a folder in the place of a file": (a_folder(CORPUS), f"cannot read .*{CORPUS}: it is a folder"),
    "a pipe in the place of a file": (a_pipe(QUERIES), f"cannot read .*{QUERIES}: it is no regular file"),
    "a folder in the place of corpus.toml": (a_folder("corpus.toml"), "cannot read .*corpus.toml: it is a folder"),
    "a title of two lines": (toml("licence", 'title = "a\\nb"\nlicence'), r"line 2: 'a\\nb' is not a name: up to 300"),
    "an empty file": (content(CORPUS, ""), f"{CORPUS}: the file is empty"),
    "an empty file of questions": (content(QUERIES, ""), f"{QUERIES}: the file is empty"),
    "an empty file of judgments": (content(QRELS, ""), f"{QRELS}: the file is empty"),
    "no passage": (content(CORPUS, "\n"), f"{CORPUS}: there is no passage"),
    "no question": (content(QUERIES, "\n"), f"{QUERIES}: there is no question"),
    "no question at all": (no_questions, "mine: there is no question in en, de"),
    "no question with an answer": (no_answers, "mine: no question has a relevant passage"),
    "not UTF-8": (replaced(CORPUS, "passage 2", "passage \udcff"), f"{CORPUS}, line 2: byte .* is not UTF-8"),
    "judgments not UTF-8": (replaced(QRELS, "\n2", "\n\udcff2"), f"{QRELS}, line 3: byte 0 is not UTF-8"),
    "not JSON": (replaced(CORPUS, '"text": "de passage 2"', '"text'), f"{CORPUS}, line 2: is not JSON: Expecting"),
    "not an object": (appended(CORPUS, "[1]\n"), f'{CORPUS}, line 5: is not a JSON object {{"_id": ..., "text": ...}}'),
    "a key twice": (replaced(CORPUS, "{", '{"text": "x", '), f"{CORPUS}, line 1: is not JSON: the key 'text' is there"),
    "nested without end": (appended(CORPUS, "[" * 10**5 + "\n"), f"{CORPUS}, line 5: is (nested|not JSON)"),
    "no _id": (line(CORPUS, _id=None), f"{CORPUS}, line 1: the field '_id' is missing"),
    "an empty _id": (line(CORPUS, _id=""), f"{CORPUS}, line 1: the field '_id' is empty"),
    "an _id of the tag alone": (line(QUERIES, _id="de:"), f"{QUERIES}, line 1: the field '_id' is empty"),
    "an _id that is a number": (line(CORPUS, _id=1), f"{CORPUS}, line 1: the field '_id' is 1, not a text"),
    "an _id with a tab": (
        line(CORPUS, _id="1\t2"),
        rf"{CORPUS}, line 1: the field '_id' is '1\\t2'; an id holds no tab",
    ),
    "an _id with a line break": (
        line(QUERIES, _id="1\n"),
        rf"{QUERIES}, line 1: the field '_id' is '1\\n'; an id holds",
    ),
    "no text": (line(CORPUS, text=None), f"{CORPUS}, line 1: the field 'text' is missing"),
    "a text that is a list": (line(CORPUS, text=["x"]), rf"{CORPUS}, line 1: the field 'text' is \['x'\], not a text"),
    "a question without text": (line(QUERIES, text=None), f"{QUERIES}, line 1: the field 'text' is missing"),
    "an empty question": (line(QUERIES, text=" "), f"{QUERIES}, line 1: the question is empty"),
    "a title that is a number": (line(CORPUS, title=3), f"{CORPUS}, line 1: the field 'title' is 3, not a text"),
    "an article that is a number": (line(QUERIES, article=3), f"{QUERIES}, line 1: the field 'article' is 3, not a"),
    "half a character": (replaced(CORPUS, "passage 1", r"\ud83d"), f"{CORPUS}, line 1: the field 'text' holds half a"),
    "half a character in an id": (line(QUERIES, _id="\ud83d"), f"{QUERIES}, line 1: the field '_id' holds half a surr"),
    "a passage twice": (appended(CORPUS, '{"_id": "4", "text": "x"}\n'), f"{CORPUS}, line 5: .* 'de:p:4' stands twice"),
    "a passage twice by its namespace": (
        appended(CORPUS, '{"_id": "de:p:4", "text": "x"}\n'),
        f"{CORPUS}, line 5: the passage 'de:p:4' stands twice; ids must be unique",
    ),
    "a question twice": (appended(QUERIES, '{"_id": "3", "text": "x"}\n'), f"{QUERIES}, line 4: .* '3' stands twice"),
    "a question twice by its namespace": (
        appended(QUERIES, '{"_id": "de:3", "text": "x"}\n'),
        f"{QUERIES}, line 4: the question '3' stands twice; ids must be unique",
    ),
    "a query with the id of a passage": (
        appended(QUERIES, '{"_id": "p:2", "text": "x"}\n'),
        f"{QUERIES}, line 4: the query 'de:p:2' has the id of a passage; rename one of them",
    ),
    "an article of one language": (
        line(QUERIES, article="keys"),
        f"{QUERIES}, line 1: the question '1' is of the article 'keys', but in en of 'passwords'",
    ),
    "an article in one language": (line(QUERIES, article=None), f"{QUERIES}, line 1: .* of the article '1', but in en"),
    "no heading": (
        replaced(QRELS, small_folder.HEADING + "\n", ""),
        rf"{QRELS}, line 1: the heading must be query-id<tab>corpus-id<tab>score, not '1<tab>1<tab>1'",
    ),
    "another heading": (replaced(QRELS, "score", "grade"), f"{QRELS}, line 1: the heading must be .*<tab>grade'"),
    "TREC's columns": (appended(QRELS, "1\t0\t3\t1\n"), rf"{QRELS}, line 6: 4 columns, not 3 \(query-id<tab>"),
    "spaces for tabs": (appended(QRELS, "1 3 1\n"), rf"{QRELS}, line 6: 1 columns, not 3"),
    "an endless column": (appended(QRELS, "1\t" + "x" * 140_000 + "\t1\n"), f"{QRELS}, line 6: is not tab-separated"),
    "a judgment without a question": (appended(QRELS, "\t3\t1\n"), f"{QRELS}, line 6: the field 'query-id' is empty"),
    "a score in words": (appended(QRELS, "1\t3\thigh\n"), f"{QRELS}, line 6: the field 'score' is 'high', not a whole"),
    "a score that is no whole number": (appended(QRELS, "1\t3\t0.5\n"), f"{QRELS}, line 6: .* is '0.5', not a whole"),
    "a score below 0": (appended(QRELS, "1\t3\t-1\n"), f"{QRELS}, line 6: the field 'score' is -1; scores are 0 to"),
    "a score without end": (appended(QRELS, "1\t3\t99999\n"), f"{QRELS}, line 6: the field 'score' is 99999; scores"),
    "two scores": (appended(QRELS, "2\t2\t1\n"), f"{QRELS}, line 6: the passage 'de:p:2' has the score 2 .* not 1"),
    "an unknown passage": (appended(QRELS, "1\t9\t1\n"), f"{QRELS}, line 6: there is no passage '9' in de"),
    "an unknown question": (appended(QRELS, "9\t1\t1\n"), f"{QRELS}, line 6: there is no question '9'"),
    "a candidate that is none": (
        content("de/qrels/ignored.tsv", "query-id\tcorpus-id\n1\t1\n"),
        "de/qrels/ignored.tsv, line 2: the passage is relevant to the question, and so a candidate",
    ),
    "truncated Parquet": (truncated_parquet, "de/corpus.parquet: is not a whole Parquet file"),
    "no Parquet at all": (
        lambda folder: (removed(CORPUS)(folder), content("de/corpus.parquet", "PAR1")(folder)),
        "de/corpus.parquet: is not a whole Parquet file",
    ),
    "Parquet without a column": (
        parquet("corpus", lambda table: table.drop_columns(["text"])),
        "de/corpus.parquet: the column 'text' is missing; there are _id, title",
    ),
    "Parquet of numbers": (
        parquet("queries", with_column("_id", [1, 2, 3])),
        "de/queries.parquet: the column '_id' is of the type int64, not of texts",
    ),
    "Parquet with grades in words": (
        parquet("qrels", with_column("score", ["1", "1", "1", "0"])),
        "de/qrels.parquet: the column 'score' is of the type string, not of whole numbers",
    ),
    "Parquet with a null": (
        parquet("corpus", with_column("text", ["a", None, "c", "d"])),
        "de/corpus.parquet, row 2: the field 'text' is missing",
    ),
    "Parquet without a grade": (
        parquet("qrels", with_column("score", [1, 2, None, 0])),
        "de/qrels.parquet, row 3: the field 'score' is None, not a whole number",
    ),
    "Parquet without a row": (parquet("corpus", lambda table: table[:0]), "de/corpus.parquet: there is no passage"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_folder.write(tmp_path / "mine")


def files_below(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_one_line_for_every_reader(
    kind: str, folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, message = FAULTS[kind]
    spoil(folder)
    monkeypatch.chdir(folder.parent)
    before = files_below(folder.parent)
    code, _, err = cli("data", "check", folder)
    assert code == 2
    assert re.search(message, err) and err.startswith("error: ") and err.count("\n") == 1, err
    with pytest.raises(DataError) as error:
        corpora.load(folder)
    assert str(error.value) == err.removeprefix("error: ").removesuffix("\n")
    assert cli("evaluate", "-m", "no/model", "--data", folder, "--out", "results") == (2, "", err)
    assert files_below(folder.parent) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(folder: Path, cli: Cli) -> None:
    (folder / CORPUS).chmod(0)
    code, _, err = cli("data", "check", folder)
    assert (code, err) == (2, f"error: cannot read {folder / CORPUS}: Permission denied\n")


def test_all_faults_are_told_at_once(folder: Path, cli: Cli) -> None:
    # Those that are about different things, so that none hides another.
    kinds = [
        "a misspelt key",
        "a title that is a number",
        "no text",
        "two scores",
        "an unknown passage",
        "a score below 0",
    ]
    for kind in kinds:
        FAULTS[kind][0](folder)
    line("en/queries.jsonl", text=" ")(folder)
    code, out, err = cli("data", "check", folder)
    assert code == 2
    messages = [re.sub(r"line [67]", r"line \\d", FAULTS[kind][1]) for kind in kinds]
    lines = err.splitlines()
    assert len(lines) == len(kinds) + 1
    for message in [*messages, "en/queries.jsonl, line 1: the question is empty"]:
        assert sum(bool(re.search(message, text)) for text in lines) == 1, message
    assert "Judgments that point nowhere: 1" in out


def test_many_languages_are_one_screen(tmp_path: Path, cli: Cli) -> None:
    languages = "af ar bg bn ca cs da de el en es et fa fi fr gu he hi hr hu id it ja kn ko lt lv".split()
    parts = {language: ["1", "2"] for language in languages}
    answers = {language: {"q": {0: 1}} for language in languages[:-1]}
    folder = export_corpus(corpus_of(parts, {language: ["q"] for language in languages}, answers), tmp_path)
    line("lt/corpus.jsonl", text="")(folder)
    code, out, _ = cli("data", "check", folder)
    rows = out.splitlines()
    assert code == 0 and rows[3].split() == "lt 1 0 2 1 1 0 0".split()
    assert "all 27 27 0 54 26 1 0 0".split() in [row.split() for row in rows]
    assert "Listed are the 25 languages with most to look at" in out and len(rows) < 34


def test_a_byte_order_mark_and_blank_lines_are_no_faults(folder: Path) -> None:
    expected = corpora.load(folder)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert corpora.load(folder).languages == expected.languages


def test_the_documentation_shows_what_the_command_prints(folder: Path, cli: Cli) -> None:
    code, out, err = cli("data", "check", folder)
    assert (code, err) == (0, "")
    assert f"$ beir-hybrid data check help-centre\n{out}```" in OWN_DATA.read_text(encoding="utf-8")


def test_a_screen_says_what_there_is(folder: Path, cli: Cli) -> None:
    line(CORPUS, text="")(folder)
    appended(CORPUS, '{"_id": "5", "text": "de passage 4"}\n')(folder)
    appended(CORPUS, json.dumps({"_id": "6", "text": "x" * 3000}) + "\n")(folder)
    (folder / "fr").mkdir()
    code, out, err = cli("data", "check", folder)
    assert (code, err) == (0, "")
    cells = [row.split() for row in out.splitlines()]
    assert cells[1] == "language questions unanswered passages judgments empty doubled overlong".split()
    assert "en 3 1 4 3 0 0 0".split() in cells
    assert "de 3 1 6 3 1 1 1".split() in cells
    assert "Questions by the number of languages with an answer: in 2: 2; in 0: 1" in out
    assert "Judgments that point nowhere: 0" in out
    assert "does not name them: fr" in out
    assert out.count("\n") < 24
