"""What starting costs, and where the seconds of `mteb run` go that are not encoding: ``python -m benchmarks.startup``.

Commands are started in turns, and what they took is divided by what ``python -c pass`` took in the same run. Then
``mteb run`` evaluates a static model of random vectors on the 132 subsets of XQuAD-R, once as it is and once with
MTEB's own way to save: all results anew after each subset. Seconds are processor time of one thread, medians. It writes
the record leaderboard/published/measurements/startup.json. BEIR_HYBRID_DATA names the folder with the data. What the
hook costs a process that never imports mteb is told by ``python -m benchmarks.autoload``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
RECORD = REPOSITORY / "leaderboard" / "published" / "measurements" / "startup.json"
DIMENSIONS = 384
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
NO_HOOK = {"BEIR_HYBRID_AUTOLOAD": "0"}

START, REST = "start and import", "everything else"
PARTS = (START, "reading", "encoding", "counting and scores", "saving", REST)


class Parts:
    """The processor time of the parts of this process; what is called inside a part and is one itself counts there."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._stack = [START]
        self._since = 0.0  # of the process: the interpreter's start is part of the first

    def switch(self, part: str | None) -> None:
        """Begin a part, or with None go back to the one around it."""
        now = time.process_time()
        self.seconds[self._stack[-1]] += now - self._since
        self._since = now
        if part is None:
            self._stack.pop()
        else:
            self._stack.append(part)

    def time(self, owner: Any, name: str, part: str) -> None:
        """Count the calls of a function for a part."""
        function: Callable[..., Any] = getattr(owner, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.switch(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.switch(None)

        setattr(owner, name, timed)


def run_in_parts(model: str, folder: str, saves_each: bool) -> dict[str, float]:
    """Run MTEB's command line in this process, and return the seconds of its parts."""
    parts = Parts()
    import mteb.cli
    from mteb.cache import ResultCache
    from mteb.results import TaskResult

    from beir_hybrid.mteb.encode import Call
    from beir_hybrid.mteb.evaluation import Evaluation
    from beir_hybrid.tasks import AbsTaskParallelRetrieval

    if saves_each:
        AbsTaskParallelRetrieval.comes_at_once = lambda *_: False  # type: ignore[method-assign]
    parts.time(mteb, "get_model", START)
    parts.time(AbsTaskParallelRetrieval, "load_data", "reading")
    parts.time(Call, "embed", "encoding")
    parts.time(Evaluation, "evaluate", "counting and scores")
    parts.time(TaskResult, "from_task_results", "saving")
    parts.time(ResultCache, "save_to_cache", "saving")
    parts.switch(REST)
    sys.argv = ["mteb", "run", "-m", model, "--tasks", "XQuADR", "--output-folder", folder]
    mteb.cli.main()
    parts.switch(None)
    return {**parts.seconds, "all": time.process_time()}


def save_model(folder: Path) -> Path:
    """Save a static model that has a random vector for every word of XQuAD-R."""
    from tokenizers.pre_tokenizers import Whitespace

    from beir_hybrid.corpora import load
    from tests.support.tiny_model import tiny_model

    parts = load("xquad-r").languages.values()
    texts = [text for part in parts for text in (*part.questions, *part.passages)]
    words = {word for text in texts for word, _ in Whitespace().pre_tokenize_str(text)}
    tiny_model(words=sorted(words - {"[UNK]"}), dimensions=DIMENSIONS).save(str(folder), create_model_card=False)
    return folder


def processor_seconds(command: Sequence[str], **environment: str) -> float:
    """Run a command and return the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, **ONE_THREAD, **environment})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_commands(results: Path, rounds: int) -> list[dict[str, Any]]:
    """Start every command in turns, and return what each took and how often that of the first one."""
    python, program = [sys.executable, "-c"], [sys.executable, "-m", "beir_hybrid"]
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "python -c pass": ([*python, "pass"], {}),
        'python -c "import beir_hybrid"': ([*python, "import beir_hybrid"], {}),
        "beir-hybrid --version": ([*program, "--version"], {}),
        "beir-hybrid --help": ([*program, "--help"], {}),
        "beir-hybrid scores DIR": ([*program, "scores", str(results)], {}),
        'python -c "import mteb"': ([*python, "import mteb"], {}),
        'python -c "import mteb", BEIR_HYBRID_AUTOLOAD=0': ([*python, "import mteb"], NO_HOOK),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (command, environment) in commands.items():
            seconds[name].append(processor_seconds(command, **environment))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    bare = medians["python -c pass"]
    return [
        {"command": name, "milliseconds": round(1000 * median), "times_pass": round(median / bare, 1)}
        for name, median in medians.items()
    ]


def time_runs(model: Path, folder: Path, rounds: int) -> list[dict[str, Any]]:
    """Run MTEB in both ways in turns, and return the median seconds of each part."""
    ways: Mapping[str, list[str]] = {"with BEIR-Hybrid": [], "saved after each subset": ["--saves-each"]}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, options in ways.items():
            results, home = folder / f"results-{number}-{len(options)}", folder / f"home-{number}-{len(options)}"
            command = [sys.executable, "-m", "benchmarks.startup", "--run", str(model), str(results), *options]
            environment = {**os.environ, **ONE_THREAD, "BEIR_HYBRID_HOME": str(home)}
            done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
            found[way].append(json.loads(done.stdout.splitlines()[-1]))
            print(way, {part: round(seconds, 1) for part, seconds in found[way][-1].items()}, flush=True)
    return [
        {
            "way": way,
            **{part: round(statistics.median(run[part] for run in runs), 1) for part in (*PARTS, "all")},
        }
        for way, runs in found.items()
    ]


def main() -> None:
    """Measure, print and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=9, help="starts of each command")
    parser.add_argument("--runs", type=int, default=3, help="runs of `mteb run` in each way")
    parser.add_argument("--run", nargs=2, metavar=("MODEL", "FOLDER"), help="run once in this process and print JSON")
    parser.add_argument("--saves-each", action="store_true", help="with --run: save after each subset")
    arguments = parser.parse_args()
    if arguments.run:
        model, results = arguments.run
        print(json.dumps(run_in_parts(model, results, arguments.saves_each)))
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = time_runs(save_model(Path(folder, "model")), Path(folder), arguments.runs)
        commands = time_commands(Path(folder, "results-0-0"), arguments.starts)
    for rows in (commands, runs):
        for row in rows:
            print(row)
    from beir_hybrid.files import write_json

    write_json(
        RECORD,
        {
            "what": "What starting costs, and where the seconds of `mteb run` of a static model over the 132 "
            "subsets of XQuAD-R go: processor time of one thread, medians.",
            "command": "python -m benchmarks.startup",
            "machine": "2 cores (2 threads of one AMD EPYC core pair), no GPU; other programs beside it",
            "versions": {"Python": platform.python_version(), **{name: version(name) for name in ("mteb", "typer")}},
            "figures": {"commands": commands, "runs": runs},
        },
    )


if __name__ == "__main__":
    main()
