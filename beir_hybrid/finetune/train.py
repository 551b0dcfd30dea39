"""One training run: from a base, pairs and a recipe to a model's folder, on the trainer of Sentence Transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from transformers import TrainerState, set_seed

from beir_hybrid.finetune.head import with_head
from beir_hybrid.finetune.model_card import add_section, set_logs
from beir_hybrid.finetune.recipe import Recipe, TrainingError
from beir_hybrid.finetune.run_data import TrainingData, read_data
from beir_hybrid.finetune.run_folder import RunFolder
from beir_hybrid.finetune.run_trainer import RunOptions, build_arguments, build_trainer
from beir_hybrid.finetune.safeguards import check_finite, disk_errors
from beir_hybrid.models.base import Base, find_base
from beir_hybrid.models.manifest import TrainingManifest, file_sha256, package_versions, public_name, read_manifest
from beir_hybrid.overlap import fingerprints
from beir_hybrid.quiet import silenced
from beir_hybrid.training.trainer import HybridTrainer

_LOSSES = ("loss", "monolingual_loss", "cross_lingual_loss")


def train(
    base: str, recipe: Recipe, output: Path, resume: bool | None = False, options: RunOptions | None = None
) -> None:
    """Train a model and save it.

    In a distributed run every process calls this with the same arguments, and the first one writes.

    Args:
        base: A folder, a hub id, or ``offline``.
        recipe: All settings that the weights follow from.
        output: The folder of the model; new or empty, or with ``resume`` that of a run that ended early.
        resume: Whether to go on from the newest whole checkpoint. None for whatever the folder asks for: a run of the
            same base, data and settings is gone on with, or left as it is if it is complete; anything else is replaced.
        options: What does not change the weights.

    Raises:
        BeirHybridError: The base, the data, the settings or the output folder cannot be used, the loss is not finite,
            or a disk or the device's memory is full. Whole checkpoints stay, and no half model is left.
    """
    try:
        with silenced("transformers"):
            run, options = RunFolder(output), options or RunOptions()
            arguments = build_arguments(run.checkpoints, recipe, options)
            with run.reserved(mine=arguments.process_index == 0):
                _train(base, recipe, run, resume, options, arguments)
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(
            "the memory of the device is full: lower --batch-size or --max-length, or add --gradient-cache"
        ) from error


def _train(
    base: str,
    recipe: Recipe,
    run: RunFolder,
    resume: bool | None,
    options: RunOptions,
    arguments: SentenceTransformerTrainingArguments,
) -> None:
    first_process = arguments.process_index == 0
    if resume:
        run.check_resumable()
    elif resume is False and first_process:
        run.check_unused()
    start, data = find_base(base), read_data(recipe, arguments.world_size, progress=not options.quiet)
    facts = _run_facts(start, recipe, data, arguments.world_size)
    if resume:
        run.check_same(facts)
    elif resume is None:
        if run.done and _facts_of(read_manifest(run.root)) == facts:
            return
        resume = run.resumable(facts)
    checkpoint = run.check_resumable() if resume else None
    set_seed(recipe.seed)
    encoder = start.load(str(arguments.device), recipe.max_length)
    trainer = build_trainer(encoder, start, recipe, data, arguments, options)
    with disk_errors(run):
        if first_process:
            run.drop_incomplete() if resume else run.start(facts)
        _run_steps(trainer, checkpoint)
        _evaluate_end(trainer)
        check_finite(trainer.model, trainer.state.global_step)
        if first_process:
            model = trainer.model if recipe.tune == "full" else with_head(encoder, trainer.model)
            run.publish(lambda folder: _write(folder, model, start, recipe, data, trainer))


def train_seeds(
    base: str,
    recipe: Recipe,
    seeds: Sequence[int],
    output: Path,
    resume: bool = False,
    options: RunOptions | None = None,
) -> None:
    """Train one model for each of several seeds, into the folders ``seed-<n>`` of ``output``.

    Args:
        base: As for `train`.
        recipe: As for `train`; its seed is replaced.
        seeds: The seeds.
        output: The folder of the folders.
        resume: Whether to go on: seeds that are done are left out, one that ended early is resumed.
        options: As for `train`.

    Raises:
        BeirHybridError: As for `train`; a folder that cannot be used is found before the first seed is trained.
    """
    runs = {seed: RunFolder(output / f"seed-{seed}") for seed in seeds}
    begun = {seed for seed, run in runs.items() if resume and run.begun}
    todo = [seed for seed, run in runs.items() if not (resume and run.done)]
    if not todo:
        raise TrainingError(f"nothing to resume in {output}: all seeds are done")
    for seed in todo:
        runs[seed].check_resumable() if seed in begun else runs[seed].check_unused()
    for seed in todo:
        train(base, replace(recipe, seed=seed), runs[seed].root, seed in begun, options)


def _run_facts(start: Base, recipe: Recipe, data: TrainingData, processes: int) -> dict[str, Any]:
    """Return what must be the same when a run is resumed."""
    return {
        "base": start.name,
        "base_revision": start.revision,
        **_settings(recipe),
        "data_revisions": [part.revision for part in data.parts],
        "processes": processes,
    }


def _facts_of(manifest: TrainingManifest | None) -> dict[str, Any] | None:
    """Return what `_run_facts` returned for a run that is complete; None for a model that was not trained here."""
    if manifest is None:
        return None
    return {
        "base": manifest.base["name"],
        "base_revision": manifest.base["revision"],
        **manifest.settings,
        "data_revisions": [part["revision"] for part in manifest.data],
        "processes": manifest.processes,
    }


def _settings(recipe: Recipe) -> dict[str, Any]:
    return {**recipe.facts(), "data": [public_name(source) for source in recipe.data]}


def _run_steps(trainer: HybridTrainer, checkpoint: Path | None) -> None:
    """Train, from the start or from a checkpoint."""
    if checkpoint is None:
        trainer.train()
        return
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < state.max_steps:
        trainer.train(resume_from_checkpoint=str(checkpoint))
        return
    # All steps are done, and the run ended before its model was saved. transformers would take one step more.
    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = state


def _evaluate_end(trainer: HybridTrainer) -> None:
    """Evaluate the final weights, unless the last step was evaluated anyway."""
    evaluated = [entry["step"] for entry in trainer.state.log_history if "eval_runtime" in entry]
    if trainer.evaluator is not None and trainer.state.global_step not in evaluated:
        trainer.evaluate()


def _write(
    folder: Path, model: SentenceTransformer, start: Base, recipe: Recipe, data: TrainingData, trainer: HybridTrainer
) -> None:
    """Write the model, its card, the manifest and the fingerprints of the training texts."""
    set_logs(model, trainer)
    _forget_last_call(model)
    model.save_pretrained(str(folder))
    prints = folder / fingerprints.FILE_NAME
    fingerprints.of_pairs(data.parts).write(prints)
    seen = start.training_datasets
    manifest = TrainingManifest(
        base={
            "name": start.name,
            "revision": start.revision,
            "training_datasets": None if seen is None else sorted(seen),
        },
        data=data.facts(),
        languages=data.languages,
        pairs={name: len(rows) for name, rows in data.pairs.items()},
        settings=_settings(recipe),
        processes=trainer.args.world_size,
        steps_done=trainer.state.global_step,
        losses=_last_losses(trainer),
        fingerprints={"file": prints.name, "sha256": file_sha256(prints)},
        versions=package_versions(),
    )
    manifest.write(folder)
    add_section(folder, manifest)


def _forget_last_call(model: SentenceTransformer) -> None:
    """Let no tokenizer save how it was called last, which differs between a run and one that was resumed."""
    for module in model.modules():
        backend = getattr(getattr(module, "tokenizer", None), "backend_tokenizer", None)
        if backend is not None:
            backend.no_truncation()
            backend.no_padding()


def _last_losses(trainer: HybridTrainer) -> dict[str, float]:
    """Return each loss as it was last logged; a kind of batches that did not occur has none."""
    logged = {name: value for entry in trainer.state.log_history for name, value in entry.items()}
    return {name: logged[name] for name in _LOSSES if name in logged}
