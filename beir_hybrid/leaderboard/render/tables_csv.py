"""The tables of a leaderboard as CSV: figures with all their digits, one kind of table a file."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from beir_hybrid.leaderboard.render.tables import Board, one_line, rows_in_order
from beir_hybrid.metrics import LANGUAGE_FIGURES

_FORMULA = ("=", "+", "-", "@")


def escape(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, full-width signs and the like included."""
    line = one_line(text)
    return f"'{line}" if unicodedata.normalize("NFKC", line[:1]).startswith(_FORMULA) else line


def main_csv(board: Board) -> str:
    """Return the main table: a row a model; for each column its figure, spread over seeds and marks.

    Figures of language bias have a fourth field, the share of the queries that have them: without a figure, the reason.
    """
    columns = board["columns"]
    fields = [f"{column['key']}{suffix}" for column in columns for suffix in _fields_of(column)]
    heads = ["row", "label", "base", "batching", "seeds", "published", "models", "revisions", "source"]
    return _csv([*heads, *fields], (_main_row(key, board["rows"][key], columns) for key in rows_in_order(board)))


def _fields_of(column: Mapping[str, Any]) -> list[str]:
    return ["", " spread", " marks", *([" coverage"] if column["metric"] in LANGUAGE_FIGURES else [])]


def _main_row(key: str, row: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> list[Any]:
    source = row["source"]["url"] if row["source"] else None
    facts = [key, row["label"], row["base"], row["batching"], row["seeds"], row["published"]]
    cells: list[Any] = []
    for column in columns:
        cell = row["cells"].get(column["key"])
        values = {} if cell is None else {**cell, "": cell["value"], "marks": "".join(cell["marks"])}
        cells += [values.get(suffix.strip(), "") for suffix in _fields_of(column)]
    return [*facts, " ".join(row["models"]), " ".join(row["revisions"]), source, *cells]


def languages_csv(board: Board) -> str:
    """Return the figures by question language: one line a model, task, language and setting."""
    lines = (
        [key, task, language, setting, value]
        for key in rows_in_order(board)
        for task, by_language in board["languages"].get(key, {}).items()
        for language, by_setting in by_language.items()
        for setting, value in by_setting.items()
    )
    return _csv(["row", "task", "question_language", "setting", "value"], lines)


def matrices_csv(board: Board) -> str:
    """Return the matrices: one line a model, task, question language and passage language."""
    lines = (
        [key, task, question, passage, value, alone]
        for key in rows_in_order(board)
        for task, matrices in board["matrices"].get(key, {}).items()
        for question, values, of_one in zip(
            matrices["languages"], matrices["map"], matrices["one_target"] or repeat(repeat(None)), strict=False
        )
        for passage, value, alone in zip(matrices["languages"], values, of_one, strict=False)
    )
    return _csv(["row", "task", "question_language", "passage_language", "map", "one_target_map"], lines)


COMPARISON_FIELDS = tuple(
    "column row baseline difference low high p p_corrected p_t p_wilcoxon effect_size unit units questions exact "
    "design_effect margin p_equivalence p_equivalence_corrected p_noninferiority p_noninferiority_corrected "
    "verdict".split()
)


def comparisons_csv(board: Board) -> str:
    """Return the tests: one line a column and pair of models."""
    lines = ([comparison[field] for field in COMPARISON_FIELDS] for comparison in board["comparisons"])
    return _csv(COMPARISON_FIELDS, lines)


FAMILY_FIELDS = tuple("value spread low high unit units questions".split())


def families_csv(board: Board) -> str:
    """Return the figures by group of language pairs: one line a task, figure, group and model."""
    lines = (
        [*_group(entry), entry["pairs"], key, *(entry["cells"][key][field] for field in FAMILY_FIELDS)]
        for entry in board["families"]
        for key in rows_in_order(board)
        if key in entry["cells"]
    )
    return _csv(["task", "figure", "group", "pairs", "row", *FAMILY_FIELDS], lines)


def family_comparisons_csv(board: Board) -> str:
    """Return the tests by group of language pairs: one line a task, figure, group and pair of models."""
    fields = COMPARISON_FIELDS[1:]
    lines = (
        [*_group(entry), *(comparison[field] for field in fields)]
        for entry in board["families"]
        for comparison in entry["comparisons"]
    )
    return _csv(["task", "figure", "group", *fields], lines)


def _group(entry: Mapping[str, Any]) -> list[Any]:
    return [entry["task"], entry["figure"], entry["group"]]


def _csv(heads: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([escape(head) for head in heads])
    writer.writerows([_field(value) for value in line] for line in lines)
    return text.getvalue()


def _field(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else escape(value)
