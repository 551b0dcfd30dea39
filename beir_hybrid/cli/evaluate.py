"""The command ``beir-hybrid evaluate``: any model on any corpus."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.cli import engines
from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, home, shown, user_path
from beir_hybrid.indexing import INDEX_K
from beir_hybrid.metrics import BOARD_LANGUAGE_FIGURES, MAP, ONE_TARGET, metric_of
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    from beir_hybrid.interface import RankTable, Result
    from beir_hybrid.interface.index_evaluation import IndexResult

_WORST = 5


def evaluate(
    model: Annotated[
        str, typer.Option("--model", "-m", help="What `mteb run -m` takes: a name, or the folder of a model.")
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="A data set of `beir-hybrid data list`, the folder or address (s3://...) of a corpus, mteb:TASK, "
            "hub:OWNER/NAME or beir:FOLDER.",
        ),
    ],
    languages: Annotated[
        str | None,
        typer.Option("--languages", help="Languages such as en,de, whose pool is theirs; all by default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder that gets the rank table, the heat map and MTEB's result.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="What results call the model, such as me/new; every folder is beir-hybrid/ours otherwise."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Texts that the model is given at a time.")] = 32,
    keep_top: Annotated[
        int | None,
        typer.Option(
            "--keep-top",
            metavar="K",
            help="Keep the best K passages of each question in each pool, in a file beside the rank table. A report "
            "needs 10.",
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="FACTORY",
            help="Rank what a faiss index over the pool returns, too: a string of faiss's index factory "
            "such as IVF128,Flat or HNSW32.",
        ),
    ] = None,
    index_params: Annotated[
        str | None,
        typer.Option(
            "--index-params",
            metavar="NAME=VALUE,...",
            help="Parameters of the index by their names in faiss's ParameterSpace, such as nprobe=8 or efSearch=64.",
        ),
    ] = None,
    index_k: Annotated[
        int, typer.Option("--index-k", metavar="K", help="Passages that the index is asked for.")
    ] = INDEX_K,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Count one of N equal parts of the run, as one of N processes, or what torchrun or SLURM says: auto. "
            "`beir-hybrid merge` makes the result of all parts.",
        ),
    ] = None,
    engine: Annotated[str | None, typer.Option("--engine", metavar="ENGINE", help=engines.HELP["engine"])] = None,
    address: Annotated[str | None, typer.Option("--address", metavar="ADDRESS", help=engines.HELP["address"])] = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help=engines.HELP["workers"])] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option("--gpus-per-worker", metavar="N", help=engines.HELP["gpus_per_worker"])
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no summary.")] = False,
) -> None:
    """Evaluate a model on a corpus: monolingual, cross-lingual, and in the pool of all languages.

    The rank table and the scores are those of `mteb run`. Without --out the rank table alone is kept, where `mteb run`
    keeps it. With --index there are two rank tables, that of the index beside the exact one, and a table of what the
    index finds by language of the question. With --shard partial counts are written below runs/, in the folder that
    the rank table would go to, and no result. With --engine ray the workers of a Ray cluster load the model and read
    the data.
    """
    from beir_hybrid.corpora.source_names import lasting
    from beir_hybrid.indexing.faiss_index import parse_params
    from beir_hybrid.interface.any_model import mteb_model
    from beir_hybrid.interface.evaluate_model import check_batch_size, evaluate_on, read_corpus
    from beir_hybrid.interface.index_evaluation import asked_index
    from beir_hybrid.interface.task_run import count_shard
    from beir_hybrid.quiet import silenced
    from beir_hybrid.ranks.tops import check_k
    from beir_hybrid.scoring.shards import Shard, asked_shard

    part = Shard.parse(shard) if shard is not None else asked_shard()
    if part is not None and index is not None:
        raise BeirHybridError("an index is made of all passages, and a shard has some: leave out --index or --shard")
    elsewhere = engines.Engine(engine, address, workers, gpus_per_worker)
    elsewhere.check(shard=part, index=index, name=name)
    check_k(keep_top)
    if out is None:
        check_writable(home() / "ranks")
    else:
        out = user_path(out, "--out ")
        check_writable(out, hint="name another folder with --out")
    check_batch_size(batch_size)
    asked = asked_index(index, parse_params(index_params), index_k)
    chosen = None if languages is None else [code.strip() for code in languages.split(",") if code.strip()]
    corpus = read_corpus(data, chosen, progress=not quiet)  # before a model is loaded
    with silenced(notes=quiet):
        progress = not quiet and sys.stderr is not None and sys.stderr.isatty()
        if part is not None:
            part.take_gpu()
            source = {"data": lasting(data), "languages": chosen}
            run = count_shard(mteb_model(model, name=name), corpus, source, part, out, batch_size, progress, keep_top)
            if not quiet:
                print(f"Shard {part} is counted: {run}\nWhen all {part.count} are: beir-hybrid merge {quote(str(run))}")
            return
        if elsewhere:
            with elsewhere.models() as load:
                loaded = load(model, source={"data": lasting(data), "languages": chosen})
                result = evaluate_on(loaded, corpus, batch_size, progress, keep_top)
                files = _stored(result, out)  # before the counts are forgotten
        else:
            result = evaluate_on(mteb_model(model, name=name), corpus, batch_size, progress, keep_top, asked)
            files = _stored(result, out)
    if not quiet:
        print_result(result, files)


def _stored(result: Result | IndexResult, out: Path | None) -> Sequence[Path]:
    """Write a result, and return its files: the rank table alone where no folder was named."""
    return result.stored(home()).files if out is None else result.save(out)


def print_result(result: Result | IndexResult, files: Sequence[Path]) -> None:
    """Print what was found, and where it was written."""
    from beir_hybrid.interface.index_evaluation import IndexResult

    exact = result.exact if isinstance(result, IndexResult) else result
    print("\n\n".join([*_summary(exact), *_of_index(result)]))
    print("\n" + "\n".join(f"{_what(path)}: {path}" for path in files))


_WHAT = {".parquet": "Rank table", ".png": "Heat map", ".svg": "Heat map", ".json": "Result"}


def _what(path: Path) -> str:
    from beir_hybrid.indexing import index_table
    from beir_hybrid.ranks.tops import is_tops_name

    if path.name.endswith(index_table.SUFFIX):
        return "Index"
    return "Top passages" if is_tops_name(path) else _WHAT.get(path.suffix, "File")


def _summary(result: Result) -> Iterator[str]:
    """Yield what is printed: the settings, the figures of languages, the worst pairs."""
    from beir_hybrid.errors import RankTableError
    from beir_hybrid.subsets import setting_of

    info, metric = result.info, metric_of(result.metric)
    counts = [setting_of(str(subset)) for subset in result.scores.index]
    rows = [(setting, _number(value, 4), counts.count(str(setting))) for setting, value in result.settings.items()]
    yield f"{shown(info.model)} ({shown(info.model_revision)}) on {shown(info.task)}"
    yield text_table(rows, ("setting", metric.label, "subsets"), left=1)
    try:
        languages = result.languages
    except RankTableError:
        languages = None
    if languages is None or languages[BOARD_LANGUAGE_FIGURES[0].name].isna().all():
        yield "No figures of languages: too few questions have answers in several languages that were all returned."
    else:
        figures = BOARD_LANGUAGE_FIGURES
        table = [
            (language, *(_number(row[figure.name], figure.decimals) for figure in figures))
            for language, row in languages.iterrows()
        ]
        heads = [figure.label + (" ↓" if figure.higher_is_better is False else "") for figure in figures]
        yield text_table(table, ("questions in", *heads), left=1)
    worst = result.worst_pairs(_WORST)
    if len(worst):
        pairs = [
            (*names, *(_number(row[figure.name], MAP.decimals) for figure in (ONE_TARGET, MAP)))
            for names, row in worst.iterrows()
        ]
        heads = ["questions in", "answers in", "in the pool of all languages", "in the pool of the answers' language"]
        by = ONE_TARGET if worst[ONE_TARGET.name].notna().any() else MAP
        what = {
            ONE_TARGET: "mAP in the pool of all languages, the answers in that language being the only ones there",
            MAP: "mAP in the pool of the answers' language",
        }[by]
        yield f"Worst pairs of languages, by {what}:\n\n{text_table(pairs, heads, left=2)}"


def _of_index(result: RankTable) -> Iterator[str]:
    """Yield what is printed of an index, or of a search that is not exact: its settings, and what it finds."""
    from beir_hybrid.indexing.index_table import SHARES
    from beir_hybrid.interface.index_evaluation import IndexResult

    table = result.index
    if table is None:
        return
    metric = metric_of(result.metric)
    if isinstance(result, IndexResult):
        exact = result.exact.settings
        rows = [(setting, _number(exact[setting], 4), _number(value, 4)) for setting, value in result.settings.items()]
        yield f"{metric.label} of exact search and of the index:\n\n" + text_table(
            rows, ("setting", "exact", table.name), left=1
        )
    shares = [
        (row.language, *(_number(math.nan if share is None else share, 3) for share in row.shares))
        for row in (*table.rows, table.means)
    ]
    yield (
        f"What {shown(table.name)} finds in the pool of all languages, of {table.k} passages asked for:\n\n"
        + text_table(shares, ("questions in", *SHARES), left=1)
    )
    unknown = 1 - result.ranks["rank_in_pool"].notna().mean()
    if unknown > 0:
        yield (
            f"{unknown:.1%} of the right answers were not returned in the pool of all languages: they have no rank, "
            "and a figure of languages is empty where under 90% of the questions have all ranks that it needs."
        )


def _number(value: float, decimals: int) -> str:
    return "-" if math.isnan(value) else f"{value:z.{decimals}f}"
