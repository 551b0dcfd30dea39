"""The command ``beir-hybrid train``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import user_path
from beir_hybrid.finetune.recipe import Recipe, RunOptions, make_recipe


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting of a recipe, None where it is not given, and of a run."""
    signature = inspect.signature(command, eval_str=True)
    own = [option for option in signature.parameters.values() if option.kind is not option.VAR_KEYWORD]
    place = [option.name for option in own].index("gradient_cache")
    settings = [_option(setting, None) for setting in fields(Recipe) if setting.metadata]
    options = [_option(setting, setting.default) for setting in fields(RunOptions)]
    parameters = [*own[:place], *settings, *own[place:], *options]
    keywords = [option.replace(kind=option.KEYWORD_ONLY) for option in parameters]
    command.__signature__ = signature.replace(parameters=keywords)  # type: ignore[attr-defined]
    return command


def _option(setting: Field[Any], default: Any) -> inspect.Parameter:
    kind = setting.metadata["kind"] or type(setting.default)
    names = setting.metadata["option"] or [f"--{setting.name.replace('_', '-')}"]
    annotation = Annotated[kind | None, typer.Option(*names, help=setting.metadata["help"])]  # type: ignore[valid-type]
    given = False if kind is bool else default
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=given, annotation=annotation)


@_with_settings
def train(
    base: Annotated[str, typer.Option("--base", help="Folder, Hugging Face hub id, or `offline`.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Option("--data", help="Pairs: mlqa-r, ntrex, a .jsonl file ...; repeatable.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder of the model.", show_default=False)],
    languages: Annotated[str | None, typer.Option(help="Languages such as en,de; all by default.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings by name: paper, laptop, laptop-head.")] = None,
    gradient_cache: Annotated[bool, typer.Option("--gradient-cache", help="Large batches in little memory.")] = False,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds such as 0,1,2: one model each, in OUTPUT/seed-0 and so on.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in OUTPUT.")] = False,
    **settings: Any,
) -> None:
    """Train a Sentence Transformers model on hybrid batches: full tuning, or a head on a frozen encoder.

    For several devices: `torchrun --nproc-per-node 2 -m beir_hybrid train ...`, or `accelerate launch -m`.
    """
    options = RunOptions(**{option.name: settings.pop(option.name) for option in fields(RunOptions)})
    if settings["mini_batch_size"] is not None and not gradient_cache:
        raise BeirHybridError("--mini-batch-size is for --gradient-cache; add it")
    if settings["seed"] is not None and seeds is not None:
        raise BeirHybridError("give --seed or --seeds, not both")
    if gradient_cache and settings["mini_batch_size"] is None:
        settings["mini_batch_size"] = 32
    output = user_path(output, "--output ")
    recipe = make_recipe(preset, data=tuple(data), languages=_codes(languages), **settings)
    numbers = None if seeds is None else _numbers(seeds)
    from beir_hybrid.finetune.train import train, train_seeds

    if numbers is None:
        manifests = {output: train(base, recipe, output, resume, options)}
    else:
        manifests = train_seeds(base, recipe, numbers, output, resume, options)
    for folder, manifest in manifests.items():
        if manifest is not None and not options.quiet:
            losses = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in manifest.losses.items())
            print(f"{folder}: {manifest.steps_done} steps, {losses}")
            print(f'Evaluate it: mteb run -m "{folder.absolute()}" -t XQuADR')


def _words(text: str) -> Sequence[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _codes(languages: str | None) -> tuple[str, ...] | None:
    codes = None if languages is None else tuple(_words(languages))
    if codes == ():
        raise BeirHybridError(f"--languages {languages!r}: name at least one, such as en,de")
    return codes


def _numbers(seeds: str) -> list[int]:
    try:
        numbers = [int(word) for word in _words(seeds)]
    except ValueError as error:
        raise BeirHybridError(f"--seeds {seeds}: write them like 0,1,2") from error
    if not numbers or len(set(numbers)) < len(numbers):
        raise BeirHybridError(f"--seeds {seeds}: name each seed once, like 0,1,2")
    return numbers
