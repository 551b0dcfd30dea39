"""What a report says, before it is a page: figures of one model or of two, heat maps, and examples with their texts.

Sequences with an entry for each run have one entry or two, in the order of ``Report.runs``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Grid = Sequence[Sequence[float | None]]
"""A figure by question language (rows) and another language (columns); None where there is none."""

Kind = Literal["lost-in-pool", "lost-in-both", "won", "lost"]
"""What an example shows: the answer is found in its own language and lost in the pool of all languages; it is found in
neither; it is found in the pool by the first run and not by the second, or the other way round."""


@dataclass(frozen=True)
class RunFacts:
    """Whose figures they are.

    Attributes:
        label: What the page calls it.
        model: Name of the model.
        revision: Its revision.
        cut: Results that a search returned for each query; None where every passage was ranked.
    """

    label: str
    model: str
    revision: str
    cut: int | None


@dataclass(frozen=True)
class Figure:
    """A figure of a run with its bootstrap interval; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """The first run less the second.

    Attributes:
        value: The difference.
        low: Lower end of its interval.
        high: Upper end.
        p: Corrected p value of the paired randomization test.
        verdict: What the tests have shown, in words; empty where nothing was tested.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    verdict: str


@dataclass(frozen=True)
class FigureRow:
    """A figure on the first screen.

    Attributes:
        setting: The setting; empty for a language figure, which is of the pool of all languages.
        metric: Name of the metric, an entry of `metrics.py`.
        figures: One for each run.
        difference: Of two runs.
    """

    setting: str
    metric: str
    figures: Sequence[Figure]
    difference: Difference | None = None


@dataclass(frozen=True)
class HeatMap:
    """A figure by question language and another language.

    Attributes:
        key: Short name, fit for an id of HTML.
        title: What is shown.
        note: How to read it, in a sentence.
        columns_are: What the columns are: ``answers in``, ``outranked by passages in``.
        rows: Question languages.
        columns: The other languages.
        grids: The figure of each run.
        difference: The first run less the second; None of one run.
        significant: Which of the differences are significant after correction, by row and column; None of one run.
        higher_is_better: The better side; None where there is none.
    """

    key: str
    title: str
    note: str
    columns_are: str
    rows: Sequence[str]
    columns: Sequence[str]
    grids: Sequence[Grid]
    difference: Grid | None = None
    significant: Sequence[Sequence[bool]] | None = None
    higher_is_better: bool | None = True


@dataclass(frozen=True)
class Passage:
    """A passage as an example shows it.

    Attributes:
        passage_id: Its id.
        language: Its language.
        text: Its text, with its title before it where it has one.
        score: Its score; None where it is not known.
        is_right: Whether it answers the question.
    """

    passage_id: str
    language: str
    text: str
    score: float | None
    is_right: bool


@dataclass(frozen=True)
class Answer:
    """A right answer of an example.

    Attributes:
        passage: The passage.
        ranks_in_language: Rank in the pool of its language, one for each run; None where it is unknown.
        ranks_in_pool: Rank in the pool of all languages, likewise.
    """

    passage: Passage
    ranks_in_language: Sequence[int | None]
    ranks_in_pool: Sequence[int | None]


@dataclass(frozen=True)
class Example:
    """A question, its right answers in one language, and the passages above them.

    Attributes:
        query_id: The query.
        question_language: Its language.
        question: Its text.
        answer_language: Language of the answers that it is about.
        kinds: What it shows, one kind or more.
        lost: What was lost, larger for more; examples are sorted by it, the largest first.
        answers: The right answers in that language, best ranked first.
        others: Right answers in other languages, with their ranks.
        above: For each run, the best passages of the pool of all languages, best first, up to the first of ``answers``.
        are_all: For each run, whether ``above`` holds all the passages above the first of ``answers``.
    """

    query_id: str
    question_language: str
    question: str
    answer_language: str
    kinds: Sequence[Kind]
    lost: float
    answers: Sequence[Answer]
    others: Sequence[Answer]
    above: Sequence[Sequence[Passage]]
    are_all: Sequence[bool]


@dataclass(frozen=True)
class Table:
    """A plain table: a heading, a note, column heads, and rows of texts and numbers.

    Attributes:
        title: Its heading.
        note: How to read it.
        heads: Heads of the columns; the first column names the rows.
        rows: The cells.
        decimals: Of the numbers.
    """

    title: str
    note: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]
    decimals: int = 3


@dataclass(frozen=True)
class Report:
    """All that a page shows.

    Attributes:
        task: Name of the task.
        corpus: Title of the data set.
        licence: Its licence, as it says itself.
        citation: Where it comes from; empty if that is not known.
        dataset_revision: Revision of the data.
        runs: One or two.
        matter: What the matter is: one or two sentences for each run, and one that compares two.
        figures: The three settings first, then language figures.
        unit: What intervals and tests draw: ``articles``, ``questions``; with ``units`` of them.
        units: How many there are.
        heat_maps: In the order of the page.
        examples: What was lost most first.
        tables: Such as what an index finds, one or none for each run.
        notes: What a reader must know: ranks that are unknown, queries left out.
        versions: Versions of the packages that made the ranks.
    """

    task: str
    corpus: str
    licence: str
    citation: str
    dataset_revision: str
    runs: Sequence[RunFacts]
    matter: Sequence[str]
    figures: Sequence[FigureRow]
    unit: str
    units: int
    heat_maps: Sequence[HeatMap]
    examples: Sequence[Example]
    tables: Sequence[Table]
    notes: Sequence[str]
    versions: str
