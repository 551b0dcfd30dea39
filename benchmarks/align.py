"""What `debias --method align` does to the offline encoder on XQuAD-R and MLQA-R: by interpolation, sentences and seed.

`python -m benchmarks.align` trains on NTREX-128, as the command does, and writes the record
leaderboard/published/measurements/align.json. The texts are embedded once, into the cache of training.
BEIR_HYBRID_DATA names the folder with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, cast

import numpy as np
from tqdm.auto import tqdm

from beir_hybrid.corpora import load
from beir_hybrid.debias.before_after import translation_figures
from beir_hybrid.debias.maps import AffineMap, Array, Projection
from beir_hybrid.debias.sentences import SENTENCES, read_sentences
from beir_hybrid.files import write_json
from beir_hybrid.finetune.align import INTERPOLATION, align, alignment_recipe
from beir_hybrid.finetune.head import fill_embeddings, head_model, stored_embeddings
from beir_hybrid.finetune.start import interpolated
from beir_hybrid.models.base import find_base, training_prompts
from beir_hybrid.quiet import silenced
from beir_hybrid.scoring.corpus_scores import Embeddings
from benchmarks.debias import CORPORA, LANGUAGES, evaluate

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "align.json"
INTERPOLATIONS = (0.25, 0.5, 0.75, 1.0)
NUMBERS = (25, SENTENCES, 999)
SEEDS = range(5)


class Bench:
    """The offline encoder's stored embeddings, and heads on them."""

    def __init__(self) -> None:
        self._base = find_base("offline")
        self._model = head_model(self._base.load(), self._base.revision)
        self._prompts = training_prompts(self._model)
        self._sentences = read_sentences(languages=LANGUAGES)
        self.held_out = self._sentences.held_out()

    def embed(self, column: str, texts: Mapping[str, Sequence[str]]) -> dict[str, Array]:
        """Return language -> embeddings of its texts, which are questions or answers."""
        fill_embeddings(self._model, self._prompts[column], chain(*texts.values()))
        return dict(stored_embeddings(self._model, self._prompts[column], texts))

    def maps(self, number: int, seed: int, interpolations: Sequence[float]) -> list[AffineMap]:
        """Return the projection from a number of sentences, and the maps that lie between it and one trained head."""
        sentences = self._sentences.fitted(number)
        projection = Projection.fit(self.embed("answer", sentences.texts))
        recipe = replace(alignment_recipe(sentences, 1.0), seed=seed)
        with silenced("transformers"):
            trained = align(self._model, self._base, sentences, projection, recipe).layer.matrix
        start = projection.matrix.astype(np.float32)
        return [projection, *(replace(projection, matrix=interpolated(start, trained, w)) for w in interpolations)]


class HeldOut:
    """What held-out sentences say of a map: the kind of text that it was trained on, and no questions."""

    def __init__(self, bench: Bench) -> None:
        texts = bench.held_out.texts
        firsts = {language: [in_halves(text)[0] for text in of_language] for language, of_language in texts.items()}
        seconds = {language: [in_halves(text)[1] for text in of_language] for language, of_language in texts.items()}
        self._sentences = bench.embed("answer", texts)
        self._firsts, self._seconds = bench.embed("question", firsts), bench.embed("answer", seconds)

    def figures(self, layer: AffineMap) -> dict[str, float]:
        """Return means over languages: three figures of the sentences behind a map.

        ``translations`` is the mAP of a sentence's translations in the pool of all languages; ``second_half`` that of
        its second half, found from its first among those of its language; ``neighbours`` the share of the ten nearest
        sentences of its language that are those of the encoder.
        """
        mapped, firsts, seconds = (
            {language: layer.transform(part) for language, part in parts.items()}
            for parts in (self._sentences, self._firsts, self._seconds)
        )
        scores = [firsts[language] @ seconds[language].T for language in mapped]
        return {
            "translations": translation_figures(mapped, lambda one, other: one @ other.T)["map_in_pool"],
            "second_half": fmean(float((1 / (of >= np.diag(of)[:, None]).sum(axis=1)).mean()) for of in scores),
            "neighbours": fmean(same_neighbours(self._sentences[language], mapped[language]) for language in mapped),
        }


def in_halves(text: str) -> tuple[str, str]:
    """Split a sentence in the middle, between words where it has four or more between spaces."""
    words = text.split()
    if len(words) < 4:
        return text[: len(text) // 2], text[len(text) // 2 :]
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


def same_neighbours(before: Array, after: Array, number: int = 10) -> float:
    """Return the share of the nearest others of each row, shape (n, d), that are the same before and after a map."""
    nearest = []
    for embeddings in (before, after):
        scores = embeddings @ embeddings.T
        np.fill_diagonal(scores, -np.inf)
        nearest.append(np.argsort(-scores, axis=1)[:, :number])
    return fmean(len({*one} & {*other}) / number for one, other in zip(*nearest, strict=True))


def mean_and_spread(runs: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return ``mean`` and ``standard deviation`` over seeds: task -> figure -> value."""
    values = {task: {key: [run[task][key] for run in runs] for key in runs[0][task]} for task in runs[0]}
    return {
        "mean": {task: {key: fmean(of) for key, of in keys.items()} for task, keys in values.items()},
        "standard deviation": {task: {key: stdev(of) for key, of in keys.items()} for task, keys in values.items()},
    }


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RECORD, help="the record to write")
    options = parser.parse_args()
    bench = Bench()
    projection, *between = bench.maps(SENTENCES, 0, INTERPOLATIONS)
    maps = {("interpolations", "0, the projection"): projection}
    maps |= {("interpolations", f"{share:g}"): m for share, m in zip(INTERPOLATIONS, between, strict=True)}
    maps |= {("sentences", str(number)): bench.maps(number, 0, [INTERPOLATION])[1] for number in NUMBERS}
    maps |= {("seeds", str(seed)): bench.maps(SENTENCES, seed, [INTERPOLATION])[1] for seed in SEEDS}
    figures: dict[str, dict[str, Any]] = {"interpolations": {}, "sentences": {}, "seeds": {}}
    held_out = HeldOut(bench)
    for (table, row), layer in maps.items():
        if table == "interpolations":
            figures[table][row] = {"held_out": held_out.figures(layer)}
    for task, name in CORPORA.items():
        corpus = load(name)
        parts = corpus.languages
        embeddings = Embeddings(
            bench.embed("question", {language: part.questions for language, part in parts.items()}),
            bench.embed("answer", {language: part.passages for language, part in parts.items()}),
        )
        for (table, row), layer in tqdm(maps.items(), desc=task, disable=None):
            figures[table].setdefault(row, {})[task] = evaluate(corpus, embeddings, cast(Any, layer.transform))
    figures["seeds"] = mean_and_spread(list(figures["seeds"].values()))
    write_json(
        options.out,
        {
            "what": "Heads trained from the projection on NTREX-128 and its translations, behind the offline encoder, "
            "on XQuAD-R and MLQA-R: mAP by setting, plain means over subsets, and rank distance, mean over question "
            f"languages. interpolations: from {SENTENCES} sentences a language, by the share of the way from the "
            "projection, with figures of held-out sentences (HeldOut in benchmarks/align.py); "
            f"sentences: {INTERPOLATION:g} of the way, by sentences a language; seeds: the same from "
            f"{SENTENCES}, over {len(SEEDS)} seeds.",
            "command": "python -m benchmarks.align",
            "figures": figures,
        },
        indent=1,
    )


if __name__ == "__main__":
    main()
