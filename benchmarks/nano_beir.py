"""NanoBEIR on stand-ins at full size: what it costs beside encoding, and whether its figures are right.

`python -m benchmarks.nano_beir` writes made-up texts of the thirteen data sets in eleven languages, as many questions,
passages and judgments as MTEB's statistics say of the real ones, in the layout that MTEB's loader reads. It runs the
command `mteb run -m MODEL -b "BEIR-Hybrid(NanoBEIR)"` with a static model, MTEB's own thirteen tasks on the same files,
and plain searches of a sample, and compares them. `--small` takes a few questions and passages.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import psutil

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus, load, nano_beir
from beir_hybrid.families import WITHIN_FAMILY, groups_of
from beir_hybrid.files import write_json
from beir_hybrid.leaderboard.board.columns import Column
from beir_hybrid.leaderboard.board.family_scores import group_means
from beir_hybrid.leaderboard.board.unit_scores import column_scores
from beir_hybrid.metrics import CUT_OFFS, find_metric
from beir_hybrid.ranks import rank_tables_below, read
from beir_hybrid.subsets import SETTINGS, Subset, setting_of
from tests.support import small_nano
from tests.support.plain_scores import Embed, plain_rank_distance, plain_scores

RECORD = Path(__file__).parents[1] / "leaderboard/published/measurements/nano-beir.json"
BENCHMARK = "BEIR-Hybrid(NanoBEIR)"
SAMPLE = ("en-en", "ko-ko", "de-ja", "ar-sv", "en-multi", "ko-multi")
FAMILY_SAMPLE = ("ar", "de", "en", "sv")

Scores = Mapping[str, Mapping[str, Any]]
"""Subset -> metric -> score."""


def main() -> None:
    """Measure, compare, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="A few questions and passages; nothing is stored.")
    parser.add_argument("--record", type=Path, default=RECORD, help="Where the figures go.")
    small = parser.parse_args().small
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = nano_beir.SPECS
        small_nano.write(folder / "hub", specs, small_nano.Size() if small else None)
        model = small_nano.save_static_model(folder / "model", nano_beir.LANGUAGES)
        seconds, peak = run_command(folder, model)
        results = read_results(folder / "out")
        print(f"the command: {seconds:.0f} s, {peak:.0f} MB; {cost_of(results)}", flush=True)
        os.environ |= {"BEIR_HYBRID_HUB": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
        start = time.perf_counter()
        own = run_own_tasks(specs, model, folder / "hub")
        own_seconds = time.perf_counter() - start
        print(f"MTEB's own tasks: {own_seconds:.0f} s", flush=True)
        figures = {
            "size": size_of(specs, folder / "hub"),
            "cost": {**cost_of(results), "seconds": round(seconds), "peak_megabytes": round(peak)},
            "mtebs_own_tasks": {"seconds": round(own_seconds), "subsets": sum(map(len, own.values()))},
            "agreement": agreement(specs, results, own, folder),
            "settings": means_of(results),
        }
    content = {
        "what": "The benchmark BEIR-Hybrid(NanoBEIR) by the command mteb run, with a static model of 64 dimensions, on "
        "stand-ins of the thirteen data sets in eleven languages at the size of the real ones: made-up texts, whose "
        "figures say nothing of any model. size: of all data sets and languages; cost: seconds and memory of the whole "
        "process, and seconds of its phases; agreement: with MTEB's own tasks and with plain searches.",
        "command": "python -m benchmarks.nano_beir",
        "machine": "2 cores (2 threads of one AMD EPYC core pair), no GPU, shared with other jobs",
        "figures": figures,
    }
    print(json.dumps(figures, indent=1))
    if not small:
        write_json(parser.parse_args().record, content, indent=1, ensure_ascii=False)


def run_command(folder: Path, model: Path) -> tuple[float, float]:
    """Run the benchmark as users do; return its seconds and the peak of its memory in MB."""
    places = {"BEIR_HYBRID_HUB": "hub", "BEIR_HYBRID_HOME": "home", "MTEB_CACHE": "cache", "HF_DATASETS_CACHE": "hf"}
    environment = os.environ | {name: str(folder / place) for name, place in places.items()} | {"HF_HUB_OFFLINE": "1"}
    command = [str(Path(sys.executable).with_name("mteb")), "run", "-m", str(model), "-b", BENCHMARK]
    command += ["--output-folder", str(folder / "out"), "--no-co2-tracker", "--batch-size", "512"]
    start = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.02)
    if process.wait():
        raise SystemExit((folder / "log").read_text(encoding="utf-8")[-3000:])
    return time.perf_counter() - start, peak / 2**20


def read_results(folder: Path) -> dict[str, Any]:
    """Read MTEB's result files: task -> content."""
    paths = [path for path in folder.rglob("Nano*.json")]
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    expected = {name for spec in nano_beir.SPECS if spec.task for name in (spec.task.name, spec.task.bias_name)}
    assert set(results) == expected, f"{len(results)} results"
    return results


def by_subset(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of a result by subset."""
    [scores] = result["scores"].values()
    return {entry["hf_subset"]: entry for entry in scores}


def size_of(specs: Sequence[CorpusSpec], hub: Path) -> dict[str, int]:
    """Count the rows of the files in all languages."""
    import pyarrow.parquet as pq

    rows: dict[str, int] = defaultdict(int)
    for path in hub.rglob("*.parquet"):
        rows[path.parent.name.rpartition("-")[2]] += pq.read_metadata(path).num_rows
    return {
        "data_sets": len(specs),
        "languages": len(nano_beir.LANGUAGES),
        "questions": rows["queries"],
        "passages": rows["corpus"],
        "judgments": rows["qrels"],
    }


def cost_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """Add up the phases of all tasks, and count the subsets."""
    phases: dict[str, float] = defaultdict(float)
    for result in results.values():
        for phase in result["evaluation_phases"] or ():
            phases[phase["name"]] += phase["end"] - phase["start"]
    return {
        "subsets": sum(len(by_subset(result)) for result in results.values()),
        "evaluation_seconds": round(sum(result["evaluation_time"] for result in results.values())),
        "encoding_seconds": round(sum(seconds for name, seconds in phases.items() if name.startswith("Encoding"))),
        "counting_seconds": round(phases["Counting ranks"]),
        "scoring_seconds": round(phases["Scoring"]),
        "loading_seconds": round(phases["Data loading"]),
    }


def run_own_tasks(specs: Sequence[CorpusSpec], model: Path, hub: Path) -> dict[str, Scores]:
    """Run MTEB's own tasks on the same files: task of ours -> language -> scores."""
    import mteb
    from mteb.cache import ResultCache

    encoder = mteb.get_model(str(model))
    found: dict[str, Scores] = {}
    for spec in specs:
        assert spec.origin is not None and spec.task is not None
        task = mteb.get_task(spec.origin.task)
        dataset = {**task.metadata.dataset, "path": str(hub / spec.task.path)}
        task.metadata = task.metadata.model_copy(update={"dataset": dataset})
        with tempfile.TemporaryDirectory() as folder:
            results = mteb.evaluate(
                encoder,
                task,
                cache=ResultCache(folder),
                co2_tracker=False,
                show_progress_bar=False,
                encode_kwargs={"batch_size": 512},
            )
        found[spec.task.name] = {entry["hf_subset"]: entry for entry in results.task_results[0].scores["test"]}
    return found


def agreement(
    specs: Sequence[CorpusSpec], results: Mapping[str, Any], own: Mapping[str, Scores], folder: Path
) -> dict[str, Any]:
    """Compare with MTEB's own tasks, score by score, and with plain searches of a sample."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(folder / "model"), device="cpu")

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.asarray(encoder.encode(list(texts), batch_size=512, show_progress_bar=False))

    equal = different = 0
    exact = exact_scores(folder / "home")
    for task, languages in own.items():
        ours = by_subset(results[task])
        for language, expected in languages.items():
            subset = f"{language}-{language}"
            for name, value in expected.items():
                if isinstance(value, float):
                    same = is_same(exact.get((task, subset, name)), ours[subset][name], value)
                    equal, different = equal + same, different + (not same)
    gaps: dict[str, list[float]] = {"settings": [], "families": [], "rank_distance": []}
    for spec in specs:
        if spec.name in ("nano-nq", small_nano.DEVIATING):
            assert spec.task is not None
            of_task, bias = by_subset(results[spec.task.name]), by_subset(results[spec.task.bias_name])
            for kind, values in gaps_of(load(spec.name, progress=False), of_task, bias, embed).items():
                gaps[kind] += values
    return {
        "scores_compared": equal + different,
        "scores_that_differ": different,
        "plain_searches": sum(map(len, gaps.values())),
        "largest_gap": max(value for kind in ("settings", "families") for value in gaps[kind]),
        "largest_gap_of_rank_distances": max(gaps["rank_distance"]),
    }


def is_same(exact: float | None, stored: float, of_mteb: float) -> bool:
    """Whether two scores are the same: MTEB rounds most of them to five decimals, and result files hold six."""
    if exact is not None:
        return round(exact, 5) == round(of_mteb, 5)
    if np.array_equal(stored, round(of_mteb, 6), equal_nan=True):
        return True
    return any(round(stored + cut, 5) == of_mteb for cut in (-5e-7, 0.0, 5e-7))  # what the sixth decimal may hide


def exact_scores(home: Path) -> dict[tuple[str, str, str], float]:
    """Compute retrieval scores from the rank tables: (task, monolingual subset, metric) -> all digits."""
    names = [f"{name}_at_{k}" for name in ("ndcg", "map", "recall", "precision", "mrr", "hit_rate") for k in CUT_OFFS]
    found: dict[tuple[str, str, str], float] = {}
    for path in rank_tables_below(home):
        table, info = read(path)
        columns = [Column.of(info.task, "monolingual", name, name, info.task) for name in names if find_metric(name)]
        columns += [Column.of(info.task, "monolingual", "ndcg_at_10", "main_score", info.task)]
        scores = column_scores(table, info, columns)
        for column in columns:
            by_language = scores[column.key].by_subset
            found |= {(info.task, subset, column.label): mean for subset, mean in by_language.items()}
    return found


def gaps_of(corpus: ParallelCorpus, scores: Scores, bias: Scores, embed: Embed) -> dict[str, list[float]]:
    """Return by how much figures of a data set differ from those of plain searches."""
    languages = list(corpus.languages)
    settings = []
    for name in SAMPLE:
        if name in scores:
            asked, pool = Subset.parse(name)
            plain = plain_scores(corpus, asked, languages if pool == "multi" else [pool], embed)
            settings += [abs(scores[name][metric] - value) for metric, value in plain.items()]
    pairs = [(x, y) for x in FAMILY_SAMPLE for y in FAMILY_SAMPLE]
    means = group_means({f"{x}-{y}": scores[f"{x}-{y}"]["map"] for x, y in pairs})
    within = groups_of(pairs)[WITHIN_FAMILY]
    family = fmean(plain_scores(corpus, x, [y], embed)["map"] for x, y in within)
    found = means[WITHIN_FAMILY].mean
    assert found is not None
    distances = [abs(bias[x]["rank_distance"] - plain_rank_distance(corpus, x, embed)) for x in ("en", "ar")]
    return {"settings": settings, "families": [abs(found - family)], "rank_distance": distances}


def means_of(results: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean over the data sets of nDCG@10 in each setting."""
    means: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    for name, result in results.items():
        if not name.endswith("LanguageBias"):
            scores = by_subset(result)
            for setting, of_sets in means.items():
                of_sets.append(fmean(one["ndcg_at_10"] for x, one in scores.items() if setting_of(x) == setting))
    return {setting: round(fmean(of_sets), 4) for setting, of_sets in means.items()}


if __name__ == "__main__":
    main()
