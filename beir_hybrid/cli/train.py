"""The command ``beir-hybrid train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import user_path


def train(
    base: Annotated[str, typer.Option("--base", help="Folder, Hugging Face hub id, or `offline`.", show_default=False)],
    data: Annotated[
        list[str],
        typer.Option("--data", help="Pairs: mlqa-r, ntrex, a .jsonl file ...; repeatable.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", help="Folder of the model.", show_default=False)],
    languages: Annotated[str | None, typer.Option(help="Languages such as en,de; all by default.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings by name: paper, laptop, laptop-head.")] = None,
    tune: Annotated[str | None, typer.Option(help="full, or head: a linear head on the frozen base.")] = None,
    batching: Annotated[str | None, typer.Option(help="hybrid, monolingual or cross-lingual.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Share of monolingual batches, with hybrid.")] = None,
    tau: Annotated[float | None, typer.Option(help="Draw language pairs by size to this power.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the training in steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Length of the training in passes over the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in a batch, on each device.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Temperature of the contrastive loss.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Warm-up steps; below 1 their share.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens after which texts are cut.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16.")] = None,
    gradient_cache: Annotated[bool, typer.Option("--gradient-cache", help="Large batches in little memory.")] = False,
    mini_batch_size: Annotated[int | None, typer.Option(help="Pairs at once, with --gradient-cache.")] = None,
    gather: Annotated[bool, typer.Option("--gather", help="Wrong answers from all devices.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of all random choices.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds such as 0,1,2: one model each, in OUTPUT/seed-0 and so on.")
    ] = None,
    evaluate: Annotated[str | None, typer.Option("--eval", help="Corpus to evaluate on, e.g. xquad-r.")] = None,
    eval_steps: Annotated[float, typer.Option(help="Steps between evaluations; below 1 their share.")] = 0.2,
    eval_questions: Annotated[int | None, typer.Option(help="Evaluate with this many questions.")] = None,
    save_steps: Annotated[float, typer.Option(help="Steps between checkpoints; below 1 their share.")] = 0.1,
    report_to: Annotated[str, typer.Option(help="Trackers, e.g. tensorboard,wandb.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in OUTPUT.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no log and no summary.")] = False,
) -> None:
    """Train a Sentence Transformers model on hybrid batches: full tuning, or a head on a frozen encoder.

    For several devices: `torchrun --nproc-per-node 2 -m beir_hybrid train ...`, or `accelerate launch -m`.
    """
    if mini_batch_size is not None and not gradient_cache:
        raise BeirHybridError("--mini-batch-size is for --gradient-cache; add it")
    if seed is not None and seeds is not None:
        raise BeirHybridError("give --seed or --seeds, not both")
    output = user_path(output, "--output ")
    from beir_hybrid.finetune.recipe import make_recipe

    explicit = {
        "data": tuple(data),
        "languages": _codes(languages),
        "tune": tune,
        "batching": batching,
        "alpha": alpha,
        "tau": tau,
        "steps": steps,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "temperature": temperature,
        "warmup": warmup,
        "max_length": max_length,
        "precision": precision,
        "mini_batch_size": (mini_batch_size or 32) if gradient_cache else None,
        "gather": gather or None,
    }
    recipe = make_recipe(preset, **explicit, seed=seed)
    seeds_asked = None if seeds is None else _numbers(seeds)
    from beir_hybrid.finetune import train as run
    from beir_hybrid.finetune.run_trainer import RunOptions

    options = RunOptions(
        save_steps=save_steps,
        evaluate=evaluate,
        eval_steps=eval_steps,
        eval_questions=eval_questions,
        report_to=_words(report_to),
        quiet=quiet,
    )
    if seeds_asked is None:
        run.train(base, recipe, output, resume, options)
    else:
        run.train_seeds(base, recipe, seeds_asked, output, resume, options)
    if not quiet and int(os.environ.get("RANK", "0")) == 0:
        for folder in [output] if seeds_asked is None else [output / f"seed-{number}" for number in seeds_asked]:
            print(_summary(folder))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _codes(languages: str | None) -> tuple[str, ...] | None:
    if languages is None:
        return None
    codes = tuple(_words(languages))
    if not codes:
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


def _summary(folder: Path) -> str:
    from beir_hybrid.models.manifest import read_manifest

    manifest = read_manifest(folder)
    assert manifest is not None, "train wrote it"
    losses = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in manifest.losses.items())
    return f'{folder}: {manifest.steps_done} steps, {losses}\nEvaluate it: mteb run -m "{folder.absolute()}" -t XQuADR'
