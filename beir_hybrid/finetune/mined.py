"""Hard negatives that a base finds for the sources of a training, on embeddings that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sentence_transformers.base.modules import Router

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable
from beir_hybrid.finetune.head import fill_embeddings, head_model
from beir_hybrid.models.base import find_base, training_prompts
from beir_hybrid.training.mining import Mined, check_minable, mine
from beir_hybrid.training.pair_files import write_pairs
from beir_hybrid.training.pairs import ParallelPairs, read_source
from beir_hybrid.training.parallel_pairs import texts_by_column

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def mine_sources(
    parts: Sequence[ParallelPairs],
    encoder: SentenceTransformer,
    revision: str,
    k: int,
    margin: float | None = None,
    progress: bool = True,
) -> list[Mined]:
    """Find hard negatives for each of several sources.

    In a distributed run every process calls this with the same arguments, and reads the same embeddings: all find the
    same.

    Args:
        parts: The sources.
        encoder: Embeds the texts, each once: embeddings are kept on disk, but for an encoder with routes (Router).
        revision: What names its content and no other.
        k: Hard negatives a row.
        margin: As for `beir_hybrid.training.mining.mine`.
        progress: Show progress bars.

    Raises:
        DataError: A source has hard negatives already, or too few answers.
        BeirHybridError: The folder of the embeddings cannot be written to.
    """
    for part in parts:
        check_minable(part, k)
    if any(isinstance(module, Router) for module in encoder.modules()):
        return [mine(part, encoder, k, margin=margin, progress=progress) for part in parts]
    model, texts = head_model(encoder, revision), texts_by_column(parts)
    for column, prompt in training_prompts(encoder).items():
        fill_embeddings(model, prompt, texts[column], progress=progress)
    return [mine(part, model, k, margin=margin, progress=False) for part in parts]


def mine_to_file(
    model: str,
    data: str,
    out: Path,
    k: int,
    languages: Iterable[str] | None = None,
    margin: float | None = None,
    progress: bool = True,
) -> Mined:
    """Write pairs with hard negatives that a model finds, as `beir_hybrid.training.pairs.read_source` reads them.

    Args:
        model: A folder, a hub id, or ``offline``.
        data: A source of pairs.
        out: The file, ``.jsonl``, ``.jsonl.gz`` or ``.parquet``; what is there is replaced.
        k: Hard negatives a row.
        languages: Language tags; None for all of the source.
        margin: As for `beir_hybrid.training.mining.mine`.
        progress: Show progress bars.

    Raises:
        BeirHybridError: The model, the pairs or the file cannot be used.
    """
    if not out.name.lower().endswith((".jsonl", ".jsonl.gz", ".parquet")):
        raise BeirHybridError(f"--out {out}: give it the ending .jsonl, .jsonl.gz or .parquet")
    if out.is_dir():
        raise BeirHybridError(f"--out {out}: is a folder; name a file")
    check_writable(out.parent, hint="name another file with --out")
    pairs, base = read_source(data, languages, progress), find_base(model, "")
    check_minable(pairs, k)  # before the model is loaded
    (mined,) = mine_sources([pairs], base.load(), base.revision, k, margin, progress)
    write_pairs(mined.pairs, out)
    return mined
