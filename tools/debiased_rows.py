"""Make the rank tables of rows that nobody trained: ``python -m tools.debiased_rows DIR``.

The rows are the offline encoder as it is, with each of the maps of `beir_hybrid.debias` behind it, its single-language
rankings interleaved, and BM25; and, for tasks on which they have none, the heads of the package. Rank tables go to
DIR/ranks, from where `tools.store_ranks` takes them. Embeddings are kept as those of training texts are, and no text is
embedded twice.

docs/debias-rows.md says what was fixed before any test figure was looked at: the sentences that maps are fitted on, and
the rule by which held-out sentences choose the number of components of LIR.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from beir_hybrid.corpora import load, ntrex, spec_of
from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.debias.before_after import translation_figures
from beir_hybrid.debias.maps import METHODS, DebiasError, Embeddings, Lir, Map
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.metrics import MAP, RANK_DISTANCE
from beir_hybrid.models import heads
from beir_hybrid.models.base import Base, find_base, training_prompts
from beir_hybrid.mteb.aware_encoder import AwareEncoder
from beir_hybrid.mteb.encode import Call
from beir_hybrid.mteb.evaluation import Evaluation
from beir_hybrid.quiet import silenced
from beir_hybrid.ranks import rank_table
from beir_hybrid.scoring.interleaving import interleaved
from beir_hybrid.study import trials
from beir_hybrid.study.head_bench import HeadBench
from beir_hybrid.study.lab import texts_of_corpus
from beir_hybrid.study.trials import ModelName
from beir_hybrid.subsets import SETTINGS
from beir_hybrid.tasks import tasks_of
from beir_hybrid.text_tables import text_table
from tools import one_line_errors

if TYPE_CHECKING:
    from mteb.models import EncoderProtocol

NAMESPACE = "beir-hybrid-debias"
LANGUAGES = spec_of("xquad-r").languages
TASKS = ("XQuADR", "MLQAR", "AtlasR")

FIT = slice(0, None, 10)
"""Lines of NTREX-128 that the maps are fitted on."""

HELD_OUT = slice(5, None, 10)
"""Lines that choose a number of components."""

COMPONENTS = (1, 2, 4, 8, 16)
"""Numbers that they choose from."""

UNTUNED, INTERLEAVED, BM25 = "untuned", "interleaved", "bm25"
ROWS = (UNTUNED, *METHODS, INTERLEAVED, BM25, *heads.NAMES)

_BATCH_SIZE = 1024


class Encoder:
    """The offline encoder on stored embeddings, with the identity or a head of the package behind it.

    Args:
        base: The encoder.
        progress: Whether to show a bar where texts are embedded that never were.
    """

    def __init__(self, base: Base, progress: bool) -> None:
        self.base = base
        self._progress = progress
        self._bench = HeadBench(base, None)

    @property
    def name(self) -> ModelName:
        """What it is filed under."""
        return ModelName(trials.untuned_name(self.base.name), self.base.revision)

    def remember(self, task: str) -> None:
        """Embed the texts of a task that never were, and keep the embeddings in memory."""
        self._bench.embed(texts_of_corpus(load(spec_of_task(task).name, progress=False)), self._progress)

    def model(self, name: ModelName, head: heads.Head | None = None, seen: set[str] | None = None) -> EncoderProtocol:
        """Return it as MTEB evaluates it; ``seen`` are the MTEB tasks that it was trained on."""
        self._bench.reset() if head is None else self._bench.set_matrix(head.matrix())
        return cast("EncoderProtocol", trials.wrapped(self._bench.model, name, seen))

    def sentences(self, lines: slice) -> Embeddings:
        """Embed lines of NTREX-128 as passages: language -> shape (lines, dimensions)."""
        texts = {
            language: list(of_language[lines])
            for language, of_language in ntrex.read(ntrex.SPEC, LANGUAGES, progress=False).languages.items()
        }
        self._bench.reset()
        self._bench.embed({"question": [], "answer": [t for some in texts.values() for t in some]}, self._progress)
        prompt = training_prompts(self._bench.model)["answer"]
        return {
            language: np.asarray(
                self._bench.model.encode(some, prompt=prompt, batch_size=_BATCH_SIZE, show_progress_bar=False)
            )
            for language, some in texts.items()
        }


class Rows:
    """Makes the rank tables of rows, in the folder ``out``.

    Args:
        encoder: The encoder.
        out: The folder above ``ranks``.
    """

    def __init__(self, encoder: Encoder, out: Path) -> None:
        self.encoder = encoder
        self.out = out
        self._maps: dict[str, Map] = {}

    def fitted(self, method: str) -> Map:
        """Return the map of a method, fitted on NTREX-128."""
        if method not in self._maps:
            components = choose(self._translation_map()) if method == Lir.method else None
            self._maps[method] = METHODS[method].fit(self._sentences, components)
        return self._maps[method]

    @cached_property
    def _sentences(self) -> Embeddings:
        return self.encoder.sentences(FIT)

    def _translation_map(self) -> dict[int, float]:
        figures = translation_map(self._sentences, self.encoder.sentences(HELD_OUT))
        rows = [(str(components), f"{figure:.4f}") for components, figure in figures.items()]
        print(text_table(rows, ("components of LIR", "mAP of translations"), left=0))
        return figures

    def make(self, row: str, task: str) -> Path:
        """Make the rank table of a row and return its file."""
        if row == BM25:
            model, name = trials.bm25()
            trials.evaluate(model, name, task, self.out, _BATCH_SIZE)
            return name.rank_table(task, self.out)
        self.encoder.remember(task)
        if row == INTERLEAVED:
            return self._interleave(task)
        model, name = self._model(row)
        rank(model, task, self.out)
        return name.rank_table(task, self.out)

    def _model(self, row: str) -> tuple[Any, ModelName]:
        if row in heads.NAMES:
            head = heads.find_head(row)
            if head is None:
                raise BeirHybridError(f"the head {row} does not come with this version of the package")
            name = ModelName(head.model_name, head.revision())
            return self.encoder.model(name, head, set(head.manifest().known_training_datasets)), name
        base = self.encoder.model(self.encoder.name)
        if row == UNTUNED:
            return base, self.encoder.name
        model = AwareEncoder(base, self.fitted(row))
        name = ModelName(f"{NAMESPACE}/{row}", str(model.mteb_model_meta.revision))
        model.mteb_model_meta = model.mteb_model_meta.model_copy(update={"name": name.name})
        return model, name

    def _interleave(self, task: str) -> Path:
        file = self.encoder.name.rank_table(task, self.out)
        if not file.exists():
            self.make(UNTUNED, task)
        table, info = interleaved(*rank_table.read(file))
        # The name of a row; a revision that says what it was made of, as those of the maps do.
        revision = hashlib.sha256(f"{info.model_revision} {INTERLEAVED}".encode()).hexdigest()[:40]
        name = ModelName(f"{NAMESPACE}/{INTERLEAVED}", revision)
        path = name.rank_table(task, self.out)
        rank_table.write(path, table, replace(info, model=name.name, model_revision=name.revision, state=None))
        return path


def rank(model: EncoderProtocol, task: str, out: Path) -> None:
    """Rank the passages of a task by an encoder, all subsets, and store the rank table below ``out``."""
    (evaluated, *_) = tasks_of(spec_of_task(task))
    metadata = evaluated().metadata
    corpus = load(spec_of_task(task).name, progress=False)
    call = Call(model, metadata, "test", {"batch_size": _BATCH_SIZE, "show_progress_bar": False})
    evaluation = Evaluation(call, corpus, metadata.hf_subsets, list(corpus.languages), out)
    with silenced("datasets", notes=True), evaluation.counted(task, alone=True) as run:
        evaluation.store_counted(run)


def translation_map(fit: Embeddings, held_out: Embeddings) -> dict[int, float]:
    """Compute how well translations are retrieved after LIR with each number of components.

    Args:
        fit: Language -> embeddings of the sentences that it is fitted on, shape (n, dimensions).
        held_out: Language -> embeddings of other sentences, shape (m, dimensions); row i is the same everywhere.

    Returns:
        Components -> multilingual mAP: each sentence asks for its translations in the pool of all languages, from which
        itself is left out.
    """
    figures = {}
    for components in COMPONENTS:
        fitted = Lir.fit(fit, components)
        mapped = {language: fitted.transform(rows, language) for language, rows in held_out.items()}
        figures[components] = translation_figures(mapped, lambda a, b: a @ b.T)["map_in_pool"]
    return figures


def choose(figures: Mapping[int, float]) -> int:
    """Return the number of components with the highest figure; of those equal to four decimals the smallest."""
    return max(sorted(figures), key=lambda components: round(figures[components], 4))


def _figures(file: Path) -> tuple[str, ...]:
    figures = {tuple(key.split("/")[1:]): figure for key, figure in trials.figures(file).items()}
    columns = [(setting, MAP.name) for setting in SETTINGS]
    maps = [f"{figures[column]:.4f}" if column in figures else "-" for column in columns]
    distance = figures.get(("multilingual", RANK_DISTANCE.name))
    return *maps, "-" if distance is None else f"{distance:.1f}"


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description="Make the rank tables of rows that nobody trained.")
    parser.add_argument("out", type=Path, help="folder that gets ranks/")
    parser.add_argument("--tasks", default=",".join(TASKS), help="default: %(default)s")
    parser.add_argument("--rows", default=",".join(ROWS), help="default: %(default)s")
    parser.add_argument("--quiet", "-q", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    rows, tasks = options.rows.split(","), options.tasks.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        raise DebiasError(f"--rows: there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    made = Rows(Encoder(find_base("offline"), not options.quiet), options.out)
    shown = []
    for task in tasks:
        for row in rows:
            shown.append((task, row, *_figures(made.make(row, task))))
            print(*shown[-1], file=sys.stderr, flush=True)
    print(text_table(shown, ("task", "row", "monolingual", "cross-lingual", "multilingual", "rank distance"), left=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
