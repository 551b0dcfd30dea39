"""The processes that attacks are forked from."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.attacks.processes import pool


@pytest.fixture(scope="session")
def workers() -> Iterator[ProcessPoolExecutor]:
    with pool() as executor:
        yield executor
