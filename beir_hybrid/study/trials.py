"""Evaluation through MTEB, with results and rank tables in the study's own folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from beir_hybrid.corpora.registry import spec_of_task
from beir_hybrid.errors import ModelError
from beir_hybrid.finetune.recipe import IDENTITY
from beir_hybrid.folders import locked
from beir_hybrid.leaderboard.board.columns import board_columns
from beir_hybrid.leaderboard.board.unit_scores import column_scores
from beir_hybrid.metrics import MAP, RANK_DISTANCE
from beir_hybrid.models.manifest import package_versions
from beir_hybrid.quiet import silenced
from beir_hybrid.ranks import rank_table
from beir_hybrid.ranks.schema import TableInfo
from beir_hybrid.scoring.bias import is_covered
from beir_hybrid.scoring.shards import check_whole
from beir_hybrid.subsets import MULTI

if TYPE_CHECKING:
    from mteb.models import MTEBModels
    from sentence_transformers import SentenceTransformer

    from beir_hybrid.corpora import ParallelCorpus
    from beir_hybrid.study.definition import System
    from beir_hybrid.tasks.parallel_retrieval import AbsTaskParallelRetrieval

BM25 = "mteb/baseline-bm25s"
NAMESPACE = "beir-hybrid-study"
METRICS = (MAP.name, RANK_DISTANCE.name)

_LOOKED_UP = 1024
"""Texts looked up at once, which needs no memory for activations."""


@dataclass(frozen=True)
class ModelName:
    """What results and rank tables of a model are filed under: its name, and what names its weights and no others."""

    name: str
    revision: str

    @property
    def last(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition("/")[2]

    def rank_table(self, task: str, out: Path) -> Path:
        """Return where the study keeps the rank table of a task."""
        return rank_table.default_path(task, self.name, self.revision, out)


def trained_name(system: System, seed: int) -> str:
    """Return the name that a trained model is filed under."""
    return f"{NAMESPACE}/{system.key}_seed-{seed}"


def untuned_name(base: str, start: str = IDENTITY) -> str:
    """Return the name that a base, by the name that manifests call it, is filed under as it is or with a start."""
    return f"{NAMESPACE}/{base.rpartition('/')[2]}_{'untuned' if start == IDENTITY else start}"


def wrapped(model: SentenceTransformer, name: ModelName, training_datasets: set[str] | None = None) -> MTEBModels:
    """Return a Sentence Transformers model as MTEB evaluates it, with its own prompts.

    ``training_datasets`` are the MTEB tasks that it has seen; None if that is not known.
    """
    from mteb.models import ModelMeta
    from mteb.models.model_meta import ScoringFunction
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    with silenced("datasets", notes=True):  # MTEB looks for a tokenizer, which stored embeddings have none of
        encoder = SentenceTransformerEncoderWrapper(model)
    encoder.mteb_model_meta = ModelMeta.create_empty(
        overwrites={
            "name": name.name,
            "revision": name.revision,
            "framework": ["Sentence Transformers", "PyTorch"],
            "training_datasets": training_datasets,
            "similarity_fn_name": ScoringFunction.from_str(model.similarity_fn_name),
            "embed_dim": model.get_embedding_dimension(),
        }
    )
    return encoder


def bm25() -> tuple[MTEBModels, ModelName]:
    """Return MTEB's lexical baseline; an error where its packages are not installed."""
    import mteb

    try:
        model = mteb.get_model(BM25)
    except ImportError as error:
        raise ModelError(f"the anchor bm25 needs more packages: pip install bm25s PyStemmer ({error})") from error
    return model, bm25_name()


def bm25_name() -> ModelName:
    """Return what MTEB's lexical baseline is filed under."""
    import mteb

    meta = mteb.get_model_meta(BM25)
    return ModelName(meta.name or BM25, meta.revision or "no_revision_available")


def evaluate(model: MTEBModels, name: ModelName, task: str, out: Path, batch_size: int) -> dict[str, float]:
    """Evaluate a model on a task, all subsets, as `mteb run` does.

    Args:
        model: The model.
        name: What it is filed under.
        task: Name of the task.
        out: The folder of the study, which gets ``results/`` and ``ranks/``.
        batch_size: Texts that are encoded at once.

    Returns:
        Key of a column of the leaderboard -> figure.
    """
    import mteb
    from mteb.cache import ResultCache

    check_whole("a study")
    evaluated = _task(task)
    evaluated.ranks_folder = out
    kept = name.rank_table(task, out)
    kept.unlink(missing_ok=True)  # of an evaluation that was not finished
    with silenced("datasets", notes=True):
        result = mteb.evaluate(
            model,
            evaluated,
            cache=None,  # it would write the whole file again after each of the subsets
            co2_tracker=False,
            encode_kwargs={"batch_size": batch_size, "show_progress_bar": False},
            show_progress_bar=False,
        )
    ResultCache(out).save_to_cache(result.task_results[0], model.mteb_model_meta)
    return figures(kept)


def evaluate_stored(
    model: SentenceTransformer, name: ModelName, task: str, corpus: ParallelCorpus, out: Path
) -> dict[str, float]:
    """Evaluate a model that looks its embeddings up, without what MTEB does for a result file.

    The rank table and the figures are those of `evaluate`; data loaders and the further metrics of each of 132 subsets
    would take longer than counting the ranks.

    Args:
        model: The model.
        name: What it is filed under.
        task: Name of the task.
        corpus: Its data.
        out: The folder of the study, which gets ``ranks/``.

    Returns:
        Key of a column of the leaderboard -> figure.
    """
    from beir_hybrid.ranks.rows import build
    from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, rank_rows
    from beir_hybrid.training.evaluator import passage_texts

    asked: dict[str, Any] = {"batch_size": _LOOKED_UP, "convert_to_tensor": True, "show_progress_bar": False}
    parts = corpus.languages
    embeddings = Embeddings(
        {language: model.encode_query(list(part.questions), **asked) for language, part in parts.items()},
        {language: model.encode_document(passage_texts(part), **asked) for language, part in parts.items()},
    )
    counted = count_corpus(corpus, embeddings, model.similarity, confidence=False)
    rows = [rank_rows(ranks, corpus, whole_pool=True) for ranks in counted]
    info = TableInfo(
        task=task,
        dataset_revision=dataset_revision(task),
        model=name.name,
        model_revision=name.revision,
        pool_sizes={language: len(part.passages) for language, part in parts.items()},
        versions=package_versions(),
        evaluated={language: sorted([*parts, MULTI]) for language in parts},
    )
    kept = name.rank_table(task, out)
    with locked(kept):
        rank_table.write(kept, build(task, rows), info)
    return figures(kept)


def figures(path: Path) -> dict[str, float]:
    """Compute the figures that a study reports from a rank table: mAP of each setting, and the rank distance.

    A figure that too few queries have is left out.
    """
    table, info = rank_table.read(path)
    table = without_top_languages(table)
    columns = [column for column in board_columns() if column.task == info.task and column.metric in METRICS]
    of_columns = column_scores(table, info, columns)
    return {key: scores.average for key, scores in of_columns.items() if is_covered(scores.coverage)}


def without_top_languages(table: pa.Table) -> pa.Table:
    """Return a rank table that does not know the languages of the best passages.

    The figures that follow from them take most of the time, and are on no leaderboard.
    """
    name = "top_languages"
    nothing = pa.nulls(table.num_rows, table.schema.field(name).type)
    return table.set_column(table.schema.get_field_index(name), name, nothing)


def dataset_revision(task: str) -> str:
    """Return the revision of the data that a task would read now."""
    return str(_task(task).metadata.revision)


def _task(name: str) -> AbsTaskParallelRetrieval:
    from beir_hybrid.tasks import tasks_of

    return tasks_of(spec_of_task(name))[0]()
