"""Settings, published figures, judgments and predictions that cannot be: one line each, and nothing hangs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from beir_hybrid.cli import app
from beir_hybrid.corpora.formats.trec import read_predictions
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.files import read_json, read_text, read_toml
from beir_hybrid.leaderboard.inputs.published_figures import read_published_figures
from beir_hybrid.leaderboard.inputs.settings import Settings, read_settings
from beir_hybrid.leaderboard.inputs.stored_predictions import find_predictions, read_judgments
from beir_hybrid.leaderboard.inputs.training_data import find_training_data
from beir_hybrid.leaderboard.publish import Inputs, make_board

DEEP = "[" * 10_000 + "]" * 10_000
DOTS = ".".join("a" * 5000)


def one_line(caught: pytest.ExceptionInfo[BeirHybridError], path: Path) -> str:
    message = str(caught.value)
    assert message.isprintable() and len(message) < 1000
    assert str(path) in message
    return message


MODEL = "[[model]]\nlabel = 'a'\nmodels = ['b']\n"
SETTINGS = {
    **{
        f"[board]\n{name} = {value}": name
        for name, values in {
            "title": ("3", "[]", "true", "'''" + "t" * 5000 + "'''"),
            "alpha": ("'0.05'", "0", "1", "-1", "nan", "inf", "true", "1e999", "9" * 400, "[]", "1979-05-27"),
            "confidence": ("'a'", "1", "nan", "{}"),
            "unit": ("'word'", "3", "[]"),
            "correction": ("'none'", "false"),
            "flips": ("1.5", "'1000'", "99", "-1", "true", "10000000000000", "9" * 400, "1e5", "[1000]"),
            "resamples": ("1.5", "'1000'", "99", "-1", "10000000000000", "1000001", "9" * 400),
            "seed": ("-1", "'a'", "1.0", "9" * 400, "true"),
            "published_figures": ("3", "[]", "true"),
            "ask_mteb": ("1", "'yes'", "[]"),
            "common_questions": ("0", "'no'"),
            "baselines": ("'me'", "[1]", "[['me']]", "3", "{}", "[true]"),
        }.items()
        for value in values
    },
    **{
        f"[[model]]\n{known}{name} = {value}": name
        for name, known, values in (
            ("label", "models = ['b']\n", ("3", "[]", "true", "'''" + "l" * 5000 + "'''")),
            ("models", "label = 'a'\n", ("3", "'b'", "[3]", "[['b']]", "{}")),
            ("key", "label = 'a'\nmodels = ['b']\n", ("3", "'a b'", "'../x'", "'＝1'", "'a\t'", "[]")),
            ("base", "label = 'a'\nmodels = ['b']\n", ("3", "[]", "true", "{}")),
            ("batching", "label = 'a'\nmodels = ['b']\n", ("3", "[]", "true", "1.5")),
            ("baseline", "label = 'a'\nmodels = ['b']\n", ("3", "[]", "true")),
            ("seen", "label = 'a'\nmodels = ['b']\n", ("'XQuADR'", "[3]", "true", "{}")),
        )
        for value in values
    },
    "[board]\nalfa = 0.05": "unknown key 'alfa'; did you mean alpha?",
    "[board]\nresample = 1000": "did you mean resamples?",
    f"{MODEL}batch = 'X-X'": "did you mean batching?",
    "[bord]\nalpha = 0.05": "bord is neither",
    "[board.alpha]\nx = 1": "alpha",
    f"[board]\n{DOTS} = 1": "unknown key 'a'",
    f"{DOTS} = 1": "a is neither",
    f"board = {DEEP}": "nested too deeply",
    f"[board]\nbaselines = {DEEP}": "nested too deeply",
    "board = []": "board is neither",
    "model = {}": "model is neither",
    "model = ['a']": "[[model]] 1 is 'a', not a table",
    "[[model]]\n": "needs a label and models",
    "[[board]]\n": "board is neither",
    MODEL + "[[model]]\nlabel = 'b'\nmodels = []": "[[model]] 2 needs",
    "[board]\ntitle = 'a'\ntitle = 'b'": "is not a TOML file",
    "\x00": "is not a TOML file",
    "[board]\ntitle = 'a\x1b[31m'": "is not a TOML file",
    "[board": "is not a TOML file",
}


@pytest.mark.parametrize("text", SETTINGS, ids=lambda text: repr(text)[:60])
def test_settings_that_cannot_be(text: str, tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BeirHybridError) as caught:
        read_settings(path)
    assert SETTINGS[text] in one_line(caught, path)


def test_the_command_reads_settings_first(tmp_path: Path) -> None:
    path = tmp_path / "leaderboard.toml"
    path.write_text("[board]\nresamples = 10_000_000_000_000", encoding="utf-8")
    done = CliRunner().invoke(app, ["leaderboard", "--settings", str(path), "--ranks", str(tmp_path)])
    assert str(done.exception) == f"{path}: resamples = 10000000000000: write a whole number from 100 to 1,000,000"


FIGURE = "[[figure]]\nlabel = 'a'\nsource = 'b'\nurl = 'https://c.org'\n"
VALUES = "values = {'XQuADR/multilingual/map' = 0.5}\n"
FIGURES = (
    "",
    "figure = 3",
    "figure = {}",
    "figure = [3]",
    f"figure = {DEEP}",
    "[[figure]]\n",
    FIGURE,
    FIGURE + "values = {}",
    FIGURE + "values = 0.5",
    FIGURE + "values = [0.5]",
    *(
        FIGURE + f"values = {{a = {value}}}"
        for value in ("'0.5'", "true", "nan", "inf", "1e999", "9" * 400, "[]", "{}")
    ),
    *(FIGURE.replace("'a'", value) + VALUES for value in ("3", "''", "[]", "'''" + "a" * 5000 + "'''")),
    *(FIGURE.replace("'b'", value) + VALUES for value in ("3", "''", "true")),
    *(FIGURE.replace("'https://c.org'", value) + VALUES for value in ("3", "''", "[]")),
    *(FIGURE + f"base = {value}\n" + VALUES for value in ("3", "true", "[]")),
    *(FIGURE + f"batching = {value}\n" + VALUES for value in ("3", "1.5", "{}")),
    FIGURE + "mood = 1\n" + VALUES,
    FIGURE + VALUES + "[board]\n",
    FIGURE + f"values.{DOTS} = 1",
)


@pytest.mark.parametrize("text", FIGURES, ids=lambda text: repr(text)[-60:])
def test_published_figures_that_cannot_be(text: str, tmp_path: Path) -> None:
    path = tmp_path / "published.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BeirHybridError) as caught:
        read_published_figures(path)
    one_line(caught, path)


@pytest.mark.parametrize("name", ["/dev/zero", "fifo", "folder", "missing", "loop", "x" * 5000, "a\0b", "latin-1"])
@pytest.mark.parametrize(
    "read", [read_settings, read_published_figures, read_text, read_json, read_toml, read_judgments]
)
def test_what_is_no_text_file(read: Any, name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "latin-1").write_bytes("é".encode("latin-1"))
    with pytest.raises(BeirHybridError) as caught:
        read(Path(name) if name.startswith("/") else tmp_path / name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_a_huge_file_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(BeirHybridError, match="it has 1,099,511,627,776 bytes"):
        read_json(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_judgments_are_read_whatever_an_editor_adds(mark: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "qrels"
    path.write_bytes(f"{mark}q1 0 d1 1{end}q1 0 d2 +2{end}q2 0 d#1 0{end}".encode())
    assert read_judgments(path).of("any") == {"q1": {"d1": 1, "d2": 2}, "q2": {"d#1": 0}}


LINES = (
    *(f"q1 0 d1 {grade}" for grade in ("1_0", "1e3", "1.0", "0x1", "one", "٣", "１", "9" * 30, "32768", "--1", "nan")),
    "q1",
    "q1 d1",
    "q1 0 d1",
    "q1 0 d1 1 more",
    "q1\t0\td1\t",
    "q1 0 d1 1\x00",
    DEEP,
    "q1 0 d1 1\nq1 0 d1 2",
)


@pytest.mark.parametrize("text", LINES, ids=lambda text: repr(text)[:40])
def test_judgments_that_cannot_be(text: str, tmp_path: Path) -> None:
    path = tmp_path / "qrels"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_judgments(path)
    one_line(caught, path)


META = {"model_name": "me/model", "revision": "1"}


def predictions(folder: Path, content: Any, name: str = "Small_predictions.json") -> Path:
    path = folder / "predictions" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def sound(results: Any = None, **facts: Any) -> dict[str, Any]:
    results = {"q1": {"d1": 0.5, "d2": 0.25}} if results is None else results
    return {"mteb_model_meta": META, "en": {"test": results}, **facts}


@pytest.fixture
def qrels(tmp_path: Path) -> str:
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d1 0\n", encoding="utf-8")
    return str(tmp_path / "qrels")


def test_the_predictions_that_are_spoilt_below_are_sound(tmp_path: Path, qrels: str) -> None:
    path = predictions(tmp_path, sound())
    [source] = find_predictions(tmp_path / "predictions", [qrels])
    assert source.read()["rank_in_language"].to_pylist() == [1]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(find_predictions(tmp_path / "predictions", [qrels])) == 1


TEXT = json.dumps(sound())
PREDICTIONS: dict[str, Any] = {
    **{f"scores {value!r:.30}": sound({"q1": value}) for value in (None, 3, "a", True, ["d1"], [["d1", 1]])},
    **{
        f"a score {value!r:.30}": sound({"q1": {"d1": value}})
        for value in (None, "1", True, [], {}, [1], float("nan"), 10**400, -(10**400))
    },
    **{f"queries {value!r}": sound(value) for value in ([], 3, "a", True, ["q1"])},
    **{f"splits {value!r}": {**sound(), "en": value} for value in (None, 3, "a", [], True, {}, {"a": {}, "b": {}})},
    **{
        f"the model {value!r:.30}": sound(mteb_model_meta=value)
        for value in (
            *(None, 3, "a", [], {}, {"model_name": "a"}),
            *({**META, "model_name": name} for name in (None, 3, [], "", "a\x1b", "\ud800", "a\0", "m" * 5000)),
            *({**META, "revision": name} for name in (3, [], "", "a\x9b", "r" * 5000)),
        )
    },
    **{
        f"the subset {name!r:.20}": {"mteb_model_meta": META, name: {"test": {"q1": {"d1": 0.5}}}}
        for name in ("", "../x", "multi", "a\x1b", "\ud800", "s" * 5000, "＝1", "e n")
    },
    "no model": {"en": {"test": {"q1": {"d1": 0.5}}}},
    "the model last": {"en": {"test": {}}, "mteb_model_meta": META},
    "a query that nobody judged": sound({"q9": {"d1": 0.5}}),
    "grades of 0 only": sound({"q2": {"d1": 0.5}}),
    "a subset twice": TEXT[:-1] + ', "en": {"test": {"q1": {"d1": 0.75}}}}',
    "a split twice": TEXT.replace('{"test"', '{"test": {}, "test"'),
    "a query twice": TEXT.replace('{"q1"', '{"q1": {}, "q1"'),
    "a passage twice": TEXT.replace('"d2"', '"d1"'),
    "nested": TEXT.replace("0.5", DEEP),
    "nested only": DEEP,
    "nested objects": '{"a":' * 10_000,
    "a number of 5,000 digits": TEXT.replace("0.5", "9" * 5000),
    "a list": [sound()],
    "cut": TEXT[:-20],
    "empty": "",
    "more behind the end": TEXT + " {}",
}


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_predictions_that_cannot_be(kind: str, tmp_path: Path, qrels: str) -> None:
    path = predictions(tmp_path, PREDICTIONS[kind])
    with pytest.raises(BeirHybridError) as caught:
        find_predictions(tmp_path / "predictions", [qrels])
    one_line(caught, path)


@pytest.mark.parametrize("score", [float("inf"), -1e308, 0, 10**30])
def test_scores_that_are_large_still_have_a_rank(score: float, tmp_path: Path, qrels: str) -> None:
    predictions(tmp_path, sound({"q1": {"d1": score, "d2": 0.25}}))
    [source] = find_predictions(tmp_path / "predictions", [qrels])
    assert source.read()["rank_in_language"].to_pylist() == [1 if score > 0.25 else 2]


@pytest.mark.parametrize("name", ["a b", "..", "\x1b[31m", "＝1", "-rf", "a@b"])
def test_a_task_that_has_no_name_of_one(name: str, tmp_path: Path, qrels: str) -> None:
    predictions(tmp_path, sound(), f"{name}_predictions.json")
    with pytest.raises(DataError) as caught:
        find_predictions(tmp_path / "predictions", [qrels])
    assert str(caught.value).isprintable()
    assert "is not the name of a task" in str(caught.value)


def test_two_predictions_of_one_model(tmp_path: Path, qrels: str) -> None:
    predictions(tmp_path, sound())
    predictions(tmp_path, sound({"q1": {"d1": 0.1, "d2": 0.25}}), "int8/Small_predictions.json")
    with pytest.raises(BeirHybridError, match="both hold Small of me/model, revision 1; remove one"):
        make_board(Inputs(predictions=tmp_path / "predictions", qrels=(qrels,)), Settings(ask_mteb=False))


def test_reading_stops_at_the_second_subset_of_a_name(tmp_path: Path) -> None:
    entries = read_predictions(predictions(tmp_path, PREDICTIONS["a subset twice"]))
    assert [next(entries)[0], next(entries)[0]] == ["mteb_model_meta", "en"]
    with pytest.raises(DataError, match="'en' is there twice"):
        next(entries)


MANIFESTS = (
    *({"training_datasets": value} for value in (3, "XQuADR", {}, [3], [None], True, ["a\x1b"])),
    *({"base": value} for value in (None, 3, "a", [], {})),
    *({"base": {"training_datasets": []}, "data": value} for value in (None, 3, "a", {}, [3], [{}])),
    {"base": {"training_datasets": 3}, "data": []},
    {"training_datasets": [], "name": 3},
    {"training_datasets": [], "revision": "\x9b"},
)


@pytest.mark.parametrize("content", MANIFESTS, ids=repr)
def test_manifests_that_cannot_be(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "me__model" / "1" / "training_manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        find_training_data(tmp_path)
    one_line(caught, path.parent)
