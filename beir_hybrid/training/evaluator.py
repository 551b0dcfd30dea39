"""An evaluator for Sentence Transformers: a model's mAP in the three settings, and its language bias."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.evaluation import BaseEvaluator
from torch import Tensor

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus, Source, load, spec_of_source
from beir_hybrid.corpora.parallel import choose
from beir_hybrid.errors import DataError
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES, LANGUAGE_FIGURES
from beir_hybrid.ranks.rows import build
from beir_hybrid.ranks.schema import NO_NAME, NO_REVISION, TableInfo
from beir_hybrid.scoring.bias import MIN_COVERAGE, mean_bias, query_bias
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus, rank_rows, scores_by_subset
from beir_hybrid.scoring.counting import CountedRanks
from beir_hybrid.scoring.matrices import check_embeddings, widened
from beir_hybrid.subsets import MULTI, SETTINGS, setting_of

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

_MAP = {setting: f"{setting.replace('-', '_')}_map" for setting in SETTINGS}
_BIAS = tuple(figure.name for figure in BOARD_LANGUAGE_FIGURES)
_METRICS = (*_MAP.values(), *_BIAS)


class MultilingualRetrievalEvaluator(BaseEvaluator):
    """Evaluates a model on a parallel corpus: mAP in the three settings, and language bias.

    A call gives, each with the prefix ``{name}_``:

    - ``monolingual_map``, ``cross_lingual_map``, ``multilingual_map``: the mean over the subsets of the setting
      (en-en, en-de, and en questions on the pool of all languages) of the mean average precision over the full ranking.
    - ``rank_distance``: mean distance between the best ranks that a question's right answers of each language have in
      the pool of all languages; lower is better. Source: arXiv 2408.10536.
    - ``language_fairness``: 1 less the rank distance divided by the size of the pool less 1; higher is better.
    - ``strong_alignment``, ``language_preference``, ``last_answer_rank``, ``complete_at_20`` and ``round_robin_gain``,
      as docs/language-bias.md defines them.

    The figures of language bias are plain means over question languages, and NaN where less than 90 % of the questions
    have one: most need right answers in two languages.

    They are those of the MTEB tasks, XQuADR and XQuADRLanguageBias for ``xquad-r``. Every text is encoded once, by
    ``encode_query`` and ``encode_document``, so that a model's own prompts apply. With one language there is
    ``monolingual_map`` alone.

    Args:
        corpus: A parallel corpus, or what names one: ``xquad-r``, ``mlqa-r``, ``atlas-r``, the folder of a corpus, or
            any other that `beir_hybrid.corpora.load` takes. It is read at the first call.
        name: Prefix of the metrics; the name of the corpus by default, "" for none.
        languages: ISO 639-1 codes of the languages to evaluate on; all by default.
        max_questions: Evaluate on this many questions, drawn at random; the same ones in every language. The pool is
            kept whole.
        seed: Seed of that draw.
        batch_size: Texts that are encoded at once.
        show_progress_bar: Show progress bars for encoding and counting.
        write_csv: Append the metrics to a CSV file in the ``output_path`` of a call.
        truncate_dim: Use the first dimensions of the embeddings only.
        primary_metric: The metric that is the evaluator's one score, without prefix; ``multilingual_map`` by default,
            ``monolingual_map`` for one language. ``language_preference`` cannot be it: it has no better side.

    Raises:
        DataError: There is no such data set, language or metric.

    Examples:
        ```python
        from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments

        from beir_hybrid.training import HybridTrainer, MultilingualRetrievalEvaluator, load_pairs

        evaluator = MultilingualRetrievalEvaluator("xquad-r", max_questions=200)
        args = SentenceTransformerTrainingArguments(
            "output",
            eval_strategy="steps",
            load_best_model_at_end=True,
            metric_for_best_model="eval_xquad-r_multilingual_map",
        )
        trainer = HybridTrainer(
            model=SentenceTransformer("intfloat/multilingual-e5-small"),
            args=args,
            train_dataset=load_pairs("ntrex"),
            evaluator=evaluator,
        )
        trainer.train()
        ```
    """

    def __init__(
        self,
        corpus: ParallelCorpus | Source,
        name: str | None = None,
        languages: Iterable[str] | None = None,
        max_questions: int | None = None,
        seed: int = 0,
        batch_size: int = 32,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        primary_metric: str | None = None,
    ) -> None:
        super().__init__()
        self._source = corpus if isinstance(corpus, ParallelCorpus) else spec_of_source(corpus)
        self.name = self._source.name if name is None else name
        self.languages = choose(self._source.name, tuple(self._source.languages), languages)
        self.max_questions = max_questions
        self.seed = seed
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self._corpus: ParallelCorpus | None = None
        self.metrics = _METRICS if len(self.languages) > 1 else (_MAP["monolingual"],)
        metric = primary_metric or (_MAP["multilingual"] if len(self.languages) > 1 else self.metrics[0])
        if max_questions is not None and max_questions < 1:
            raise DataError(f"{self.name}: max_questions is 1 or more, not {max_questions}")
        if metric not in self.metrics:
            raise DataError(
                f"{self.name}: no metric {metric!r} on {len(self.languages)} language(s); there is "
                f"{', '.join(self.metrics)}"
            )
        better = LANGUAGE_FIGURES[metric].higher_is_better if metric in LANGUAGE_FIGURES else True
        if better is None:
            raise DataError(f"{self.name}: more {metric} is neither better nor worse; choose another primary_metric")
        self.greater_is_better = better
        self.primary_metric: str = f"{self.name}_{metric}" if self.name else metric
        self.csv_file = "_".join(filter(None, ["Multilingual-Retrieval_evaluation", self.name, "results.csv"]))

    @property
    def corpus(self) -> ParallelCorpus:
        """The questions and passages of an evaluation, read when they are first asked for.

        Raises:
            DataError: The data cannot be had or is malformed.
        """
        if self._corpus is None:
            source = self._source
            part = (
                source.restricted(self.languages)
                if isinstance(source, ParallelCorpus)
                else load(source, self.languages)
            )
            self._corpus = part if self.max_questions is None else _sample(part, self.max_questions, self.seed)
        return self._corpus

    def __call__(  # type: ignore[override]  # as Sentence Transformers' own: dense models only
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Evaluate a model.

        Args:
            model: The model.
            output_path: Folder of the CSV file.
            epoch: Epoch of the evaluation, for the log and the CSV file; -1 outside a training.
            steps: Steps of the training so far; -1 outside a training.

        Returns:
            Metric, with prefix -> value.

        Raises:
            DataError: The data cannot be had or is malformed.
            ModelError: The model's embeddings cannot be ranked by: NaN or infinite.
        """
        values = self._measure(model)
        when = f" in epoch {epoch} after {steps} steps" if epoch != -1 else ""
        shown = ", ".join(f"{metric} {value:.4f}" for metric, value in values.items())
        logger.info(f"Multilingual retrieval on the {self.name} dataset{when}: {shown}")
        if output_path is not None and self.write_csv:
            self._append_csv(Path(output_path), [epoch, steps, *values.values()])
        metrics = self.prefix_name_to_metrics(values, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def get_config_dict(self) -> dict[str, Any]:
        """Return what the model card says of the evaluation."""
        config: dict[str, Any] = {"languages": list(self.languages)}
        if self.max_questions is not None:
            config |= {"max_questions": self.max_questions, "seed": self.seed}
        if self.truncate_dim is not None:
            config["truncate_dim"] = self.truncate_dim
        return config

    def rank_table(self, model: SentenceTransformer) -> tuple[pa.Table, TableInfo]:
        """Rank all passages by a model: what scores by question and significance tests are computed from.

        Args:
            model: The model.

        Returns:
            The rank table of the corpus, and what holds for all of it; the name of the task is that of the corpus.

        Raises:
            DataError: The data cannot be had or is malformed.
            ModelError: The model's embeddings cannot be ranked by: NaN or infinite.
        """
        table, sizes = _table_of(self._count(model), self.corpus)
        return table, TableInfo(self.corpus.name, self.corpus.revision, NO_NAME, NO_REVISION, sizes)

    def _measure(self, model: SentenceTransformer) -> dict[str, float]:
        """Return metric, without prefix -> value, in the order of ``metrics``."""
        counted = self._count(model)
        values = _setting_maps(counted, self.languages)
        if len(self.languages) > 1:
            values |= _bias_of(counted, self.corpus)
        missing = [metric for metric in self.metrics if metric not in values]
        if missing:
            raise DataError(
                f"{self.name}: none of the questions has a relevant passage that {missing[0]} needs; "
                "evaluate on more questions or other languages"
            )
        primary = self.primary_metric.removeprefix(f"{self.name}_")
        if math.isnan(values[primary]):
            raise DataError(
                f"{self.name}: there is no {primary}: less than {100 * MIN_COVERAGE:g} % of the questions have right "
                "answers in two languages; choose another primary_metric or other languages"
            )
        return {metric: values[metric] for metric in self.metrics}

    def _count(self, model: SentenceTransformer) -> list[CountedRanks]:
        """Encode every text once and count all ranks, query language by query language."""
        parts = self.corpus.languages
        questions = {code: (part.query_ids, part.questions) for code, part in parts.items()}
        passages = {code: (part.passage_ids, passage_texts(part)) for code, part in parts.items()}
        embeddings = Embeddings(
            self._encode(model.encode_query, questions, "questions"),
            self._encode(model.encode_document, passages, "passages"),
        )
        asking = [code for code, part in parts.items() if part.questions]
        return list(count_corpus(self.corpus, embeddings, model.similarity, asking, progress=self.show_progress_bar))

    def _encode(
        self, encode: Callable[..., Tensor], texts: Mapping[str, tuple[Sequence[str], Sequence[str]]], kind: str
    ) -> dict[str, Tensor]:
        """Encode the ids and texts of each language; the embeddings are in float32 at least."""
        embeddings = encode(
            [text for _, of_language in texts.values() for text in of_language],
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_tensor=True,
            truncate_dim=self.truncate_dim,
        )
        parts = widened(embeddings).split([len(ids) for ids, _ in texts.values()])
        by_language = dict(zip(texts, parts, strict=True))
        for language, (ids, _) in texts.items():
            check_embeddings(by_language[language], ids, f"the {language} {kind} of {self.name}")
        return by_language

    def _append_csv(self, folder: Path, row: list[Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.csv_file
        new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(["epoch", "steps", *self.metrics])
            writer.writerow(row)


def _sample(corpus: ParallelCorpus, size: int, seed: int) -> ParallelCorpus:
    """Return the corpus with some of its questions, the same ones in every language, and all of its passages."""
    known = list(dict.fromkeys(question for part in corpus.languages.values() for question in part.question_ids))
    if size >= len(known):
        return corpus
    chosen = {known[i] for i in np.random.default_rng(seed).choice(len(known), size, replace=False)}

    def only_chosen(part: LanguageCorpus) -> LanguageCorpus:
        keep = [question in chosen for question in part.question_ids]
        return replace(
            part,
            question_ids=tuple(compress(part.question_ids, keep)),
            questions=tuple(compress(part.questions, keep)),
            articles=tuple(compress(part.articles, keep)),
        )

    return replace(corpus, languages={code: only_chosen(part) for code, part in corpus.languages.items()})


def passage_texts(part: LanguageCorpus) -> Sequence[str]:
    """Return the texts of passages with their titles in front, joined as MTEB joins them."""
    if part.titles is None:
        return part.passages
    return [
        f"{title} {text}".strip() if title else text for title, text in zip(part.titles, part.passages, strict=True)
    ]


def _setting_maps(counted: Sequence[CountedRanks], languages: Sequence[str]) -> dict[str, float]:
    """Average mAP over the subsets of each setting; those of a single language are all monolingual."""
    pools = [*languages, MULTI] if len(languages) > 1 else list(languages)
    by_setting: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
    for ranks in counted:
        for subset, scores in scores_by_subset(ranks, pools).items():
            by_setting[setting_of(subset)].append(scores["map"])
    return {_MAP[setting]: float(np.mean(values)) for setting, values in by_setting.items() if values}


def _bias_of(counted: Sequence[CountedRanks], corpus: ParallelCorpus) -> dict[str, float]:
    """Average the language-bias figures of all questions."""
    table, pool_sizes = _table_of(counted, corpus)
    return mean_bias(query_bias(table.to_pandas(), pool_sizes))


def _table_of(counted: Sequence[CountedRanks], corpus: ParallelCorpus) -> tuple[pa.Table, dict[str, int]]:
    """Return the rank table of counted ranks, and the number of passages of each language."""
    table = build(corpus.name, [rank_rows(ranks, corpus, whole_pool=True) for ranks in counted])
    return table, {language: len(part.passages) for language, part in corpus.languages.items()}
