"""One of two processes that train together; ``tests/test_trainer.py`` starts it.

Usage: python -m tests.support.distributed_trainer FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.tiny_model import tiny_model
from tests.training.test_trainer import NamedLoss, NamedTrainer, arguments, losses_of, pairs


def main() -> None:
    model = tiny_model()
    args = arguments(Path(sys.argv[1]), max_steps=6, logging_steps=6)
    values = [float(10**args.process_index * step) for step in range(args.max_steps)]
    trainer = NamedTrainer(model=model, args=args, train_dataset=pairs(n_rows=400), loss=NamedLoss(model, list(values)))
    trainer.train()
    [log, _] = trainer.state.log_history or [{}, {}]
    print(json.dumps({"names": trainer.names, "values": values, "log": losses_of(log)}))


if __name__ == "__main__":
    main()
