"""The command ``beir-hybrid export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, shown, user_path


def export(
    source: Annotated[str, typer.Argument(help="A data set, e.g. xquad-r, a folder, mteb:TASK, hub:OWNER/NAME.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to, e.g. datasets.", show_default=False)],
    languages: Annotated[
        str | None, typer.Option("--languages", help="Languages such as en,de, a corpus of these; all by default.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Files of the corpus: jsonl or parquet.")] = "jsonl",
    trec: Annotated[bool, typer.Option("--trec", help="Write qrels in TREC's format instead of a corpus.")] = False,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="With --trec: predictions of MTEB, to be written as runs.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a folder that is no export of these texts in this format.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Write a data set as a folder that --data and BEIR read, or as TREC qrels and runs."""
    if predictions is not None and not trec:
        raise BeirHybridError("--predictions are written as TREC runs; add --trec")
    from beir_hybrid.corpora import load
    from beir_hybrid.corpora.formats.corpus_folder import FORMS, export_corpus
    from beir_hybrid.corpora.formats.export import export_trec

    if form not in FORMS:
        raise BeirHybridError(f"--format {shown(form)}: there are {' and '.join(FORMS)}")
    out = user_path(out, "--out ")
    check_writable(out, hint="name another folder with --out")
    predictions = None if predictions is None else user_path(predictions, "--predictions ")
    asked = None if languages is None else [code.strip() for code in languages.split(",") if code.strip()]
    corpus = load(source, asked, progress=not quiet)
    if trec:
        folder = export_trec(corpus, out, force, predictions, progress=not quiet)
        files = f"{_count(folder, '*.qrels')} qrels, {_count(folder, '*.run')} runs"
    else:
        folder = export_corpus(corpus, out, force, form)
        pairs = f"; {n} pairs of questions and pool for BEIR" if (n := _count(folder, "*-qrels/test.tsv")) else ""
        files = f"{len(corpus.languages)} languages{pairs}"
    if not quiet:
        print(f"{folder}: {files}")


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.rglob(pattern))
