"""All figures of a study as one JSON-able dict, study.json, from which the page and the plot are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from beir_hybrid.leaderboard.stats.significance import CONFIDENCE, FLIPS, RESAMPLES
from beir_hybrid.study.definition import Experiment, Study, StudyBase, System
from beir_hybrid.study.ledger import Entry
from beir_hybrid.study.paper.claims import CLAIMS, LEVEL, MARGINS, UNTUNED, Part, compare_all, verdict
from beir_hybrid.study.plan import Plan, selecting, untuned

if TYPE_CHECKING:
    from beir_hybrid.study.paper.scores import StudyScores

SCHEMA_VERSION = 3

Summary = dict[str, Any]


def summarise(study: Study, plan: Plan) -> Summary:
    """Collect what was done in a study, as far as it is done.

    Returns:
        ``study`` (settings), ``items`` (done, of all), ``missing`` (systems that are not done), ``languages`` (trained
        on, by experiment), ``systems`` and ``anchors`` (figures by column: mean and standard deviation over seeds),
        ``selection`` (what was tried on held-out data) and ``times`` (seconds by kind of item). ``judge`` adds the
        rest.
    """
    pairings = list(study.pairings())
    return {
        "schema_version": SCHEMA_VERSION,
        "study": asdict(study),
        "items": {"done": plan.done(), "all": plan.size()},
        "missing": list(_missing(study, plan)),
        "languages": trained_languages(study, plan),
        "systems": [row for pairing in pairings for row in _systems(study, plan, *pairing)],
        "anchors": _anchors(study, plan),
        "selection": [row for pairing in pairings for row in _selection(study, plan, *pairing)],
        "times": _times(plan),
    }


def trained_languages(study: Study, plan: Plan) -> dict[str, list[str]]:
    """Return the languages that each experiment trains on; nothing of one of which no model was trained."""
    languages = {}
    for experiment, base in study.pairings():
        trained = (plan.trained(system, seed) for system in study.systems(experiment, base) for seed in base.seeds)
        first = next((entry for entry in trained if entry is not None), None)
        if first is not None:
            languages[experiment.name] = list(first.facts["languages"])
    return languages


def judge(study: Study, summary: Summary, scores: StudyScores) -> Summary:
    """Judge the claims by the scores of a study's models.

    Args:
        study: The study.
        summary: What ``summarise`` returned.
        scores: Of its models.

    Returns:
        The summary with ``claims`` (verdicts, each with its comparisons) and ``tests`` (how they were made).
    """
    parts = compare_all(study, scores, summary["languages"])
    tests = {
        "level": LEVEL,
        "comparisons": len({replace(part.contrast, claim="") for part in parts}),
        "correction": "holm",
        "flips": FLIPS,
        "resamples": RESAMPLES,
        "confidence": CONFIDENCE,
        "margins": MARGINS,
        "units": _units(parts),
    }
    return {**summary, "claims": _claims(study, parts), "tests": tests}


def _units(parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
    """Return what was flipped and drawn: task -> unit, number of units and of questions, at most."""
    units: dict[str, dict[str, Any]] = {}
    for part in parts:
        known, compared = units.get(part.contrast.column.task, {"units": 0}), part.comparison
        if compared.units > known["units"]:
            units[part.contrast.column.task] = {
                "unit": compared.unit,
                "units": compared.units,
                "questions": compared.questions,
            }
    return units


def _systems(study: Study, plan: Plan, experiment: Experiment, base: StudyBase) -> Iterable[dict[str, Any]]:
    for system in study.systems(experiment, base):
        settings = plan.settings(system)
        done = _done(plan.evaluated(system, seed, task) for seed in base.seeds for task in experiment.tasks)
        if settings is not None and done:
            yield {
                **_where(system),
                "alpha": system.batches.alpha,
                "seeds": len(done) // len(experiment.tasks),
                **asdict(settings),
                "figures": _figures(done),
            }


def _missing(study: Study, plan: Plan) -> Iterable[str]:
    """Yield the systems of which a seed was not evaluated, as a page calls them."""
    for experiment, base in study.pairings():
        for system in study.systems(experiment, base):
            wanted = [plan.evaluated(system, seed, task) for seed in base.seeds for task in experiment.tasks]
            if not all(wanted):
                yield f"{experiment.name} {system.label} from {system.start} ({base.name})"


def _anchors(study: Study, plan: Plan) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if UNTUNED in study.anchors:
        done: dict[tuple[str, str], list[Entry | None]] = {}
        for base, start, task in untuned(study):
            done.setdefault((base.model, start), []).append(plan.evaluated_untuned(base, start, task))
        for (model, start), entries in done.items():
            rows.append({"anchor": UNTUNED, "model": model, "start": start, "figures": _figures(_done(entries))})
    if "bm25" in study.anchors:
        found = _done(plan.evaluated_bm25(task) for task in study.tasks)
        rows.append({"anchor": "bm25", "model": "", "start": "", "figures": _figures(found)})
    return rows


def _done(entries: Iterable[Entry | None]) -> list[Entry]:
    return [entry for entry in entries if entry is not None]


def _figures(evaluations: Sequence[Entry]) -> dict[str, dict[str, float | None]]:
    """Average each figure over the seeds."""
    values: dict[str, list[float]] = {}
    for evaluated in evaluations:
        for column, value in evaluated.result["figures"].items():
            values.setdefault(column, []).append(value)
    return {
        column: {"mean": fmean(of_seeds), "deviation": stdev(of_seeds) if len(of_seeds) > 1 else None}
        for column, of_seeds in values.items()
    }


def _selection(study: Study, plan: Plan, experiment: Experiment, base: StudyBase) -> Iterable[dict[str, Any]]:
    for system in selecting(study, experiment, base):
        chosen = plan.settings(system)
        for settings, score in plan.selection(system):
            result = {"map": score, "chosen": settings == chosen}
            yield {**_where(system), **asdict(settings), **result}


def _where(system: System) -> dict[str, Any]:
    return {
        "experiment": system.experiment.name,
        "base": system.base.name,
        "start": system.start,
        "system": system.label,
    }


def _claims(study: Study, parts: Sequence[Part]) -> list[dict[str, Any]]:
    """Judge every claim with every base and start."""
    claims = []
    for name, claim in CLAIMS.items():
        for base in study.bases:
            for start in base.starts:
                of_claim = [
                    part
                    for part in parts
                    if (part.contrast.claim, part.contrast.base, part.contrast.model.start) == (name, base, start)
                ]
                if of_claim:
                    claims.append(
                        {
                            "claim": name,
                            "text": claim.text,
                            "of_equivalence": claim.equivalent,
                            "base": base.name,
                            "start": start,
                            "seeds": len(base.seeds),
                            "verdict": verdict(of_claim, claim.equivalent),
                            "cases": _cases(of_claim, claim.equivalent),
                            "parts": [_part(part) for part in of_claim],
                        }
                    )
    return claims


def _cases(parts: Sequence[Part], equivalent: bool) -> list[dict[str, str]]:
    """Judge a claim for each training and test set alone."""
    cases: dict[tuple[str, str], list[Part]] = {}
    for part in parts:
        cases.setdefault((part.contrast.experiment.name, part.contrast.column.task), []).append(part)
    return [
        {"experiment": experiment, "task": task, "verdict": verdict(of_case, equivalent)}
        for (experiment, task), of_case in cases.items()
    ]


def _part(part: Part) -> dict[str, Any]:
    contrast = part.contrast
    return {
        "experiment": contrast.experiment.name,
        "task": contrast.column.task,
        "column": contrast.column.key,
        "setting": contrast.column.setting,
        "metric": contrast.column.metric,
        "language": contrast.language,
        "model": contrast.model._asdict(),
        "baseline": contrast.baseline._asdict(),
        "model_value": part.model,
        "baseline_value": part.baseline,
        "favourable": part.favourable,
        "significant": part.significant,
        "equivalent": part.equivalent,
        "verdict": part.verdict,
        **asdict(part.comparison),
    }


def _times(plan: Plan) -> dict[str, dict[str, float]]:
    """Add up the times of the items of each kind."""
    times: dict[str, dict[str, float]] = {}
    for entry in plan.entries():
        of_kind = times.setdefault(entry.id.split("/")[0], {"items": 0, "seconds": 0.0, "cpu_seconds": 0.0})
        of_kind["items"] += 1
        of_kind["seconds"] += entry.seconds
        of_kind["cpu_seconds"] += entry.cpu_seconds
    return times
