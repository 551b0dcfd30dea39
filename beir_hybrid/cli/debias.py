"""The command ``beir-hybrid debias``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import user_path
from beir_hybrid.text_tables import text_table


def debias(
    model: Annotated[str, typer.Argument(help="Folder, Hugging Face hub id, or `offline`.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new model.", show_default=False)],
    languages: Annotated[str | None, typer.Option(help="Languages such as en,de; all of the data by default.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="ntrex (the default), atlas-r, or a folder of <language>.txt, a sentence a line."),
    ] = None,
    method: Annotated[str, typer.Option(help="projection, leace, or align (needs parallel sentences).")] = "projection",
    components: Annotated[
        int | None, typer.Option(help="Directions that projection takes out; by default all that differ.")
    ] = None,
    sentences: Annotated[
        int | None, typer.Option(help="Sentences of a language to fit on, at most; 200 by default.")
    ] = None,
    parallel: Annotated[
        bool, typer.Option("--parallel", help="Line i of every file of the folder is the same sentence.")
    ] = False,
    interpolation: Annotated[
        float | None, typer.Option(help="With align: share of the way from the projection to the trained head; 0.5.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Take the language out of a model's embeddings: a linear layer, fitted in seconds on sentences of each language.

    With `--method align` the layer is trained on sentences and their translations, from the projection.

    Says what it did on sentences that were held out.
    """
    out = user_path(out, "--out ")
    asked = None if languages is None else [code.strip() for code in languages.split(",") if code.strip()]
    if asked == []:
        raise BeirHybridError(f"--languages {languages!r}: name at least two, such as en,de")
    from beir_hybrid.debias.before_after import LABELS
    from beir_hybrid.debias.sentences import DEFAULT_DATA, SENTENCES
    from beir_hybrid.finetune.debiased_model import save_debiased

    result = save_debiased(
        model,
        out,
        data=DEFAULT_DATA if data is None else data,
        languages=asked,
        method=method,
        components=components,
        sentences=SENTENCES if sentences is None else sentences,
        parallel=parallel,
        interpolation=interpolation,
        progress=not quiet,
    )
    if quiet:
        return
    manifest = result.manifest
    (source,), settings = manifest.data, manifest.settings
    trained = ""
    if manifest.steps_done:
        trained = f" and keeps {settings['interpolation']:g} of the way of {manifest.steps_done} steps"
    print(
        f"{out}: {method} takes out {settings['components']} directions{trained}, fitted on {source['rows']} "
        f"sentences of each of {len(source['languages'])} languages"
    )
    figures = [
        (label, result.before[name], result.after[name]) for name, label in LABELS.items() if name in result.before
    ]
    rows = [
        (label, *(f"{value:.1f}" if "rank" in label else f"{value:.4f}" for value in pair)) for label, *pair in figures
    ]
    print(text_table(rows, [f"{result.held_out} held-out sentences a language", "before", "after"], left=1))
    print(f'Evaluate it: mteb run -m "{out.absolute()}" -t XQuADR')
