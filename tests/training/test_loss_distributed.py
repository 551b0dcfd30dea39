"""Two processes that share a batch get the loss and the gradients of one process with the whole batch."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch

from tests.support.distributed_loss import CASES, mean_results, result_of
from tests.support.processes import run_ranks


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list]]:
    """Results of each process: case -> mean loss and mean gradient over the processes."""
    folder = tmp_path_factory.mktemp("gloo")
    run_ranks(partial(mean_results, folder), 2, folder)
    return [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_the_joint_batch(case: str, shared: list[dict[str, list]]) -> None:
    expected = result_of(case)
    for result in shared:
        found = tuple(torch.tensor(value, dtype=torch.float64) for value in result[case])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
