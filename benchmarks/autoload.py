"""What the autoload hook costs a Python process that never imports mteb: ``python -m benchmarks.autoload``.

Two bare environments, one with the package's .pth file and one without, start ``python -c pass`` in turn; the figure is
the median of the differences. The time that importing the hook takes inside a process stands beside it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

import beir_hybrid

TIME_THE_IMPORT = (
    "from time import perf_counter as clock; start = clock(); import beir_hybrid.mteb.hook; print(clock() - start)"
)


def make_environment(folder: Path, with_hook: bool) -> Path:
    """Create an environment that holds nothing but this package.

    Args:
        folder: Where to create it.
        with_hook: Whether it gets the .pth file.

    Returns:
        Its Python.
    """
    venv.create(folder, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site_packages = Path(run(python, "import sysconfig; print(sysconfig.get_path('purelib'))")[1].strip())
    source = Path(beir_hybrid.__file__).parent
    shutil.copytree(source, site_packages / "beir_hybrid", ignore=shutil.ignore_patterns("__pycache__"))
    if with_hook:
        (site_packages / "beir_hybrid.pth").write_text("import beir_hybrid.mteb.hook\n", encoding="utf-8")
    subprocess.run([python, "-m", "compileall", "-q", site_packages], check=True)  # as pip does
    return python


def run(python: Path, code: str) -> tuple[float, str]:
    """Run a line of Python in a process of its own.

    Args:
        python: The interpreter.
        code: What it runs.

    Returns:
        Seconds from start to exit, and what it printed.
    """
    start = time.perf_counter()
    # Outside the checkout, so that the environment's own copy of the package is the one that is imported.
    done = subprocess.run([python, "-c", code], cwd=python.parent, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - start, done.stdout


def compare(runs: int) -> None:
    """Measure and print.

    Args:
        runs: Number of processes started for each figure.
    """
    with tempfile.TemporaryDirectory() as folder:
        hooked = make_environment(Path(folder, "with"), with_hook=True)
        bare = make_environment(Path(folder, "without"), with_hook=False)
        for python in (hooked, bare) * 5:  # warms the file cache
            run(python, "import beir_hybrid.mteb.hook")
        pairs = [(run(hooked, "pass")[0], run(bare, "pass")[0]) for _ in range(runs)]
        imports = [float(run(bare, TIME_THE_IMPORT)[1]) for _ in range(runs)]
    print(f"{'python -c pass':34} median of {runs} runs, in turn")
    print(f"{'  with the hook':34} {milliseconds([pair[0] for pair in pairs])}")
    print(f"{'  without':34} {milliseconds([pair[1] for pair in pairs])}")
    print(f"{'  difference of each pair':34} {milliseconds([hooked - bare for hooked, bare in pairs])}")
    print(f"{'import beir_hybrid.mteb.hook alone':34} {milliseconds(imports)}")


def milliseconds(seconds: Sequence[float]) -> str:
    """Return the median in milliseconds, with the quartiles behind it."""
    low, middle, high = (1000 * cut for cut in statistics.quantiles(seconds, n=4))
    return f"{middle:7.3f} ms  (quartiles {low:.3f} to {high:.3f})"


def main() -> None:
    """Read the number of runs and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300, help="processes started for each figure")
    compare(parser.parse_args().runs)


if __name__ == "__main__":
    main()
