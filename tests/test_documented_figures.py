"""README and docs: their figures are those of the records in leaderboard/published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.documented_figures import pattern_of, wrong_figures

ROOT = Path(__file__).parents[1]
GENERATED = {"docs/study.md"}
"""Documents that are made from their record, and compared with it as a whole elsewhere."""

DOCUMENTS = sorted(
    {path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))} - GENERATED
)
SETTINGS = {
    "docs/architecture.md": ["language fit into 128 MB"],
    "docs/language-bias.md": ["is given from 90 % on", "where it is not 100 %", "where fewer than 90 % of"],
    "docs/leaderboard.md": ["that fewer than 90 % of", "Figures of 90 to 100 % of"],
    "docs/ours.md": [
        "stops if more than 1 % of",
        "is not the trained matrix W but I + 0.5 (W - I)",
        "The weight 0.5, the temperature 0.2 and the learning rate",
        "lost at most 0.005 monolingual mAP",
    ],
    "docs/overlap.md": [
        "default of `--max-share` is 0.01",
        "of at least 0.5 (`--near`)",
        "90 % of them in the training text",
        "against itself gives 100 % of the questions",
        "## Why 0.5",
    ],
    "docs/significance.md": ["together with a probability of 95 %"],
    "docs/training.md": ["0.5 by default", "All have alpha 0.5, tau 1, temperature 0.05, 10 % warm-up"],
}
"""Document -> fragments with numbers that look measured, and are settings or definitions."""

needs_records = pytest.mark.skipif(
    not (ROOT / "leaderboard" / "published").is_dir(), reason="the source distribution has no published results"
)


@needs_records
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_figures_of_a_document_are_those_of_its_records(document: str) -> None:
    assert wrong_figures(ROOT / document, ROOT, SETTINGS.get(document, [])) == []


@pytest.mark.parametrize(("document", "fragment"), [(name, one) for name, some in SETTINGS.items() for one in some])
def test_no_setting_is_listed_that_its_document_does_not_have(document: str, fragment: str) -> None:
    assert pattern_of(fragment).search((ROOT / document).read_text(encoding="utf-8"))


RECORD = {
    "what": "Made up, 9.99 s.",
    "figures": {
        "speed": {"seconds": 12.34, "share": 0.7249, "low": 0.7, "high": 0.75, "texts": 26104},
        "rows": [{"found": 0.995, "alike": 150}, {"found": 0.985, "alike": 81}],
        "a/b": {"decline": -0.031},
    },
}
SPEED = "<!-- figures: record.json#/figures/speed -->\n"
ROWS = "<!-- figures: record.json#/figures/rows -->\n"


def problems(folder: Path, text: str, *settings: str) -> list[str]:
    (folder / "record.json").write_text(json.dumps(RECORD), encoding="utf-8")
    (folder / "text.md").write_text(text, encoding="utf-8")
    return wrong_figures(folder / "text.md", folder, settings)


@pytest.mark.parametrize(
    "text",
    [
        f"{SPEED}It takes 12.3 s, or 12 seconds,\nor 12.34 s.",
        f"{SPEED}About (about 26,000) 26,104 texts, 72 % (70 to 75) or 72.5% of all: 70 to 75 %.",
        f"{SPEED}- 12.3 s\n- 11 languages, `0.99`, [a link](https://example.org/9.99)",
        f"{SPEED}```console\n$ run --alpha 0.9\n\n26104 texts, 12.34\n```",
        f"{ROWS}| | found | alike |\n|---|---|---|\n| a | 99.5 % | 150 |\n| b | 98.5 % | 81 |",
        "<!-- figures: record.json#/figures/a~1b record.json#/figures/speed -->\nFrom 12.3 s, by \u22120.031.",
    ],
)
def test_figures_of_a_record_may_be_shown_rounded(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("It takes 12.4 s.", "12.4 s"),
        ("It takes 13 s.", "13 s"),
        ("Of 26,105 texts.", "26,105"),
        ("Of about 27,000 texts.", "27,000"),
        ("These are 73 %.", "73 %"),
        ("These are 72 % (71 to 75).", "71 %"),
        ("```console\n12.33\n```", "12.33"),
    ],
)
def test_a_figure_that_is_not_in_the_record_is_found(tmp_path: Path, text: str, figure: str) -> None:
    expected = f"text.md:3: {figure} is not in record.json#/figures/speed"
    assert problems(tmp_path, f"# Title\n\n{SPEED}{text}\n\nMore text.\n") == [expected]


@pytest.mark.parametrize(
    ("rows", "figure"),
    [
        ("| a | 99.5 % | 151 |\n| b | 98.5 % | 81 |", "151"),  # another number
        ("| a | 98.5 % | 81 |\n| b | 99.5 % | 150 |", "99.5 %"),  # two rows that changed places
    ],
)
def test_the_numbers_of_a_table_stand_in_the_order_of_the_record(tmp_path: Path, rows: str, figure: str) -> None:
    expected = f"text.md:1: {figure} is not at its place in record.json#/figures/rows"
    assert problems(tmp_path, f"{ROWS}| | found | alike |\n|---|---|---|\n{rows}\n") == [expected]


@pytest.mark.parametrize(
    ("comment", "problem"),
    [
        ("<!-- figures: missing.json -->", "there is no file missing.json"),
        ("<!-- figures: record.json#/figures/slow -->", "record.json has nothing at /figures/slow"),
        ("<!-- figures: record.json#/figures/rows/2 -->", "record.json has nothing at /figures/rows/2"),
        ("<!-- figures: record.json#/what -->", "12.3 s is not in record.json#/what"),
    ],
)
def test_a_record_that_is_not_there_is_reported(tmp_path: Path, comment: str, problem: str) -> None:
    assert problems(tmp_path, f"Text.\n\n{comment}\nIt takes 12.3 s.\n") == [f"text.md:3: {problem}"]


@pytest.mark.parametrize("text", ["Text without figures, in 11 languages.\n", "\nIt takes `12.3`.\n", ""])
def test_a_comment_without_figures_is_reported(tmp_path: Path, text: str) -> None:
    expected = "text.md:1: no figures follow the comment that names record.json#/figures/speed"
    assert problems(tmp_path, SPEED + text) == [expected]


@pytest.mark.parametrize(
    "block",
    [
        "It takes 12.3 s.",
        "It takes 12 s.",
        "These are 72 %.",
        "Its score is\n0.7249.",
        "| model | score |\n|---|---|\n| a | 0.725 |",
        "```console\n$ run\n0.7249\n```",
    ],
)
def test_a_figure_without_a_comment_is_reported(tmp_path: Path, block: str) -> None:
    (found,) = problems(tmp_path, f"{SPEED}It takes 12.3 s.\n\n{block}\n")
    assert found.startswith("text.md:4: ")
    assert found.endswith(": looks measured, and no comment names a record (see docs/architecture.md)")


@pytest.mark.parametrize(
    "text",
    [
        "1,190 questions in 11 languages, k = 10, 100, 1,000 or 100,000, in 2024; about 300 kB.",
        "Python 3.11 to 3.13, mteb 2.26, BEIR 2.2.0, CC BY-SA 4.0, Unicode-3.0, arXiv 2408.10536, 2e-5.",
        "`--near 0.5`, https://doi.org/10.1145/1321440.1321528 and [a link](https://arxiv.org/abs/2004.05484).",
        "```python\nalpha = 0.25\n\nbeta = 0.5\n```",
        "All have the temperature\n0.05.",
    ],
)
def test_settings_sizes_and_names_need_no_comment(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, f"{text}\n", "the temperature 0.05") == []
