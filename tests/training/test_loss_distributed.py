"""Two processes that share a batch get the loss and the gradients of one process with the whole batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.distributed_loss import CASES, result_of


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list]]:
    """Results of each process: case -> mean loss and mean gradient over the processes."""
    store = tmp_path_factory.mktemp("gloo") / "store"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.distributed_loss", str(rank), "2", str(store)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.parametrize("case", CASES)
def test_the_joint_batch(case: str, shared: list[dict[str, list]]) -> None:
    expected = result_of(case)
    for result in shared:
        found = tuple(torch.tensor(value, dtype=torch.float64) for value in result[case])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
