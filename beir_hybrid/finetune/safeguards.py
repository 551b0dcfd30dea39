"""What keeps a run from being lost or spoilt: whole checkpoints, finite weights, and one line when a disk is full."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from beir_hybrid.files import reason
from beir_hybrid.finetune.recipe import TrainingError
from beir_hybrid.finetune.run_folder import COMPLETE, RunFolder

_WAY_OUT = "lower --learning-rate, raise --temperature or train with --precision fp32"


class Safeguards(TrainerCallback):
    """Stops a run whose loss or weights are not finite, and marks checkpoints that are whole."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Refuse a loss that is not finite."""
        loss = (logs or {}).get("loss")
        if isinstance(loss, float) and not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {state.global_step}: {_WAY_OUT}; nothing was saved since the last "
                "checkpoint"
            )

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        **_: Any,
    ) -> None:
        """Log the loss up to each checkpoint, so that a resumed run logs the same means; refuse to save NaN."""
        if control.should_save and model is not None:
            control.should_log = True
            check_finite(model, state.global_step)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Mark the checkpoint as whole, when all processes have written their part."""
        if args.distributed_state is not None:
            args.distributed_state.wait_for_everyone()
        if state.is_world_process_zero and args.output_dir is not None:
            with saving_to(RunFolder.of_checkpoints(args.output_dir)):
                Path(args.output_dir, f"checkpoint-{state.global_step}", COMPLETE).touch()


def check_finite(model: nn.Module, step: int) -> None:
    """Refuse weights that are NaN or infinite after a number of steps."""
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise TrainingError(
                f"the weights {name} are no longer finite at step {step}: {_WAY_OUT}; they were not saved"
            )


@contextmanager
def saving_to(run: RunFolder) -> Iterator[None]:
    """Turn the errors of a full or read-only disk, in a block that only saves a run, into one line with the way on."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, SafetensorError, RuntimeError) as error:  # torch.save raises a RuntimeError
        run.drop_incomplete()
        checkpoint = run.last_checkpoint()
        way_on = (
            f"the last good checkpoint is {checkpoint}; make room and go on with --resume"
            if checkpoint
            else "there is no checkpoint yet"
        )
        raise TrainingError(f"cannot save to {run.root}: {reason(error)}; {way_on}") from error
