"""Whether all that runs on a GPU is right there, and how fast: `python -m benchmarks.gpu_check`, under five minutes.

It makes its own data, of XQuAD-R's size. The checks: the ranks that the GPU counts are those of the CPU; scores have
all digits of float32 where the process allows TF32; embeddings that MTEB's wrapper hands over are on the GPU; what
counting takes beside the bare product and beside a copy of the device's memory; training steps in bf16; a run that
broke off on the CPU, finished on the GPU; and shards, one on every GPU and one on the CPU, that merge. The outcome is
printed as JSON; the exit code is 1 if a check failed, 2 without a GPU. `--device cpu --size small` tries the script.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch

from beir_hybrid.corpora import LanguageCorpus, ParallelCorpus
from beir_hybrid.quiet import silenced
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.corpus_scores import Embeddings, count_corpus
from beir_hybrid.scoring.counting import scores_of
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.shards import WHOLE, Shard

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
SIZES = {"xquad-r": (1190, 13_014, 384), "small": (20, 330, 16)}
"""Name -> questions of each language, passages of all languages, dimensions."""

LARGEST_INTEGER = 3
"""Of the vectors whose products float32 holds exactly, whatever the order of the additions."""


def synthetic(n_questions: int, n_passages: int) -> ParallelCorpus:
    """Make up a corpus: the n-th question has one right answer in each language."""
    parts = {}
    for language, rows in zip(LANGUAGES, np.array_split(np.arange(n_passages), len(LANGUAGES)), strict=True):
        names = tuple(f"q{n}" for n in range(n_questions))
        parts[language] = LanguageCorpus(
            language=language,
            question_ids=names,
            questions=names,
            articles=names,
            passage_ids=tuple(f"{language}:{n}" for n in range(len(rows))),
            passages=tuple(f"passage {n}" for n in range(len(rows))),
            relevance={name: {n % len(rows): 1} for n, name in enumerate(names)},
        )
    return ParallelCorpus("synthetic", "1", parts)


def vectors(corpus: ParallelCorpus, dimensions: int, exact: bool) -> Embeddings:
    """Make up embeddings, a tenth of the passages copies of others, on the CPU.

    Args:
        corpus: The texts.
        dimensions: Of each embedding.
        exact: Small integers, whose products are exact and often equal, or unit vectors.
    """
    random = np.random.default_rng(0)

    def draw(n: int) -> torch.Tensor:
        shape = (n, dimensions)
        if exact:
            rows = random.integers(-LARGEST_INTEGER, LARGEST_INTEGER + 1, shape).astype(np.float32)
        else:
            rows = random.standard_normal(shape, dtype=np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        rows[: n // 10] = rows[n - n // 10 :]
        return torch.from_numpy(rows)

    return Embeddings(
        {language: draw(len(part.questions)) for language, part in corpus.languages.items()},
        {language: draw(len(part.passages)) for language, part in corpus.languages.items()},
    )


def dot(questions: torch.Tensor, passages: torch.Tensor) -> torch.Tensor:
    """Return the products of two matrices."""
    return questions @ passages.T


def on(device: str, embeddings: Embeddings) -> Embeddings:
    """Return embeddings on a device."""
    move = {name: {code: rows.to(device) for code, rows in part.items()} for name, part in vars(embeddings).items()}
    return Embeddings(**move)


def check_ranks(corpus: ParallelCorpus, dimensions: int, device: str) -> dict[str, Any]:
    """Compare the ranks of the device with those of the CPU.

    Returns:
        ``passed``: those of exact products are the same, ties and all; of unit vectors, whose products each device
        rounds in its own way, the share of ranks that differ and the largest difference.
    """
    outcome: dict[str, Any] = {}
    for exact in (True, False):
        embeddings = vectors(corpus, dimensions, exact)
        here, there = (_ranks(count_corpus(corpus, on(name, embeddings), dot)) for name in ("cpu", device))
        if exact:
            outcome |= {"ranks": int(here.size), "passed": bool((here == there).all())}
        else:
            outcome["rounding"] = {
                "share_that_differs": float((here != there).mean()),
                "largest_difference": int(np.abs(here - there).max()),
            }
    return outcome


def _ranks(counted: Any) -> np.ndarray:
    return np.concatenate([np.stack([ranks.rank_in_language, ranks.rank_in_pool]) for ranks in counted], axis=1)


def check_precision(dimensions: int, device: str) -> dict[str, Any]:
    """Compute scores where the process allows TF32, or bfloat16 on the CPU; ``passed`` if that changes none."""
    generator = torch.Generator().manual_seed(0)
    questions, passages = (torch.randn(n, dimensions, generator=generator).to(device) for n in (1000, 2000))
    full = scores_of(dot, questions, passages)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        scores, bare = scores_of(dot, questions, passages), dot(questions, passages)
    finally:
        torch.set_float32_matmul_precision(before)
    return {"difference_without_care": float((bare - full).abs().max()), "passed": bool((scores == full).all())}


def check_embeddings(device: str) -> dict[str, Any]:
    """Embed texts by MTEB's wrapper of a Sentence Transformer; ``passed`` if they are on the device, and right."""
    from mteb.models import SentenceTransformerEncoderWrapper

    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.tasks import XQuADR
    from beir_hybrid.training import load_pairs

    texts = load_pairs("atlas", languages=["en"], progress=False)
    corpus = synthetic(*SIZES["small"][:2])
    found = []
    for where in (device, "cpu"):
        model: Any = SentenceTransformerEncoderWrapper(_encoder(texts, 1, 16).to(where))
        call = Call(model, XQuADR.metadata, "test", {"batch_size": 8, "show_progress_bar": False})
        found.append(torch.as_tensor(call.embed(corpus, "document", "en")))
    there, here = found
    difference = float((there.cpu() - here).abs().max())
    is_there = there.device.type == torch.device(device).type
    return {"on": str(there.device), "largest_difference": difference, "passed": is_there and difference < 1e-3}


def time_counting(corpus: ParallelCorpus, dimensions: int, device: str) -> dict[str, Any]:
    """Time the counting pass, the bare products of the same blocks, and a copy of the device's memory."""
    embeddings = on(device, vectors(corpus, dimensions, exact=False))
    block = torch.zeros(1_000_000 if len(corpus.languages["en"].questions) < 100 else 64_000_000, device=device)

    def products() -> None:
        for questions in embeddings.questions.values():
            for passages in embeddings.passages.values():
                dot(questions, passages)

    seconds = {
        "counting": _seconds(lambda: list(count_corpus(corpus, embeddings, dot)), device),
        "bare_products": _seconds(products, device),
        "copy": _seconds(block.clone, device),
    }
    return {
        "seconds": seconds,
        "counting_by_products": seconds["counting"] / seconds["bare_products"],
        "copy_gigabytes_a_second": 2 * block.nbytes / 1e9 / seconds["copy"],
        "passed": True,
    }


def _seconds(act: Callable[[], object], device: str) -> float:
    """Return the shortest of three times; a first run warms up."""
    times = []
    for _ in range(4):
        _wait(device)
        start = time.perf_counter()
        act()
        _wait(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def train(size: str, device: str) -> dict[str, Any]:
    """Take training steps in bf16 with an encoder of random weights; ``passed`` if losses and weights stay finite."""
    from sentence_transformers import SentenceTransformerTrainingArguments
    from transformers import PrinterCallback

    from beir_hybrid.finetune.recipe import make_recipe
    from beir_hybrid.finetune.run_trainer import settings_of_recipe
    from beir_hybrid.training import HybridTrainer, load_pairs

    pairs = load_pairs("atlas", languages=["en", "de"], progress=False)
    small = size == "small"
    recipe = make_recipe(data=("atlas",), steps=2 if small else 20, batch_size=4 if small else 64, precision="bf16")
    model = _encoder(pairs, *((1, 16) if small else (6, 384))).to(device)
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            **{**settings_of_recipe(recipe), "logging_steps": 1, "use_cpu": device == "cpu"},
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = HybridTrainer(model=model, args=arguments, train_dataset=pairs)
        trainer.remove_callback(PrinterCallback)  # standard output is for the outcome
        start = time.perf_counter()
        trainer.train()
        _wait(device)
    seconds = time.perf_counter() - start
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    finite = all(map(math.isfinite, losses)) and all(bool(w.isfinite().all()) for w in model.parameters())
    return {"steps": len(losses), "seconds": seconds, "last_loss": losses[-1], "passed": finite}


def _encoder(pairs: Mapping[str, Any], layers: int, width: int) -> Any:
    """Make a SentenceTransformer of random weights that knows the words of the pairs."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    texts = [text for rows in pairs.values() for column in ("question", "answer") for text in rows[column]]
    names = ["[PAD]", "[UNK]", *sorted({word for text in texts for word in text.split()})]
    words = Tokenizer(WordLevel({word: n for n, word in enumerate(names)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=width,
    )
    with tempfile.TemporaryDirectory() as parts:
        BertModel(config).save_pretrained(parts)
        PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
        ).save_pretrained(parts)
        return SentenceTransformer(modules=[Transformer(parts), Pooling(width)], device="cpu")


class Interrupted(Exception):
    """Ends a run in the middle."""


class Table:
    """An encoder that looks embeddings up, and may break off.

    Args:
        corpus: The texts.
        embeddings: Their embeddings.
        device: Where it computes.
        breaks_off_after: Calls after which it is interrupted; never by default.
    """

    def __init__(
        self, corpus: ParallelCorpus, embeddings: Embeddings, device: str, breaks_off_after: float = math.inf
    ) -> None:
        from mteb.models import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty({"name": "benchmarks/table", "revision": "1"})
        self.device = torch.device(device)
        self.left = breaks_off_after
        self.rows: dict[str, torch.Tensor] = {}
        for language, part in corpus.languages.items():
            self.rows |= dict(zip(part.query_ids, embeddings.questions[language], strict=True))
            self.rows |= dict(zip(part.passage_ids, embeddings.passages[language], strict=True))

    def encode(self, inputs: Any, **_: Any) -> torch.Tensor:
        """Return a row for each text."""
        if not self.left:
            raise Interrupted
        self.left -= 1
        return torch.stack([self.rows[name] for name in inputs.dataset["id"]]).to(self.device)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the products."""
        return dot(torch.as_tensor(embeddings1), torch.as_tensor(embeddings2))

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the products of pairs."""
        return (torch.as_tensor(embeddings1) * torch.as_tensor(embeddings2)).sum(1)


class DoubleTable(Table):
    """Multiplies in float64, and so rounds as no other device does."""

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return the products."""
        return dot(torch.as_tensor(embeddings1).double(), torch.as_tensor(embeddings2).double())


def resume(corpus: ParallelCorpus, dimensions: int, device: str) -> dict[str, Any]:
    """Break off a run on the CPU, finish it on the device, and compare with an undisturbed one."""
    embeddings = vectors(corpus, dimensions, exact=True)
    with tempfile.TemporaryDirectory() as folder:
        broken, whole = Path(folder) / "broken", Path(folder) / "whole"
        runs = 3 * len(LANGUAGES)  # questions, relevant passages, and the chunks of a third of the languages
        broke_off = False
        try:
            _chunked(corpus, Table(corpus, embeddings, "cpu", runs), broken)
        except Interrupted:
            broke_off = True
        found = _chunked(corpus, Table(corpus, embeddings, device), broken)
        expected = _chunked(corpus, Table(corpus, embeddings, "cpu"), whole)
    differing, _ = _difference(found, expected)
    return {"broke_off": broke_off, "passed": broke_off and not differing}


def merge_shards(corpus: ParallelCorpus, dimensions: int, models: Sequence[tuple[type[Table], str]]) -> dict[str, Any]:
    """Count a shard of a run with each model, merge the counts, and compare with one process on the CPU.

    Args:
        corpus: The texts.
        dimensions: Of each embedding.
        models: Of each shard, with its device.

    Returns:
        ``passed``: with exact products no rank differs; of unit vectors, which each shard rounds in its own way, the
        share of ranks that differ and the largest difference. Copies of a right answer tie with it on one device, and
        not on two.
    """
    outcome: dict[str, Any] = {"shards": [f"{kind.__name__} on {device}" for kind, device in models]}
    for exact in (True, False):
        embeddings = vectors(corpus, dimensions, exact)
        with tempfile.TemporaryDirectory() as folder:
            parts = [
                _chunked(corpus, kind(corpus, embeddings, device), Path(folder) / "shards", Shard(number, len(models)))
                for number, (kind, device) in enumerate(models, 1)
            ]
            whole = _chunked(corpus, Table(corpus, embeddings, "cpu"), Path(folder) / "whole")
        share, largest = _difference(reduce(PartialCounts.merge, parts), whole)
        if exact:
            outcome |= {"chunks": [len(part.chunks) for part in parts], "passed": not share}
        else:
            outcome["rounding"] = {"share_that_differs": share, "largest_difference": largest}
    return outcome


def _difference(counts: PartialCounts, expected: PartialCounts) -> tuple[float, int]:
    """Return the share of ranks that differ, and the largest difference."""
    ours, theirs = (_ranks(part.result().values()) for part in (counts, expected))
    return float((ours != theirs).mean()), int(np.abs(ours - theirs).max())


def _chunked(corpus: ParallelCorpus, model: Table, folder: Path, shard: Shard = WHOLE) -> PartialCounts:
    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.scoring.chunk_plan import ChunkPlan
    from beir_hybrid.scoring.pass_folder import PassFolder
    from beir_hybrid.tasks import MIRACLCLFull

    call = Call(model, MIRACLCLFull.metadata, "dev", {"batch_size": 1024, "show_progress_bar": False})
    return ChunkedRun(
        name="synthetic",
        embed=partial(call.embed, corpus),
        similarity=model.similarity,
        plan=ChunkPlan(corpus, LANGUAGES, LANGUAGES, max(10, len(corpus.languages["en"].passages) // 4)),
        folder=PassFolder.of({"model": "table", "model_revision": "1", "task": "synthetic"}, folder),
        shard=shard,
        device=call.device,
        checkpoint_seconds=0,
    ).count()


def _devices(device: str) -> list[tuple[type[Table], str]]:
    """Return the models of the shards: on every GPU and on the CPU; without a GPU, two that round differently."""
    if not device.startswith("cuda"):
        return [(Table, device), (DoubleTable, "cpu")]
    return [*((Table, f"cuda:{number}") for number in range(torch.cuda.device_count())), (Table, "cpu")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks, print the outcome as JSON, and return the exit code."""
    parser = argparse.ArgumentParser(description="Check and time what runs on a GPU.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu; default: %(default)s")
    parser.add_argument("--size", choices=SIZES, default="xquad-r", help="size of the data; default: %(default)s")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("error: torch finds no GPU here; --device cpu --size small tries the script itself", file=sys.stderr)
        return 2
    n_questions, n_passages, dimensions = SIZES[options.size]
    corpus, fewer = (synthetic(n, n_passages) for n in (n_questions, max(2, n_questions // 20)))
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    start = time.perf_counter()
    with silenced("datasets"):
        outcome: dict[str, Any] = {
            "device": name,
            "torch": torch.__version__,
            "questions": n_questions * len(LANGUAGES),
            "passages": n_passages,
            "dimensions": dimensions,
            "ranks": check_ranks(corpus, dimensions, options.device),
            "precision": check_precision(dimensions, options.device),
            "embeddings": check_embeddings(options.device),
            "counting": time_counting(corpus, dimensions, options.device),
            "training": train(options.size, options.device),
            "checkpoint": resume(fewer, dimensions, options.device),
            "shards": merge_shards(fewer, dimensions, _devices(options.device)),
        }
    outcome["seconds"] = time.perf_counter() - start
    outcome["passed"] = all(part["passed"] for part in outcome.values() if isinstance(part, dict))
    print(json.dumps(outcome, indent=1))
    return 0 if outcome["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
