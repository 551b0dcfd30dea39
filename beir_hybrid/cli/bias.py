"""The command ``beir-hybrid bias``: language bias from rank tables or results, as a table and as heat maps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_exists, check_writable, shown, user_path
from beir_hybrid.metrics import LANGUAGE_FIGURES, LANGUAGE_MEANS
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    import pandas as pd


class ModelBias(NamedTuple):
    """The language bias of one model on one task.

    Attributes:
        model: Name of the model.
        task: Name of the retrieval task.
        figures: Name of the figure -> its mean over the question languages; NaN where too few queries have it.
        coverage: Name of the figure -> share of the queries that have it, as far as that is known.
        map: Question language x answer language; None where there is no rank table.
        keeps_top: Whether the languages of the best passages are kept, which the figures at a cut-off follow from.
    """

    model: str
    task: str
    figures: Mapping[str, float]
    coverage: Mapping[str, float | None]
    map: pd.DataFrame | None = None
    keeps_top: bool = True


def bias(
    paths: Annotated[
        list[Path], typer.Argument(help="Rank tables (.parquet), MTEB results of the bias tasks, or folders of them.")
    ],
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw question x answer language as heat maps: a PNG, SVG or PDF file."),
    ] = None,
    peer_weights: Annotated[
        str, typer.Option(help="Weights of the grades in PEER, adding up to 1.", metavar="GRADE:WEIGHT,...")
    ] = "0:0.5,1:0.5",
) -> None:
    """Print language-bias figures, one column a model: plain means over question languages of means over their queries.

    A figure stands there if at least 90 % of the queries have it: those of which the search returned all answers.
    docs/language-bias.md says which figure answers which question, and which way is better.
    """
    weights = _parse_weights(peer_weights)
    if plot is not None:
        plot = user_path(plot, "--plot ")
        check_writable(plot.parent, hint="name another file with --plot")
    models = [model for path in paths for model in _read(path, weights)]
    if not models:
        raise BeirHybridError(f"{shown(paths[0])}: neither a rank table nor a result of a bias task is here")
    for task in dict.fromkeys(model.task for model in models):
        of_task = [model for model in models if model.task == task]
        rows = [(name, *(_shown(model.figures[name]) for model in of_task)) for name in LANGUAGE_MEANS]
        print(text_table(rows, (task, *(model.model for model in of_task)), left=1))
        print("".join(f"{note}\n" for model in of_task for note in _notes(model)))
    if plot is not None:
        maps = {f"{model.model}\n{model.task}": model.map for model in models if model.map is not None}
        if not maps:
            raise BeirHybridError(
                "a heat map needs a rank table; results hold only means (`mteb run` says where it is)"
            )
        from beir_hybrid.plotting.heat_maps import plot_one_target_maps

        plot_one_target_maps(maps, plot)
        print(f"Heat map: {plot}")


def _parse_weights(text: str) -> dict[int, float]:
    try:
        weights = {int(grade): float(weight) for grade, weight in (part.split(":") for part in text.split(","))}
    except ValueError as error:
        raise BeirHybridError(f"--peer-weights {text}: write it like 0:0.5,1:0.5") from error
    if abs(sum(weights.values()) - 1) > 1e-6:
        raise BeirHybridError(f"--peer-weights {text}: the weights add up to {sum(weights.values()):g}, not to 1")
    return weights


def _read(path: Path, weights: Mapping[int, float]) -> Iterator[ModelBias]:
    from beir_hybrid.corpora.spec import BIAS_SUFFIX
    from beir_hybrid.mteb.language_results import language_figure
    from beir_hybrid.mteb.results import find_results
    from beir_hybrid.ranks.rank_table import rank_tables_below
    from beir_hybrid.scoring.bias import ALL_QUESTIONS

    check_exists(path)
    if path.suffix != ".json":
        for file in rank_tables_below(path):
            yield _from_rank_table(file, weights)
    if path.suffix == ".json" or path.is_dir():
        for result in find_results(path, f"*{BIAS_SUFFIX}.json"):
            if result.task.partition(" ")[0].endswith(BIAS_SUFFIX) and ALL_QUESTIONS in result.scores:
                # Results of older versions lack some figures and the coverage.
                figures = {name: language_figure(result, name) for name in LANGUAGE_MEANS}
                coverage = {name: result.value(ALL_QUESTIONS, f"{name}_coverage") for name in LANGUAGE_FIGURES}
                known = {name: math.nan if value is None else value for name, value in figures.items()}
                yield ModelBias(result.model, result.task.replace(BIAS_SUFFIX, ""), known, coverage)


def _from_rank_table(file: Path, weights: Mapping[int, float]) -> ModelBias:
    from beir_hybrid.ranks import rank_table
    from beir_hybrid.scoring.bias import bias_coverage, mean_bias, one_target_map, query_bias

    table, info = rank_table.read(file)
    frame = table.to_pandas()
    figures = query_bias(frame, info.pool_sizes, weights)
    return ModelBias(
        info.model,
        info.task,
        mean_bias(figures),
        bias_coverage(figures),
        one_target_map(frame, info.pool_sizes),
        bool(frame["top_languages"].notna().any()),
    )


def _shown(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:.4f}"


def _notes(model: ModelBias) -> Iterator[str]:
    """Say why there is no figure, and which are not of all queries: a line a reason."""
    from beir_hybrid.scoring.bias import coverage_text, is_covered

    figures: dict[tuple[str, str], list[str]] = {}
    for name, metric in LANGUAGE_FIGURES.items():
        share = model.coverage.get(name)
        if share is None or share == 1:
            continue
        if is_covered(share):
            reason = "", f"of {coverage_text(share)}"
        elif metric.cut_off and not model.keeps_top:
            reason = ", no figure", "(the languages of the best passages are not kept)"
        else:
            reason = ", no figure", f"({coverage_text(share)})"
        figures.setdefault(reason, []).append(name)
    yield from (f"{model.model}{what}: {', '.join(names)} {why}" for (what, why), names in figures.items())
