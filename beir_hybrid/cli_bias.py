"""The command ``beir-hybrid bias``: language bias from rank tables or results, as a table and as heat maps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import shown
from beir_hybrid.text_tables import text_table

if TYPE_CHECKING:
    import pandas as pd

    from beir_hybrid.leaderboard.sources import ResultSource

_ALL_QUESTIONS = "all"
"""Subset of a bias task that holds the questions of all languages."""


@dataclass(frozen=True)
class ModelBias:
    """The language bias of one model on one task.

    Attributes:
        model: Name of the model.
        task: Name of the retrieval task.
        figures: Name of the figure -> its mean over all queries.
        map: Question language x answer language; None where there is no rank table.
    """

    model: str
    task: str
    figures: Mapping[str, float]
    map: pd.DataFrame | None


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
    """Print language-bias figures, one column a model; lower rank_distance and preferences near 1 are better."""
    weights = _parse_weights(peer_weights)
    found = [one for path in paths for one in _read(path, weights)]
    if not found:
        raise BeirHybridError(f"{shown(paths[0])}: neither a rank table nor a result of a bias task is here")
    for task in dict.fromkeys(one.task for one in found):
        print(_table([one for one in found if one.task == task]))
        print()
    if plot is not None:
        maps = {f"{one.model}\n{one.task}": one.map for one in found if one.map is not None}
        if not maps:
            raise BeirHybridError(
                "a heat map needs a rank table; results hold only means (`mteb run` says where it is)"
            )
        from beir_hybrid.plots import plot_one_target_maps

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
    from beir_hybrid.leaderboard.sources import BIAS_SUFFIX, check_exists, find_results
    from beir_hybrid.scoring.rank_table_checks import rank_tables_below

    check_exists(path)
    if path.suffix != ".json":
        for file in rank_tables_below(path):
            yield _from_rank_table(file, weights)
    if path.suffix == ".json" or path.is_dir():
        for result in find_results(path, f"*{BIAS_SUFFIX}.json"):
            if result.task.partition(" ")[0].endswith(BIAS_SUFFIX) and _ALL_QUESTIONS in result.scores:
                yield ModelBias(result.model, result.task.replace(BIAS_SUFFIX, ""), _figures(result), None)


def _from_rank_table(file: Path, weights: Mapping[int, float]) -> ModelBias:
    from beir_hybrid.scoring import rank_table
    from beir_hybrid.scoring.bias import mean_bias, one_target_map, query_bias

    table, info = rank_table.read(file)
    frame = table.to_pandas()
    figures = mean_bias(query_bias(frame, info.pool_sizes, weights))
    return ModelBias(info.model, info.task, figures, one_target_map(frame, info.pool_sizes))


def _figures(result: ResultSource) -> dict[str, float]:
    """Return the means over all questions; NaN for a figure that this result lacks, as older ones do."""
    from beir_hybrid.scoring.bias import BIAS_FIGURES

    values = {name: result.value(_ALL_QUESTIONS, name) for name in BIAS_FIGURES}
    return {name: math.nan if value is None else value for name, value in values.items()}


def _table(models: Sequence[ModelBias]) -> str:
    from beir_hybrid.scoring.bias import BIAS_FIGURES

    rows = [(name, *(_shown(one.figures[name]) for one in models)) for name in BIAS_FIGURES]
    return text_table(rows, (models[0].task, *(one.model for one in models)), left=1)


def _shown(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:.4f}"
