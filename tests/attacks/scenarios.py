"""What is killed: the commands, each with what it finds in its folder and what it has to leave there.

All acts run in a fork, in the folder of their own as the working folder; what they read and write is below it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Files = dict[str, Any]
"""Name of a file, or of what is in it -> content that a test compares."""

_TIMES = {"seconds", "cpu_seconds", "date", "evaluation_time", "evaluation_phases"}
"""Keys of JSON files that no two runs share."""


@dataclass(frozen=True)
class Scenario:
    """A command.

    Attributes:
        prepare: Makes what the command finds: inputs, and what others and earlier runs have left.
        act: The command.
        again: What a user does after the command was killed.
        made: What the command leaves, to be compared with that of an undisturbed run.
        kept: Files that nobody may touch.
        whole: Folders that are at every moment those of before or those that the command makes, whole.
        shared: Folders that several processes may write to at once: an unfinished file there may be another's, and
            stays.
    """

    prepare: Callable[[], object]
    act: Callable[[], object]
    again: Callable[[], object]
    made: Callable[[], Files]
    kept: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


def use_folder() -> None:
    """Let everything be read and written in the working folder."""
    import datasets

    here = Path.cwd()
    os.environ.update(
        BEIR_HYBRID_DATA=str(here / "data"),
        BEIR_HYBRID_DATA_UNVERIFIED="1",
        BEIR_HYBRID_HOME=str(here / "home"),
        BEIR_HYBRID_MIRACL=str(here / "data"),
        BEIR_HYBRID_CHUNK_SIZE="20",
        MTEB_CACHE=str(here / "home" / "mteb"),
        HF_HUB_OFFLINE="1",
    )
    datasets.config.HF_DATASETS_CACHE = str(here.with_name("hub"))  # not ours to attack


def beir_hybrid(line: str) -> None:
    """Run a command line of ours; it ends in SystemExit."""
    from beir_hybrid.cli import main

    use_folder()
    sys.argv = ["beir-hybrid", *line.split()]
    main()


def status_of(act: Callable[..., object], *arguments: Any) -> int:
    """Return the exit code of a command."""
    try:
        act(*arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def check(act: Callable[..., object], *arguments: Any) -> None:
    """Run a command that must succeed."""
    assert status_of(act, *arguments) == 0, arguments


# What files hold


def json_of(path: Path) -> Any:
    """Return what a JSON file says, without times, and whatever the folder and the order of subsets."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items() if key not in _TIMES}
        if isinstance(value, list):
            subsets = {str(each.get("hf_subset")): plain(each) for each in value if isinstance(each, dict)}
            return subsets if len(subsets) == len(value) else [plain(each) for each in value]
        return value

    text = path.read_text(encoding="utf-8").replace(str(Path.cwd()), "")
    return plain(json.loads(text, parse_constant=str))  # NaN is not equal to itself


def ranks_of(path: Path) -> Any:
    """Return the rows of a rank table, and what it says of them."""
    from dataclasses import asdict

    from beir_hybrid.ranks import rank_table

    table, info = rank_table.read(path)
    return [table.to_pylist(), json.loads(json.dumps(asdict(info), default=repr))]


def weights_of(path: Path) -> Any:
    """Return the tensors of a file."""
    from safetensors.numpy import load_file

    return {name: values.tolist() for name, values in load_file(path).items()}


_READERS: Mapping[str, Callable[[Path], Any]] = {".json": json_of, ".parquet": ranks_of, ".safetensors": weights_of}


def files(*patterns: str) -> Files:
    """Return the content of files below the working folder: patterns of names -> content."""
    found = {path for pattern in patterns for path in Path().glob(pattern) if path.is_file()}
    return {str(path): _READERS.get(path.suffix, Path.read_bytes)(path) for path in sorted(found)}


def bytes_below(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# mteb run

_RUN = "run --tasks XQuADR --output-folder results -m"


def mteb_run(line: str) -> None:
    """Run a command line of mteb."""
    from mteb.cli.build_cli import main

    use_folder()
    sys.argv = ["mteb", *line.split()]
    main()


def _prepare_run() -> None:
    from tests.support import small_xquad
    from tests.support.small_models import save_labse

    small_xquad.write(Path("data"))
    for seed, name in enumerate(("model", "other")):
        save_labse(Path(name), seed)
        check(mteb_run, f"{_RUN} {name} -l deu")


def _made_by_run() -> Files:
    # Not model_meta.json: where only that file is cut, mteb has nothing to compute, and does not write it again.
    return files("results/results/*/*/XQuADR.json", "home/ranks/**/*.parquet")


# MIRACL


def _encoder(name: str, fails_at: int | None = None) -> Any:
    from tests.support.mteb_models import CountingEncoder, vector_of

    def spoil(embeddings: Any, **_: Any) -> Any:
        if fails_at is not None and len(encoder.texts) > fails_at:
            raise KeyboardInterrupt
        return embeddings

    encoder = CountingEncoder(lambda text: vector_of(f"{name} {text}"), spoil, name)
    return encoder


def miracl(name: str = "model", fails_at: int | None = None) -> None:
    """Evaluate a model on MIRACL, chunk by chunk.

    Args:
        name: The model's.
        fails_at: The text at which the user breaks the run off.
    """
    import mteb
    from mteb.cache import ResultCache

    from beir_hybrid.tasks.miracl import MIRACLCLFull

    use_folder()
    encoder = _encoder(name, fails_at)
    mteb.evaluate(
        encoder,
        MIRACLCLFull(),
        cache=ResultCache(Path("results")),
        co2_tracker=False,
        show_progress_bar=False,
        encode_kwargs={"show_progress_bar": False},
    )
    print(f"encoded {len(encoder.texts)}")


def _prepare_miracl() -> None:
    from contextlib import suppress

    from tests.support import small_miracl

    small_miracl.write(Path("data"))
    miracl("done")
    with suppress(KeyboardInterrupt):
        miracl("broken-off", fails_at=100)
    assert list(Path("home/checkpoints").rglob("*.safetensors"))


def _made_by_miracl() -> Files:
    made = files("results/results/*model/*/MIRACLCLFull.json", "home/ranks/*model/**/*.parquet")
    left = list(Path("home/checkpoints").glob("*model/**/*.safetensors"))
    return {**made, "checkpoints": [str(path) for path in left]}


# train

_TRAIN = (
    "train --base base --data xquad-r --languages en,de --batch-size 2 --learning-rate 0.01 --steps 4 --save-steps 2"
)


def _prepare_train() -> None:
    from tests.support import small_xquad
    from tests.support.small_models import save_labse

    small_xquad.write(Path("data"))
    save_labse(Path("base"))


def _train(tune: str) -> Callable[[], object]:
    return lambda: beir_hybrid(f"{_TRAIN} --tune {tune} --save-steps 2 --quiet --output out")


def _train_again(tune: str) -> Callable[[], object]:
    """Go on, and do as the messages say: begin again where no checkpoint is, and nothing where the model is there."""

    def again() -> None:
        status = status_of(beir_hybrid, f"{_TRAIN} --tune {tune} --save-steps 2 --quiet --output out --resume")
        if status and not Path("out/modules.json").exists():
            _train(tune)()

    return again


def _made_by_train() -> Files:
    made = files("out/**/*.safetensors", "out/**/*.json")
    return {**made, "files": sorted(str(path) for path in Path("out").rglob("*"))}


# export and leaderboard


def _prepare_export() -> None:
    from tests.support import small_xquad

    small_xquad.write(Path("data"))
    check(beir_hybrid, "export xquad-r --out datasets --languages en,de")
    document = Path("data/lareqa/xquad-r/de.json")
    document.write_text(document.read_text(encoding="utf-8").replace("de sentence", "de Sentence"), encoding="utf-8")


_BOARD = """
[board]
flips = 500
resamples = 200
ask_mteb = false
"""


def _prepare_leaderboard() -> None:
    from tests.support.small_ranks import write_ranks

    Path("leaderboard.toml").write_text(_BOARD, encoding="utf-8")
    for folder, models in {"old": ("a",), "new": ("a", "b"), "other": ("b", "c")}.items():
        for seed, model in enumerate(models):
            write_ranks(Path(folder), f"me/{model}", 0.5, seed=seed)
    check(beir_hybrid, leaderboard("old"))


def leaderboard(ranks: str) -> str:
    """Return the command line that makes a leaderboard of a folder of rank tables."""
    return f"leaderboard --ranks {ranks}/ranks --settings leaderboard.toml --out board --quiet"


# study

_STUDY = """
[study]
name = "tiny"
held_out = 0.3
anchors = ["untuned"]
[[base]]
name = "base"
model = "base"
tune = "{tune}"
steps = 4
batch_size = 2
learning_rates = [0.001, 0.01]
temperatures = [0.05]
seeds = [0]
[[experiment]]
name = "e"
train = ["xquad-r"]
tasks = ["MLQAR"]
languages = ["en", "de"]
"""


def _prepare_study(tune: str) -> Callable[[], object]:
    def prepare() -> None:
        _prepare_train()
        Path("study.toml").write_text(_STUDY.format(tune=tune), encoding="utf-8")

    return prepare


def _study() -> None:
    beir_hybrid("study study.toml --out out --quiet")


def _made_by_study() -> Files:
    return files(
        "out/study.json", "out/items/**/*.json", "out/results/**/MLQAR.json", "out/ranks/**/*.parquet",
        "out/models/**/*.safetensors",
    )  # fmt: skip


def _scenario(prepare: Any, act: Any, made: Any, again: Any = None, **more: Any) -> Scenario:
    return Scenario(prepare, act, again or act, made, **more)


_SHARED = ("home/embeddings", "out/items")

SCENARIOS = {
    "mteb-run": _scenario(
        _prepare_run,
        lambda: mteb_run(f"{_RUN} model -l eng deu"),
        _made_by_run,
    ),
    "miracl": _scenario(
        _prepare_miracl,
        miracl,
        _made_by_miracl,
        kept=("results/results/tests__done", "home/ranks/tests__done", "home/checkpoints/tests__broken-off"),
    ),
    "train-head": _scenario(
        _prepare_train, _train("head"), _made_by_train, _train_again("head"), kept=("base",), shared=_SHARED
    ),
    "train-full": _scenario(_prepare_train, _train("full"), _made_by_train, _train_again("full"), kept=("base",)),
    "export": _scenario(
        _prepare_export,
        lambda: beir_hybrid("export xquad-r --out datasets --force --quiet --languages en,de"),
        lambda: bytes_below(Path("datasets/xquad-r")),
        whole=("datasets/xquad-r",),
    ),
    "leaderboard": _scenario(
        _prepare_leaderboard,
        lambda: beir_hybrid(leaderboard("new")),
        lambda: bytes_below(Path("board")),
        kept=("old", "new"),
        whole=("board",),
    ),
    "study-head": _scenario(_prepare_study("head"), _study, _made_by_study, kept=("base",), shared=_SHARED),
    "study-full": _scenario(_prepare_study("full"), _study, _made_by_study, kept=("base",), shared=_SHARED),
}
