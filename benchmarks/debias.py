"""What maps do to the offline encoder on XQuAD-R and MLQA-R, by method and by the number of sentences.

`python -m benchmarks.debias` fits them on NTREX-128, as `beir-hybrid debias` does by default, and writes the record
leaderboard/published/measurements/debias.json and the plot docs/images/debias-sentences.png. The texts are embedded
once, into the cache of training: a quarter of an hour on two cores the first time. BEIR_HYBRID_DATA names the folder
with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from beir_hybrid.corpora import ParallelCorpus, load, spec_of
from beir_hybrid.debias.maps import Array, Centring, Leace, Lir, Map, Projection, nearest_language
from beir_hybrid.debias.sentences import SENTENCES, read_sentences
from beir_hybrid.files import write_json
from beir_hybrid.finetune.embedding_cache import EmbeddingCache, cache_folder
from beir_hybrid.finetune.head import encode_with
from beir_hybrid.models.base import find_base, text_limit, training_prompts
from beir_hybrid.plotting.heat_maps import plain_axis, save_figure
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, scores_by_subset
from beir_hybrid.scoring.counting import CountedRanks
from beir_hybrid.scoring.interleaving import interleaved_ranks
from beir_hybrid.scoring.retrieval_scores import NOT_RETRIEVED, query_metrics
from beir_hybrid.scoring.targets import Targets
from beir_hybrid.subsets import setting_of

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "debias.json"
PLOT = REPOSITORY / "docs" / "images" / "debias-sentences.png"
LANGUAGES = "ar de el en es hi ru th tr vi zh".split()
CORPORA = {"XQuADR": "xquad-r", "MLQAR": "mlqa-r"}
NUMBERS = (25, 50, 100, SENTENCES, 999)

Transform = Callable[[Array, str], Array]
"""Embeddings of a language, the language -> what they become."""


class Encoder:
    """The offline encoder, each text embedded once on this machine."""

    def __init__(self) -> None:
        base = find_base("offline")
        model = base.load()
        self._caches = {
            kind: EmbeddingCache(cache_folder(base.revision, prompt, text_limit(model)), encode_with(model, prompt))
            for kind, prompt in training_prompts(model).items()
        }

    def embed(self, kind: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Array]:
        """Return language -> embeddings of its texts, which are questions or answers."""
        self._caches[kind].fill(text for of_language in texts.values() for text in of_language)
        return {language: self._caches[kind].read(of_language) for language, of_language in texts.items()}


def similarity(one: Array, other: Array) -> torch.Tensor:
    """Return the scores of normalised embeddings."""
    return torch.from_numpy(one) @ torch.from_numpy(other).T


def evaluate(
    corpus: ParallelCorpus, embeddings: Embeddings, transform: Transform, interleave: bool = False
) -> dict[str, float]:
    """Return the mAP of each setting and the rank distance, plain means over subsets and question languages.

    Args:
        corpus: The questions and passages.
        embeddings: Theirs.
        transform: The map.
        interleave: Whether the pool of all languages is ranked by interleaving the rankings of each.
    """
    questions, passages = (
        {language: np.ascontiguousarray(transform(part, language), np.float32) for language, part in kind.items()}
        for kind in (embeddings.questions, embeddings.passages)
    )
    pool_sizes = {language: len(part.passages) for language, part in corpus.languages.items()}
    values: dict[str, list[float]] = {}
    for counted in count_corpus(corpus, Embeddings(questions, passages), similarity):
        for subset, scores in scores_by_subset(counted, list(corpus.languages)).items():
            values.setdefault(setting_of(subset), []).append(scores["map"])
        ranks = in_turns(counted, pool_sizes) if interleave else counted.rank_in_pool
        for name, figure in pool_figures(counted.targets, ranks).items():
            values.setdefault(name, []).append(figure)
    return {name: float(np.mean(of_subsets)) for name, of_subsets in values.items()}


def in_turns(counted: CountedRanks, pool_sizes: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the ranks of the right answers where the rankings of the single languages are interleaved, shape (P,)."""
    targets = counted.targets
    frame = pd.DataFrame({"rank_in_language": counted.rank_in_language})
    frame["query_language"] = targets.query_language
    frame["passage_language"] = np.array(targets.passage_languages)[targets.languages]
    return interleaved_ranks(frame, pool_sizes).to_numpy().astype(np.int64)


def pool_figures(targets: Targets, ranks: NDArray[np.int64]) -> dict[str, float]:
    """Return mAP and rank distance of the questions of a language, from the ranks in the pool of all, shape (P,)."""
    queries = np.unique(targets.queries)
    padded = targets.padded(ranks, NOT_RETRIEVED)[queries], targets.padded(targets.grades, 0)[queries]
    frame = pd.DataFrame({"query": targets.queries, "language": targets.languages, "rank": ranks})
    best = frame.groupby(["query", "language"])["rank"].min().groupby("query")
    distances = (best.max() - best.min())[best.size() > 1]  # of answers in two languages or more
    return {
        "multilingual": float(query_metrics(*padded, ())["map"].mean()),
        "rank_distance": float(distances.mean()),
    }


def by_language_read_off(fitted: Map, means: Mapping[str, Array]) -> Transform:
    """Return a transform that is told no language, but reads it off each embedding."""

    def transform(embeddings: Array, language: str) -> Array:
        read, result = np.array(nearest_language(embeddings, means)), np.empty_like(embeddings)
        for name in set(read):
            result[read == name] = fitted.transform(embeddings[read == name], name)
        return result

    return transform


def methods(fitted: Mapping[str, Array]) -> dict[str, Transform]:
    """Return what is compared, fitted on the same embeddings."""
    centring = Centring.fit(fitted)
    return {
        "untuned": lambda embeddings, _: embeddings,
        "projection": Projection.fit(fitted).transform,
        "LEACE": Leace.fit(fitted).transform,
        "LEACE that keeps the mean": Leace.fit(fitted, affine=True).transform,
        "centring": centring.transform,
        "centring, the language read off": by_language_read_off(centring, centring.means),
        "LIR, 1 component a language": Lir.fit(fitted).transform,
        "interleaving": lambda embeddings, _: embeddings,
    }


def draw(by_number: Mapping[str, Any], untuned: Mapping[str, Any], path: Path) -> None:
    """Draw multilingual mAP by the number of sentences, the untuned encoder at 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8), layout="constrained")
    for axis, task in zip(figure.subplots(1, len(CORPORA)), CORPORA, strict=True):
        values = [untuned[task]["multilingual"], *(record[task]["multilingual"] for record in by_number.values())]
        axis.plot(range(len(values)), values, marker="o", color="#0b5a73", clip_on=False)
        axis.set_xticks(range(len(values)), [0, *by_number])
        axis.set_ylim(0, 0.6)
        plain_axis(axis)
        axis.set_title(spec_of(CORPORA[task]).title, fontsize=9)
        axis.set_xlabel("sentences a language", fontsize=8)
        axis.set_ylabel("multilingual mAP", fontsize=8)
    save_figure(figure, path)


def main() -> None:
    """Measure, print, and write the record and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RECORD, help="the record to write")
    parser.add_argument("--plot", type=Path, default=PLOT, help="the plot to write")
    options = parser.parse_args()
    encoder, sentences = Encoder(), read_sentences(languages=LANGUAGES)
    fitted = {number: encoder.embed("answer", sentences.fitted(number).texts) for number in NUMBERS}
    compared = methods(fitted[SENTENCES])
    runs = {("methods", name): transform for name, transform in compared.items()}
    runs |= {("sentences", str(number)): Projection.fit(fitted[number]).transform for number in NUMBERS}
    figures: dict[str, dict[str, Any]] = {"methods": {}, "pool": {}, "sentences": {}}
    for task, name in CORPORA.items():
        corpus = load(name)
        parts = corpus.languages
        embeddings = Embeddings(
            encoder.embed("question", {language: part.questions for language, part in parts.items()}),
            encoder.embed("answer", {language: part.passages for language, part in parts.items()}),
        )
        pool = {
            "projection, fitted on the pool": Projection.fit(embeddings.passages).transform,
            "centring, fitted on the pool": Centring.fit(embeddings.passages).transform,
        }
        of_task = runs | {("pool", name): transform for name, transform in pool.items()}
        for (table, row), transform in tqdm(of_task.items(), desc=task, disable=None):
            interleave = row == "interleaving"
            figures[table].setdefault(row, {})[task] = evaluate(corpus, embeddings, transform, interleave)
    write_json(
        options.out,
        {
            "what": "Maps fitted on NTREX-128 behind the offline encoder, on XQuAD-R and MLQA-R: mAP by setting, plain "
            "means over subsets, and rank distance, mean over question languages. methods: fitted on "
            f"{SENTENCES} sentences a language; pool: fitted on the passages of the pool itself; sentences: the "
            "projection, by sentences a language.",
            "command": "python -m benchmarks.debias",
            "figures": figures,
        },
        indent=1,
    )
    draw(figures["sentences"], figures["methods"]["untuned"], options.plot)
    print(f"{options.out} and {options.plot}")


if __name__ == "__main__":
    main()
