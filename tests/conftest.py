"""Where the tests find the real data, and what keeps them off the user's own folders and the network."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings
from tqdm.std import tqdm

from tests.support.quick_mteb import make_mteb_quick
from tests.support.tools import missing

LONGEST = (
    # These fork what they attack, and come before anything that starts threads.
    "attacks/test_kills.py",
    "attacks/test_together.py",
    "cluster/test_killed_shards.py",
    "tasks/test_miracl.py",
    "tests/test_packaging.py",
    "study/test_study.py",
    "tasks/test_real_xquad_r.py",
    "models/test_model_folders.py",
)
BESIDE_THE_CHECKOUT = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure() -> None:
    # Before the test modules import anything: the hub's client reads this once. Processes that tests start inherit it.
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Tests run side by side, one process a core, and fork, which threads do not survive.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    tqdm.monitor_interval = 0  # no thread of its own that has tqdm's lock while another one forks
    # A busy machine must not fail a test: nothing here measures time. In CI the examples are the same in every run, so
    # that a change is judged by what it changed; elsewhere they are new ones each time.
    settings.register_profile("beir-hybrid", deadline=None, derandomize=os.environ.get("CI") == "true")
    settings.load_profile("beir-hybrid")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that take longest come first, so that all processes end at about the same time."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(f"{item.path.parent.name}/{item.path.name}", len(LONGEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if line := missing():
        terminalreporter.write_line(f"Some tests were skipped: {line}", yellow=True)


def pytest_collection_finish() -> None:
    make_mteb_quick()  # the test modules have imported MTEB, or have no need of it
    # What they have imported stays: trainers collect garbage often, and would look through all of it each time.
    gc.collect()
    gc.freeze()


def real_data() -> Path | None:
    """Return the folder of the real data sets, if it is there and not empty."""
    folder = Path(os.environ.get("BEIR_HYBRID_DATA") or BESIDE_THE_CHECKOUT).resolve()
    return folder if folder.is_dir() and any(folder.iterdir()) else None


REAL_DATA = real_data()


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Point everything that is read and written by default at the real data, if any, and at a temporary folder."""
    home = tmp_path_factory.mktemp("home")
    os.environ["BEIR_HYBRID_HOME"] = str(home)
    os.environ["MTEB_CACHE"] = str(home / "mteb")
    if REAL_DATA is not None:
        os.environ["BEIR_HYBRID_DATA"] = str(REAL_DATA)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of the real data sets; for tests marked ``real_data``."""
    assert REAL_DATA is not None, "mark this test with real_data"
    return REAL_DATA


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real_data") is None or REAL_DATA is not None:
        return
    reason = "no real data: set BEIR_HYBRID_DATA to the folder that holds lareqa/"
    if os.environ.get("BEIR_HYBRID_REQUIRE_DATA") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
