"""A training run that dies in the middle of saving a checkpoint; ``tests/test_train.py`` starts it.

Usage: python -m tests.support.killed_train STEP ARGUMENT...
"""

from __future__ import annotations

import os
import signal
import sys

from transformers import Trainer

from beir_hybrid import cli


def main() -> None:
    step = int(sys.argv[1])
    sys.argv = ["beir-hybrid", *sys.argv[2:]]
    save = Trainer._save_optimizer_and_scheduler

    def die_or_save(self: Trainer, folder: str) -> None:
        if self.state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, folder)

    Trainer._save_optimizer_and_scheduler = die_or_save
    cli.main()


if __name__ == "__main__":
    main()
