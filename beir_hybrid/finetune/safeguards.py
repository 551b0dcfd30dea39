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

from beir_hybrid.finetune.recipe import TrainingError
from beir_hybrid.finetune.run_folder import COMPLETE, RunFolder

# What torch.save, safetensors and numpy say when they cannot write; none of them raises an OSError with a number.
_CANNOT_WRITE = ("PytorchStreamWriter", "unexpected pos", "iostream error", "No space left", "I/O error", "0 written")


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
                f"the loss is {loss} at step {state.global_step}: lower --learning-rate, raise --temperature or train "
                "with --precision fp32; nothing was saved since the last checkpoint"
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
            Path(args.output_dir, f"checkpoint-{state.global_step}", COMPLETE).touch()


def check_finite(model: nn.Module, step: int) -> None:
    """Refuse weights that are not finite.

    Args:
        model: The model.
        step: Steps done, for the message.

    Raises:
        TrainingError: A weight is NaN or infinite.
    """
    for name, weights in model.named_parameters():
        if not torch.isfinite(weights).all():
            raise TrainingError(
                f"the weights {name} are no longer finite at step {step}: lower --learning-rate, raise --temperature "
                "or train with --precision fp32; they were not saved"
            )


@contextmanager
def disk_errors(run: RunFolder) -> Iterator[None]:
    """Turn the errors of a full or read-only disk into one line that names the last whole checkpoint.

    Any other error, such as that of a tracker which has no network, passes, and nothing is deleted.

    Args:
        run: Where the block writes to.

    Raises:
        TrainingError: The block could not write.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        ours = isinstance(error, OSError) and run.is_about(error)
        if not ours and not any(words in str(error) for words in _CANNOT_WRITE):
            raise
        run.drop_incomplete()
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        checkpoint = run.last_checkpoint()
        way_on = (
            f"the last good checkpoint is {checkpoint}; make room and go on with --resume"
            if checkpoint
            else "there is no checkpoint yet"
        )
        raise TrainingError(f"cannot save to {run.root}: {reason}; {way_on}") from error
