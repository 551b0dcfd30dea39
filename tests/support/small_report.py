"""Made-up reports: of one run, of two, and of a corpus that means harm. Every figure and text is invented."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from beir_hybrid.report.content import (
    Answer,
    Difference,
    Example,
    Figure,
    FigureRow,
    Grid,
    HeatMap,
    Kind,
    Passage,
    Report,
    RunFacts,
    Table,
)

LANGUAGES = ("ar", "de", "en", "zh")
SETTINGS = ("monolingual", "cross-lingual", "multilingual")
LANGUAGE_FIGURES = ("rank_distance", "language_fairness", "strong_alignment", "language_preference", "complete_at_20")
KINDS: tuple[Kind, ...] = ("lost-in-pool", "lost-in-both", "won", "lost")

_TEXTS = {
    "ar": "بُني الجسر القديم في المدينة سنة 1836 من الحجر الأبيض.",
    "de": "Die alte Brücke der Stadt wurde 1836 aus weißem Stein gebaut.",
    "en": "The old bridge of the town was built of white stone in 1836.",
    "zh": "城里的老桥于1836年用白色石头建成。",
}
_QUESTIONS = {
    "ar": "متى بُني الجسر القديم؟",
    "de": "Wann wurde die alte Brücke gebaut?",
    "en": "When was the old bridge built?",
    "zh": "老桥是什么时候建成的?",
}

HOSTILE_TEXTS = (
    "<script>document.title = 'harm'; fetch('https://evil.example')</script>",
    '"><img src=x onerror="document.title = \'harm\'">',
    "</bdi></p></article></main><style>* { display: none }</style>",
    "<!-- <script> --> ]]> {{ 7 * 7 }} {% raw %}",
    "null \0 bell \x07 escape \x1b[31m return \r delete \x7f",
    "lone surrogates \ud800 and \udfff",
    "override \u202e evil.exe, isolate \u2066 open",
    "شركة " * 900,
    "w" * 5000,
    "漢字かな交じり文" * 600,
    "",
)
HOSTILE_LANGUAGE = "\"><b onclick='x'>"


def small_report(runs: int = 2, examples: int = 12, languages: Sequence[str] = LANGUAGES) -> Report:
    """Make a report.

    Args:
        runs: One or two.
        examples: How many examples it has.
        languages: Languages of questions and passages.
    """
    chance = random.Random(7)
    facts = [RunFacts("small encoder", "org/small", "0123abc", None), RunFacts("bm25", "org/bm25", "v1", 1000)][:runs]
    return Report(
        task="SmallR",
        corpus="Small-R",
        licence="CC BY-SA 4.0",
        citation="https://example.org/small?a=1&b=2",
        dataset_revision="data-1",
        runs=facts,
        matter=[f"{one.label} finds answers in other languages at rank 1.6, and in the pool at 64.2." for one in facts],
        figures=[
            *(_figure(setting, "map", runs, chance) for setting in SETTINGS),
            *(_figure("", metric, runs, chance) for metric in LANGUAGE_FIGURES),
        ],
        unit="articles",
        units=48,
        heat_maps=[
            _heat_map("pairs", "mAP of each pair", "answers in", languages, runs, chance),
            _heat_map("one-target", "One-target mAP in the pool", "answers in", languages, runs, chance),
            _heat_map("outranking", "Who outranks whom", "outranked by passages in", languages, runs, chance, None),
        ],
        examples=[_example(number, runs, languages, chance) for number in range(examples)],
        tables=[
            Table(
                "What the index finds",
                "Share of the exact top ten.",
                ["Questions in", "own language", "other languages"],
                [[language, chance.random(), None if language == "zh" else chance.random()] for language in languages],
            )
        ],
        notes=["The ranks of bm25 end at 1,000: what it did not return has none.", "Every figure is made up."],
        versions="beir-hybrid 0.1, mteb 2.26",
    )


def hostile_report(runs: int = 2) -> Report:
    """Make a report in which every text that comes from files is markup, endless, or no text at all."""
    report = small_report(runs)
    examples = [_hostile(example, number) for number, example in enumerate(report.examples)]
    markup = HOSTILE_TEXTS[0]
    return replace(
        report,
        task=markup,
        corpus=HOSTILE_TEXTS[1],
        licence=HOSTILE_TEXTS[2],
        citation="javascript:alert(1)",
        dataset_revision=HOSTILE_TEXTS[4],
        runs=[
            replace(one, label=HOSTILE_TEXTS[number], model=HOSTILE_TEXTS[5], revision=markup)
            for number, one in enumerate(report.runs)
        ],
        matter=[markup, *HOSTILE_TEXTS],
        heat_maps=[
            replace(one, rows=_hostile_languages(one.rows), columns=_hostile_languages(one.columns), title=markup)
            for one in report.heat_maps
        ],
        examples=examples,
        tables=[Table(markup, markup, [markup, markup], [[markup, 0.5], [HOSTILE_TEXTS[1], HOSTILE_TEXTS[4]]])],
        notes=list(HOSTILE_TEXTS),
        versions=markup,
    )


def _figure(setting: str, metric: str, runs: int, chance: random.Random) -> FigureRow:
    scale = 900 if metric == "rank_distance" else 1
    values = [scale * chance.uniform(0.3, 0.9) for _ in range(runs)]
    figures = [Figure(value, value - 0.03 * scale, value + 0.03 * scale) for value in values]
    if metric == "language_preference":
        figures[-1] = Figure(None)
    difference = None
    if runs == 2:
        known = [one.value for one in figures if one.value is not None]
        by = known[0] - known[1] if len(known) == 2 else None
        if by is None:
            difference = Difference(None, None, None, None, "")
        else:
            width = 0.04 * scale
            said = "better" if by > width else "worse" if by < -width else "can't be told"
            difference = Difference(by, by - width, by + width, 0.00001 if abs(by) > width else 0.31, said)
    return FigureRow(setting, metric, figures, difference)


def _heat_map(
    key: str,
    title: str,
    columns_are: str,
    languages: Sequence[str],
    runs: int,
    chance: random.Random,
    higher_is_better: bool | None = True,
) -> HeatMap:
    grids: list[Grid] = [[[chance.random() for _ in languages] for _ in languages] for _ in range(runs)]
    grids[0][0][1] = None  # type: ignore[index]
    difference = significant = None
    if runs == 2:
        pairs = [list(zip(*rows, strict=True)) for rows in zip(*grids, strict=True)]
        difference = [[None if None in pair else pair[0] - pair[1] for pair in row] for row in pairs]  # type: ignore[operator]
        significant = [[value is not None and abs(value) > 0.3 for value in row] for row in difference]
    note = "By language of the question and of the answer."
    return HeatMap(
        key, title, note, columns_are, languages, languages, grids, difference, significant, higher_is_better
    )


def _example(number: int, runs: int, languages: Sequence[str], chance: random.Random) -> Example:
    asked, answered = languages[number % len(languages)], languages[(number * 3 + 1) % len(languages)]
    kinds = KINDS if runs == 2 else KINDS[:2]
    ranks = [chance.randint(2, 200) for _ in range(runs)]
    if number % 3 == 0:
        ranks[-1] = 1
    above = [
        [_passage(asked if chance.random() < 0.8 else answered, place, 0.9 - 0.01 * place) for place in range(count)]
        for count in (min(rank - 1, 10) for rank in ranks)
    ]
    return Example(
        query_id=f"{asked}:{number}",
        question_language=asked,
        question=_QUESTIONS.get(asked, _QUESTIONS["en"]),
        answer_language=answered,
        kinds=[kinds[number % len(kinds)]],
        lost=1 - number / 100,
        answers=[_answer(answered, 500 + number, ranks, chance)],
        others=[
            _answer(language, 600 + number, [chance.randint(1, 300) for _ in ranks], chance)
            for language in languages
            if language != answered
        ],
        above=above,
        are_all=[rank - 1 == len(passages) for rank, passages in zip(ranks, above, strict=True)],
    )


def _answer(language: str, number: int, ranks: Sequence[int], chance: random.Random) -> Answer:
    own = [max(1, min(rank, chance.randint(1, 12))) for rank in ranks]
    return Answer(replace(_passage(language, number, None), is_right=True), own, list(ranks))


def _passage(language: str, number: int, score: float | None) -> Passage:
    text = f"{_TEXTS.get(language, _TEXTS['en'])} ({number})"
    return Passage(f"{language}:{number}", language, text, score, False)


def _hostile(example: Example, number: int) -> Example:
    def spoilt(passage: Passage, by: int) -> Passage:
        return replace(
            passage,
            passage_id=HOSTILE_TEXTS[by % len(HOSTILE_TEXTS)],
            text=HOSTILE_TEXTS[(number + by) % len(HOSTILE_TEXTS)],
            language=HOSTILE_LANGUAGE if by % 2 else passage.language,
            score=float("nan") if by == 2 else passage.score,
        )

    return replace(
        example,
        query_id=HOSTILE_TEXTS[number % len(HOSTILE_TEXTS)],
        question_language=HOSTILE_LANGUAGE if number % 2 else example.question_language,
        question=HOSTILE_TEXTS[number % len(HOSTILE_TEXTS)],
        answers=[replace(one, passage=spoilt(one.passage, place)) for place, one in enumerate(example.answers)],
        others=[
            replace(one, passage=spoilt(one.passage, place), ranks_in_pool=[None] * len(one.ranks_in_pool))
            for place, one in enumerate(example.others)
        ],
        above=[[spoilt(passage, place) for place, passage in enumerate(run)] for run in example.above],
    )


def _hostile_languages(languages: Sequence[str]) -> list[str]:
    return [HOSTILE_LANGUAGE, *languages[1:]]
