"""One training run: from a base, pairs and a recipe to a model's folder, on the trainer of Sentence Transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from transformers import TrainerState, set_seed

from beir_hybrid.finetune.head import fill_embeddings, head_model, matrix_of, set_matrix, with_head
from beir_hybrid.finetune.mined import mine_sources
from beir_hybrid.finetune.model_card import set_logs
from beir_hybrid.finetune.recipe import Recipe, RunOptions, TrainingError
from beir_hybrid.finetune.run_data import TrainingData, data_of, public_name, read_data
from beir_hybrid.finetune.run_folder import RunFolder
from beir_hybrid.finetune.run_trainer import build_arguments, build_trainer, last_losses, open_evaluator
from beir_hybrid.finetune.safeguards import check_finite, saving_to
from beir_hybrid.finetune.saved_model import write_model
from beir_hybrid.finetune.start import Start, find_start, interpolated, start_matrix, with_start
from beir_hybrid.models.base import Base, find_base, training_prompts
from beir_hybrid.models.manifest import TrainingManifest, read_manifest
from beir_hybrid.quiet import silenced
from beir_hybrid.training.evaluator import MultilingualRetrievalEvaluator
from beir_hybrid.training.parallel_pairs import texts_by_column
from beir_hybrid.training.trainer import HybridTrainer


def train(
    base: str, recipe: Recipe, output: Path, resume: bool | None = False, options: RunOptions | None = None
) -> TrainingManifest | None:
    """Train a model and save it.

    In a distributed run every process calls this with the same arguments, and the first one writes.

    Args:
        base: A folder, a hub id, or ``offline``.
        recipe: All settings that the weights follow from.
        output: The folder of the model; new or empty, or with ``resume`` that of a run that ended early.
        resume: Whether to go on from the newest whole checkpoint. None for whatever the folder asks for: a run of the
            same base, data and settings is gone on with, or left as it is if it is complete; anything else is replaced.
        options: What does not change the weights.

    Returns:
        The manifest of the model; None in the processes that do not write.

    Raises:
        BeirHybridError: The base, the data, the settings or the output folder cannot be used, the loss is not finite,
            or a disk or the device's memory is full. Whole checkpoints stay, and no half model is left.
    """
    run, options = RunFolder(output), options or RunOptions()
    try:
        with silenced("transformers"):
            arguments = build_arguments(run.checkpoints, recipe, options)
            with run.reserved(mine=arguments.process_index == 0):
                return _train(base, recipe, run, resume, options, arguments)
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
) -> TrainingManifest | None:
    first_process = arguments.process_index == 0
    if resume:
        run.check_resumable()
    elif resume is False and first_process:
        run.check_unused()
    origin = find_base(base)
    start = find_start(recipe.start, origin)
    progress = not options.quiet
    data = read_data(recipe, arguments.world_size, progress)
    named = {"name": origin.name, "revision": origin.revision}
    facts = _run_facts(named, _settings(recipe, start), _sources(data, start), arguments.world_size)
    if resume:
        run.check_same(facts)
    elif resume is None:
        complete = read_manifest(run.root) if run.done else None
        if complete is not None and _facts_of(complete) == facts:
            return complete if first_process else None
        resume = run.resumable(facts)
    checkpoint = run.check_resumable() if resume else None
    set_seed(recipe.seed)
    encoder, evaluator = origin.load(str(arguments.device), recipe.max_length), open_evaluator(options)
    if recipe.mine is not None:
        data = _with_mined(data, encoder, origin, recipe, arguments, options)
    if recipe.tune == "full":
        model = with_start(encoder, start, origin, data.parts, recipe.freeze_start, progress)
    else:
        model = _stand_in(encoder, origin, data, evaluator, progress)
        matrix = start_matrix(start, model, data.parts, progress)
        set_matrix(model, matrix)
    trainer = build_trainer(model, origin, data, recipe, arguments, evaluator, options.quiet)
    if first_process:
        with saving_to(run):
            run.drop_incomplete() if resume else run.start(facts)
    _run_steps(trainer, checkpoint)
    if recipe.interpolation != 1:
        set_matrix(trainer.model, interpolated(matrix, matrix_of(trainer.model), recipe.interpolation))
    _evaluate_end(trainer, recipe.interpolation != 1)
    check_finite(trainer.model, trainer.state.global_step)
    if not first_process:
        return None
    trained = trainer.model if recipe.tune == "full" else with_head(encoder, trainer.model)
    with saving_to(run), run.publishing() as folder:
        set_logs(trained, trainer)
        return write_model(
            folder,
            trained,
            origin,
            data.parts,
            seen=start.fingerprints,
            data=_sources(data, start),
            languages=data.languages,
            pairs={name: len(rows) for name, rows in data.pairs.items()},
            settings=_settings(recipe, start),
            processes=trainer.args.world_size,
            steps_done=trainer.state.global_step,
            losses=last_losses(trainer),
        )


def train_seeds(
    base: str,
    recipe: Recipe,
    seeds: Sequence[int],
    output: Path,
    resume: bool = False,
    options: RunOptions | None = None,
) -> dict[Path, TrainingManifest | None]:
    """Train one model for each of several seeds, into the folders ``seed-<n>`` of ``output``; all else as for `train`.

    With ``resume``, seeds that are done are left out, and one that ended early is resumed.

    Returns:
        Folder of a seed -> what `train` returned, now or earlier.

    Raises:
        BeirHybridError: As for `train`; a folder that cannot be used is found before the first seed is trained.
    """
    folders = {seed: output / f"seed-{seed}" for seed in seeds}
    runs = {seed: RunFolder(folder) for seed, folder in folders.items()}
    begun = {seed for seed, run in runs.items() if resume and run.begun}
    done = {seed: read_manifest(run.root) for seed, run in runs.items() if resume and run.done}
    if len(done) == len(runs):
        raise TrainingError(f"nothing to resume in {output}: all seeds are done")
    todo = [seed for seed in seeds if seed not in done]
    for seed in todo:
        runs[seed].check_resumable() if seed in begun else runs[seed].check_unused()
    trained = {seed: train(base, replace(recipe, seed=seed), folders[seed], seed in begun, options) for seed in todo}
    return {folders[seed]: manifest for seed, manifest in sorted({**done, **trained}.items())}


def _with_mined(
    data: TrainingData,
    encoder: SentenceTransformer,
    origin: Base,
    recipe: Recipe,
    arguments: SentenceTransformerTrainingArguments,
    options: RunOptions,
) -> TrainingData:
    """Return the data with the hard negatives that the base finds, and say how many rows have too few."""
    assert recipe.mine is not None, "there is something to mine"
    parts = mine_sources(data.parts, encoder, origin.revision, recipe.mine, progress=not options.quiet)
    if arguments.process_index == 0 and not options.quiet:
        for mined in parts:
            print(f"{public_name(mined.pairs.source)}: {mined.summary()}")
    return data_of([mined.pairs for mined in parts], recipe, arguments.world_size)


def _stand_in(
    encoder: SentenceTransformer,
    origin: Base,
    data: TrainingData,
    evaluator: MultilingualRetrievalEvaluator | None,
    progress: bool,
) -> SentenceTransformer:
    """Return what stands in for a base while its head is trained, with all texts that it will be asked for."""
    model, texts = head_model(encoder, origin.revision), texts_by_column(data.parts)
    for part in evaluator.corpus.languages.values() if evaluator else ():
        texts["question"] += part.questions
        texts["answer"] += part.passages
    for column, prompt in training_prompts(encoder).items():
        fill_embeddings(model, prompt, texts[column], progress)
    return model


def _run_facts(
    base: Mapping[str, Any], settings: Mapping[str, Any], data: Sequence[Mapping[str, Any]], processes: int
) -> dict[str, Any]:
    """Return what must be the same when a run is gone on with."""
    revisions = [part["revision"] for part in data]
    named = {"base": base["name"], "base_revision": base["revision"]}
    return {**named, **settings, "data_revisions": revisions, "processes": processes}


def _facts_of(manifest: TrainingManifest) -> dict[str, Any]:
    return _run_facts(manifest.base, manifest.settings, manifest.data, manifest.processes)


def _settings(recipe: Recipe, start: Start) -> Mapping[str, Any]:
    return {**recipe.facts(), "data": [public_name(source) for source in recipe.data], **start.facts()}


def _sources(data: TrainingData, start: Start) -> list[dict[str, Any]]:
    """Return what the model has seen: the training data, and what its start was made of."""
    return [*data.facts(), *start.data()]


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


def _evaluate_end(trainer: HybridTrainer, again: bool) -> None:
    """Evaluate the final weights; if not ``again``, only where those of the last step were not evaluated."""
    evaluated = [entry["step"] for entry in trainer.state.log_history if "eval_runtime" in entry]
    if trainer.evaluator is not None and (again or trainer.state.global_step not in evaluated):
        trainer.evaluate()
