"""``beir-hybrid compare``: what it prints, the gate's exit codes, and what cannot be compared."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from beir_hybrid.ranks import rank_table
from tests.support.command_line import exit_code
from tests.support.small_ranks import lose_ranks, write_ranks

DECISIONS = {"better", "not worse", "worse", "cannot tell", "higher", "lower"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders as `beir-hybrid evaluate --out` leaves them, each with the ranks of a model."""
    folder = tmp_path_factory.mktemp("runs")
    levels = {"good": 0.9, "bad": 0.3, "near": 0.89}
    for name, level in levels.items():
        write_ranks(folder / name, f"me/{name}", level, questions=40)
    for name, revision in (("hostile", "1"), ("other-data", "2")):
        named = "me/|<b>x</b>@you*" if name == "hostile" else "me/other"
        write_ranks(folder / name, named, 0.9, questions=40, dataset_revision=f"data-{revision}")
    write_ranks(folder / "few", "me/few", 0.9, questions=30)
    write_ranks(folder / "other-task", "me/other", 0.9, task="MLQAR")
    write_ranks(folder / "two", "me/one", 0.9)
    write_ranks(folder / "two", "me/two", 0.9)
    (folder / "empty").mkdir()
    partial = write_ranks(folder / "partial", "me/partial", 0.9, questions=40)
    table, info = rank_table.read(partial)
    rank_table.write(partial, table, replace(info, evaluated={"en": ["en", "multi"]}))
    return {path.name: path for path in folder.iterdir()}


def test_a_comparison_is_a_table_and_no_verdict_of_the_exit_code(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("compare", runs["bad"], runs["good"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("me/bad less me/good on XQuADR, 20 articles")
    assert "design effect" in out
    [line] = [line for line in out.splitlines() if line.startswith("multilingual mAP")]
    assert line.endswith("worse")
    assert "within the margin" not in out and "can't" not in out


@pytest.mark.parametrize(
    ("run", "baseline", "options", "code"),
    [
        ("good", "bad", ("--no-worse-than", "0.01"), 0),
        ("bad", "good", ("--no-worse-than", "0.01"), 1),
        ("good", "good", ("--no-worse-than", "0.01"), 0),
        ("good", "bad", ("--no-worse-than", "0.01", "--setting", "multilingual", "--setting", "monolingual"), 0),
        ("bad", "good", ("--no-worse-than", "0.9"), 0),
        ("bad", "good", ("--no-worse-than", "0.01", "--metric", "ndcg_at_10", "--unit", "question"), 1),
    ],
)
def test_the_gate_is_its_exit_code(
    run: str,
    baseline: str,
    options: tuple[str, ...],
    code: int,
    runs: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code("compare", runs[run], runs[baseline], *options) == code
    out = capsys.readouterr().out
    [answer] = [line for line in out.splitlines() if line.startswith("Not worse than the baseline by ")]
    assert answer.endswith(": not shown" if code else ": shown")
    settings = [line for line in out.splitlines() if line.startswith("  ") and "the lower end of the interval" in line]
    assert len(settings) == (2 if "--setting" in options else 3)
    assert exit_code("compare", runs[run], runs[baseline], *options, "--quiet") == code
    assert capsys.readouterr() == ("", "")


def test_a_real_loss_within_the_margin_is_worse_and_passes(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "comparison.json"
    assert exit_code("compare", runs["bad"], runs["good"], "--no-worse-than", "0.95", "--json", file) == 0
    out = capsys.readouterr().out
    assert "multilingual: it is worse, and by less than 0.95" in out
    content = json.loads(file.read_text())
    assert content["gate"]["passed"] and set(content["gate"]["settings"]) >= {"multilingual"}
    [row] = [one for one in content["figures"] if (one["setting"], one["metric"]) == ("multilingual", "map")]
    assert row["decision"] == "worse" and row["verdict"] == "worse, within the margin"
    assert {one["decision"] for one in content["figures"]} <= DECISIONS
    assert row["low"] <= row["difference"] <= row["high"] < 0


def test_json_goes_to_the_output_too(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("compare", runs["bad"], runs["good"], "--no-worse-than", "0.01", "--json", "-") == 1
    content = json.loads(capsys.readouterr().out)
    assert (content["model"], content["units"], content["gate"]["passed"]) == ("me/bad", 20, False)


def test_markdown_holds_a_table_in_which_names_are_no_markup(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--no-worse-than", "0.01", "--setting", "multilingual", "--markdown")
    assert exit_code("compare", runs["hostile"], runs["good"], *options) == 0
    out = capsys.readouterr().out
    assert out.startswith("### Not worse than the baseline by 0.01: shown\n")
    assert "<b>" not in out and "@you" not in out and "x*" not in out.replace("\\*", "")
    table = [line for line in out.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    [setting, few] = [line for line in out.splitlines() if line.startswith("- ")]
    assert setting.startswith("- multilingual: shown;") and few.startswith("- 20 articles are few: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("good", "other-task"), "the ranks are of XQuADR and of MLQAR"),
        (("good", "other-data"), "data revision"),
        (("good", "few"), "--common-questions"),
        (("good", "partial"), "subsets"),
        (("good", "empty"), "holds no rank table"),
        (("good", "two"), "holds 2 rank tables"),
        (("good", "nowhere"), "nowhere"),
        (("good", "bad", "--no-worse-than", "0"), "write a number above 0"),
        (("good", "bad", "--no-worse-than", "-0.01"), "write a number above 0"),
        (("good", "bad", "--no-worse-than", "nan"), "write a number above 0"),
        (("good", "bad", "--no-worse-than", "inf"), "write a number above 0"),
        (("good", "bad", "--setting", "multilingual"), "--no-worse-than"),
        (("good", "bad", "--no-worse-than", "0.01", "--setting", "multi"), "--setting multi:"),
        (("good", "bad", "--metric", "accuracy"), "there is no metric 'accuracy'"),
        (("good", "bad", "--metric", "rank_distance"), "no score of a setting"),
        (("good", "bad", "--unit", "word"), "unit ="),
        (("good", "bad", "--json", "-", "--markdown"), "--json -"),
        (("good", "bad", "--json", "/dev/null/x.json"), "/dev/null"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    said: str,
    runs: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = [runs.get(name, Path(name)) for name in arguments[:2]]
    assert exit_code("compare", *places, *arguments[2:]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and said in line


def test_common_questions_are_compared_if_that_is_asked_for(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--common-questions", "--no-worse-than", "0.2")
    assert exit_code("compare", runs["good"], runs["few"], *options) == 0
    assert "15 articles" in capsys.readouterr().out


def test_figures_that_a_search_leaves_open_are_not_tested_and_it_says_why(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lose_ranks(write_ranks(tmp_path, "me/search", 0.9, questions=40, cut=100), queries=60)
    assert exit_code("compare", tmp_path, runs["bad"], "--no-worse-than", "0.01") == 0
    out = capsys.readouterr().out
    assert "Not tested: less than 90 % of the questions" in out
    assert re.search(r"^rank distance +- .* not tested$", out, re.MULTILINE)
