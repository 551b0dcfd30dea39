"""What the pool of all 122 languages of Belebele costs beside encoding: seconds and peak memory.

`python -m benchmarks.mteb_pools` makes up a copy of Belebele's repository at its full size, 122 languages with 900
questions on 488 passages each, in orders of their own and with questions that stand twice, and evaluates a static model
on ``mteb:BelebeleRetrieval``: 122 + 122 + 122 subsets, and all 14,884 pairs of languages in the rank table. The ranks
of some pairs are compared with a plain sort, and the scores of some languages with those of MTEB's own task.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pandas as pd
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.timing import TimingStack
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from beir_hybrid.corpora import CorpusSpec, ParallelCorpus, spec_of_source
from beir_hybrid.corpora.mteb_pools.origin_tasks import ready_to_read, repository_of
from beir_hybrid.subsets import Subset
from beir_hybrid.tasks import tasks_of
from benchmarks.measure import measured
from tests.support.helpers import ranking
from tests.support.small_origins import write_belebele

TASK = "BelebeleRetrieval"
DIMENSIONS = 64


def static_model(subsets: Sequence[str], n_passages: int) -> SentenceTransformerEncoderWrapper:
    """Make a model that averages a vector for each word, some of which say in which language a text is."""
    words = ["?", ".", *subsets, *map(str, range(n_passages))]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    weights = np.random.default_rng(0).normal(size=(len(words), DIMENSIONS)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    model = SentenceTransformer(modules=[module], device="cpu")
    return SentenceTransformerEncoderWrapper(model)


def check_ranks(table: pd.DataFrame, corpus: ParallelCorpus, model: Any, pairs: Sequence[tuple[str, str]]) -> int:
    """Compare the ranks of some pairs of languages with a plain sort; returns how many."""
    compared = 0
    for asked, pool in pairs:
        part, passages = corpus.languages[asked], corpus.languages[pool]
        vectors = [model.model.encode(list(texts)) for texts in (part.questions, passages.passages)]
        scores = np.asarray(model.similarity(*vectors))
        ranks = table[(table["query_language"] == asked) & (table["passage_language"] == pool)]
        ranks = ranks.set_index(["query_id", "passage_id"])["rank_in_language"]
        for row, (query_id, question_id) in enumerate(zip(part.query_ids, part.question_ids, strict=True)):
            places = ranking(dict(zip(passages.passage_ids, scores[row].tolist(), strict=True)))
            for answer in corpus.relevant(question_id, pool):
                name = passages.passage_ids[answer]
                found, sorted_place = int(ranks[query_id, name]), places[name]
                if found != sorted_place:
                    raise SystemExit(f"{query_id} {name}: rank {found}, and {sorted_place} by sorting")
                compared += 1
    return compared


def check_scores(spec: CorpusSpec, found: Any, model: Any, languages: Sequence[str]) -> int:
    """Compare all scores of some languages with those of MTEB's own task; returns how many."""
    origin = spec.origin
    assert origin is not None
    task = ready_to_read(origin.task, [origin.subsets[language] for language in languages], origin.split)
    with repository_of(task).reading():
        task.load_data()
    scores = task.evaluate(model, origin.split, encode_kwargs={"show_progress_bar": False})
    compared = 0
    for language in languages:
        for key, value in scores[origin.subsets[language]].items():
            if isinstance(value, float):
                ours = found[str(Subset(language, language))][key]
                if round(ours, 5) != round(value, 5) and not (np.isnan(ours) and np.isnan(value)):
                    raise SystemExit(f"{language} {key}: {ours}, and {value} by MTEB's own task")
                compared += 1
    return compared


def main() -> None:
    """Measure, compare, and print a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", type=int, default=122, help="languages, by default all")
    parser.add_argument("--passages", type=int, default=488, help="passages a language")
    parser.add_argument("--questions", type=int, default=900, help="questions a language")
    options = parser.parse_args()
    whole = spec_of_source(f"mteb:{TASK}")
    languages = whole.languages[: options.languages]
    assert whole.origin is not None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ.update(BEIR_HYBRID_HUB=str(folder), BEIR_HYBRID_HOME=str(folder / "home"))
        os.environ.update(HF_DATASETS_CACHE=str(folder / "cache"))
        # As MTEB's class has it, a configuration is named like one half of its subset.
        metadata = mteb.get_task(TASK).metadata.hf_subsets_to_langscripts
        configs = [metadata[whole.origin.subsets[language]][0].replace("-", "_") for language in languages]
        write_belebele(folder, configs, options.passages, options.questions, doubled=9)
        spec = spec_of_source(f"mteb:{TASK}").restricted(languages)
        model = static_model(configs, options.passages)
        task = tasks_of(spec)[0]()
        timer = TimingStack()
        with measured() as reading:
            task.load_data()
        with measured() as evaluating:
            kwargs: Any = {"show_progress_bar": False}
            scores = task.evaluate(model, "test", encode_kwargs=kwargs, timer=timer)
            found = {subset: scores[subset] for subset in task.hf_subsets}
        seconds: dict[str, float] = {}
        for phase in timer.phases:
            seconds[phase["name"]] = round(seconds.get(phase["name"], 0.0) + phase["end"] - phase["start"], 1)
        (path,) = (folder / "home").rglob("*.parquet")
        table = pd.read_parquet(path)
        n_pairs = len(table[["query_language", "passage_language"]].drop_duplicates())
        corpus = task.parallel_corpus
        assert corpus is not None
        rng = np.random.default_rng(1)
        sample = [(str(x), str(y)) for x, y in rng.choice(languages, (20, 2))]
        record = {
            "languages": len(languages),
            "passages": options.passages,
            "questions": options.questions,
            "subsets": len(found),
            "pairs": n_pairs,
            "rows": len(table),
            "table_megabytes": round(path.stat().st_size / 2**20, 1),
            "reading_seconds": round(reading.seconds, 1),
            "reading_megabytes": round(reading.megabytes),
            "seconds": round(evaluating.seconds, 1),
            "phases": seconds,
            "megabytes": round(evaluating.megabytes),
            "ranks_compared": check_ranks(table, corpus, model, sample),
            "scores_compared": check_scores(spec, found, model, [str(x) for x in rng.choice(languages, 3, False)]),
        }
        print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
