"""A pass in chunks: killed at any moment, told to end, or without room on the disk it loses nothing; writes by time."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.ranks.model_state import SAMPLED_TEXTS, SampledText
from beir_hybrid.scoring import chunked
from beir_hybrid.scoring.chunk_plan import ChunkPlan
from beir_hybrid.scoring.chunked import ChunkedRun
from beir_hybrid.scoring.interruptions import Interruptions
from beir_hybrid.scoring.partial_counts import PartialCounts
from beir_hybrid.scoring.pass_folder import PLAN, PassFolder
from beir_hybrid.scoring.shards import WHOLE, Shard
from tests.support.mteb_models import vector_of
from tests.support.processes import Ended
from tests.support.processes import run as run_forked
from tests.support.random_corpus import random_corpus

CORPUS = random_corpus({"en": 45, "de": 38, "zh": 27}, 8, ignore=True)
LANGUAGES = [*CORPUS.languages]
CHUNK_SIZE = 6
N_TEXTS = 3 * 8 + 45 + 38 + 27


@pytest.fixture(autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Handle SIGINT as Python does; a shell lets what it runs in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Model:
    """Gives every text a vector of its own, and notes what it was asked, in a file that outlives its process.

    Args:
        log: The file.
        before: Called before each call with ``embed`` or ``score`` and the number of such calls until then.
    """

    def __init__(self, log: Path, before: Callable[[str, int], object] = lambda what, number: None) -> None:
        self.log, self._before = log, before
        self.calls = Counter[str]()

    def _called(self, what: str) -> None:
        self._before(what, self.calls[what])
        self.calls[what] += 1

    def embed(self, kind: str, language: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        self._called("embed")
        with self.log.open("a") as file:
            file.writelines(f"{kind} {language} {row}\n" for row in rows)
        return np.stack([vector_of(f"{kind} {language} {row}") for row in rows])

    def similarity(self, questions: Any, passages: Any) -> torch.Tensor:
        self._called("score")
        return torch.as_tensor(questions) @ torch.as_tensor(passages).T

    @property
    def texts(self) -> Counter[str]:
        return Counter(self.log.read_text().splitlines()) if self.log.exists() else Counter()


def run_of(root: Path, model: Model | None = None, **options: Any) -> ChunkedRun:
    model = model or Model(root / "log")
    return ChunkedRun(
        name="T",
        embed=model.embed,
        similarity=model.similarity,
        plan=ChunkPlan(CORPUS, LANGUAGES, LANGUAGES, CHUNK_SIZE),
        folder=PassFolder.of({"model": "m", "model_revision": "1", "task": "T"}, root),
        **options,
    )


def texts_in(root: Path) -> Counter[str]:
    return Model(root / "log").texts


def state_of(counts: PartialCounts) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in counts.arrays()[0].items()}


def saved(root: Path) -> PartialCounts:
    """Return the counts that a run has left."""
    counts = run_of(root).restored()
    assert counts is not None
    return counts


@pytest.fixture(scope="module", autouse=True)
def small_tiles() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked, "TILE", 16)
        yield


class Whole(NamedTuple):
    """A run that nothing disturbs: its state, the calls of its model, and the processor's time that it took."""

    state: dict[str, bytes]
    calls: Counter[str]
    seconds: float


@pytest.fixture(scope="module")
def whole(small_tiles: None, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    model, began = Model(folder / "log"), time.process_time()
    state = state_of(run_of(folder, model, checkpoint_seconds=0).count())
    seconds = time.process_time() - began
    assert model.texts.total() == len(model.texts) == N_TEXTS
    return Whole(state, model.calls, seconds)


# Kills


def test_20_kills_at_random_moments_lose_nothing(whole: Whole, tmp_path: Path) -> None:
    """Each process dies after a random share of the processor's time that a whole run takes."""
    generator = np.random.default_rng(18)
    kills = runs = 0
    while kills < 20:
        root = tmp_path / str(runs)
        root.mkdir()

        def act(root: Path, moment: float) -> None:
            signal.setitimer(signal.ITIMER_PROF, moment)  # its signal kills
            run_of(root, checkpoint_seconds=0).count()
            signal.setitimer(signal.ITIMER_PROF, 0)

        for attempt in range(200):
            # On a busy machine a fork may need more of the processor than the whole run did: later ones have it.
            moment = generator.uniform(0.01, 0.6) * whole.seconds * (1 + attempt / 10)
            ended = run_forked(partial(act, root, moment), root)
            if ended.status != -signal.SIGPROF:
                break
            kills += 1
        assert ended.status == 0, ended.output
        assert state_of(saved(root)) == whole.state
        runs += 1


def test_a_kill_at_every_write_encodes_no_text_again(whole: Whole, tmp_path: Path) -> None:
    def act() -> None:
        save = PassFolder.save

        def save_and_die(*args: Any, **kwargs: Any) -> None:
            save(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        PassFolder.save = save_and_die  # type: ignore[method-assign]
        run_of(tmp_path, checkpoint_seconds=0).count()

    kills = 0
    while (ended := run_forked(act, tmp_path)).killed:
        kills += 1
    assert ended.status == 0, ended.output
    chunks = run_of(tmp_path).plan.chunks.values()
    # Questions, relevant passages and their scores, and the counts after each chunk.
    assert kills == len(LANGUAGES) + sum(chunk.relevant for chunk in chunks) + 1 + len(chunks)
    assert state_of(saved(tmp_path)) == whole.state
    assert texts_in(tmp_path).total() == N_TEXTS


# Signals


def signalled(root: Path, number: int, what: str, at: int, times: int = 1) -> Ended:
    """Run in a fork that gets a signal in some call of its model."""

    def send(now: str, calls: int) -> None:
        for _ in range(times if (now, calls) == (what, at) else 0):
            os.kill(os.getpid(), number)

    def act() -> None:
        logging.getLogger("mteb.beir_hybrid").addHandler(logging.StreamHandler())
        run_of(root, Model(root / "log", send), checkpoint_seconds=10**9).count()

    return run_forked(act, root)


@pytest.mark.parametrize("what", ["embed", "score"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 70)])
def test_what_was_counted_is_written_when_the_process_is_told_to_end(
    number: int, status: int, what: str, whole: Whole, tmp_path: Path
) -> None:
    """SLURM's preemption, and Ctrl-C: no text of a counted chunk is encoded again."""
    ended = signalled(tmp_path, number, what, whole.calls[what] * 3 // 4)
    assert ended.status == status, ended.output  # 70: the fork's for any error, here KeyboardInterrupt
    if number == signal.SIGTERM:
        [line] = [line for line in ended.output.splitlines() if "told to end" in line]
        assert str(tmp_path) in line
        assert "Traceback" not in ended.output
    counted = saved(tmp_path)
    assert 0 < len(counted.chunks) < len(run_of(tmp_path).plan.chunks)
    assert state_of(run_of(tmp_path).count()) == whole.state
    # A signal that comes while a chunk is counted waits until it is.
    assert texts_in(tmp_path).total() == N_TEXTS


def test_a_second_signal_does_not_wait_and_leaves_what_was_written(whole: Whole, tmp_path: Path) -> None:
    ended = signalled(tmp_path, signal.SIGTERM, "score", whole.calls["score"] * 3 // 4, times=2)
    assert ended.status == 143, ended.output
    assert run_of(tmp_path).restored() is None, "half a chunk was counted, and nothing written before"
    assert state_of(run_of(tmp_path).count()) == whole.state


def test_signals_of_others_are_theirs() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with Interruptions() as interruptions, interruptions.held_back():
            signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    handlers: list[Any] = []

    def elsewhere() -> None:
        with Interruptions():
            handlers.append(signal.getsignal(signal.SIGINT))

    usual = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert handlers == [usual]
    with pytest.raises(KeyboardInterrupt), Interruptions():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == usual


# Faults


def test_a_fault_of_the_model_keeps_what_was_counted(whole: Whole, tmp_path: Path) -> None:
    class Fault(Exception):
        pass

    def fail(what: str, number: int) -> None:
        if (what, number) == broken:
            raise Fault

    broken = ("embed", whole.calls["embed"] * 3 // 4)
    with pytest.raises(Fault):
        run_of(tmp_path, Model(tmp_path / "log", fail), checkpoint_seconds=10**9).count()
    kept = saved(tmp_path).chunks
    assert kept
    broken = ("score", 1)  # in the middle of a chunk, which is counted as a whole or not at all
    with pytest.raises(Fault):
        run_of(tmp_path, Model(tmp_path / "log", fail), checkpoint_seconds=10**9).count()
    assert saved(tmp_path).chunks == kept
    assert state_of(run_of(tmp_path).count()) == whole.state


def test_a_full_disk_is_one_line_and_loses_nothing(whole: Whole, tmp_path: Path) -> None:
    """Writes beyond some size fail, as on a full disk: those of the counts, which grow."""

    def act() -> None:
        run = run_of(tmp_path, checkpoint_seconds=0)
        run.prepare()
        sizes = []
        save = PassFolder.save

        def save_and_fill(folder: PassFolder, name: str, *args: Any, **facts: Any) -> None:
            if len(sizes) == 5:
                import resource  # not on Windows, where no process forks

                resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[-1] // 2, resource.RLIM_INFINITY))
            save(folder, name, *args, **facts)
            sizes.append(folder._path(name).stat().st_size)

        PassFolder.save = save_and_fill  # type: ignore[method-assign]
        try:
            run.count()
        except BeirHybridError as error:
            print(error)
            raise SystemExit(2) from None

    ended = run_forked(act, tmp_path)
    assert ended.status == 2, ended.output
    [line] = ended.output.splitlines()
    assert line.startswith("cannot write ")
    assert "counts-1-of-1" in line
    assert len(saved(tmp_path).chunks) == 5
    folder = run_of(tmp_path).folder.folder
    assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]
    assert state_of(run_of(tmp_path).count()) == whole.state


def test_counts_of_a_plan_that_was_lost_are_counted_again(
    whole: Whole, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The right answers may have other scores now, and counts by both would not add up."""
    run = run_of(tmp_path)
    run.count()
    (run.folder.folder / f"{PLAN}.safetensors").unlink()
    assert state_of(run_of(tmp_path).count()) == whole.state, "made again, the plan is the same here"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    loaded = run.folder.load(PLAN)
    assert loaded is not None
    run.folder.save(PLAN, {language: scores + 1e-7 for language, scores in loaded[0].items()})
    counts = run_of(tmp_path).count()
    [warning] = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "the plan was made anew" in warning
    assert counts.chunks == run.plan.chunks.keys()
    assert all(torch.equal(counter.own, loaded[0][name] + 1e-7) for name, counter in counts.counters.items())


def test_a_run_without_its_plan_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BeirHybridError, match="has lost its plan; run it again"):
        run_of(tmp_path).empty()


# Writes


@pytest.mark.parametrize(("seconds", "between"), [(0, 1), (50, 1), (180, 4), (1000, 20), (10**9, 10**9)])
def test_counts_are_written_by_time(
    seconds: float, between: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk takes 50 seconds by a clock that the model moves."""
    now = 0.0
    writes: list[int] = []
    save = PassFolder.save

    def tick(what: str, number: int) -> None:
        nonlocal now
        now += 50 * (what == "embed")

    def counted_save(folder: PassFolder, name: str, *args: Any, **facts: Any) -> None:
        nonlocal now
        save(folder, name, *args, **facts)
        if name == WHOLE.part:
            writes.append(folder._path(name).stat().st_size)
            now += 5000  # a write that takes long does not make the next one come sooner

    run = run_of(tmp_path, Model(tmp_path / "log", tick), checkpoint_seconds=seconds)
    run.prepare()
    monkeypatch.setattr(chunked, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(PassFolder, "save", counted_save)
    run.count()
    others = sum(not chunk.relevant for chunk in run.plan.chunks.values())
    relevant = len(run.plan.chunks) - others  # which are read and take no time here
    if seconds == 0:
        assert len(writes) == relevant + others
    else:
        assert len(writes) == -(-others // between)  # and once at the end, if something is left
    assert max(writes) <= sum(len(values) for values in state_of(saved(tmp_path)).values()) + 20_000


def test_an_empty_share_is_written_too(tmp_path: Path) -> None:
    run = run_of(tmp_path, shard=Shard(1000, 1000))
    assert run.count().chunks == set()
    restored = run.restored()
    assert restored is not None
    assert restored.chunks == set()
    assert texts_in(tmp_path).total() == 3 * 8 + sum(map(len, run.plan.relevant)), "the plan was all it made"


def test_one_chunk_at_a_time_is_in_memory(tmp_path: Path) -> None:
    """The embeddings of a chunk are gone before those of the next one come, and so are its candidates."""
    alive: list[weakref.ref[Any]] = []
    model = Model(tmp_path / "log")

    def embed(kind: str, language: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if kind == "document":
            assert not [embeddings for embeddings in alive if embeddings() is not None]
        embeddings = model.embed(kind, language, rows)
        alive.extend([weakref.ref(embeddings)] * (kind == "document"))
        return embeddings

    run = run_of(tmp_path, model)
    counts = replace(run, embed=embed).count()
    for counter in counts.counters.values():
        assert len(counter._top_passages._blocks) == len(LANGUAGES), "whole languages, not the blocks of chunks"
    assert len(alive) == len(run.plan.chunks)


# Whose counts they are


def test_whether_the_model_is_the_same_is_found_out_without_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred megabytes need not be read for some embeddings."""
    run = run_of(tmp_path)
    run.count()
    asked: list[SampledText] = []

    def encode(texts: Sequence[SampledText]) -> NDArray[np.float32]:
        asked.extend(texts)
        return np.stack([vector_of(f"{kind} {language} {row}") for kind, language, row in texts])

    loaded: list[str | None] = []
    load = PassFolder.load
    monkeypatch.setattr(PartialCounts, "from_arrays", lambda *_: pytest.fail("the counts were restored"))
    monkeypatch.setattr(
        PassFolder, "load", lambda folder, name, only=None: (loaded.append(only), load(folder, name, only))[1]
    )
    assert run_of(tmp_path).is_current(encode)
    assert {text.language for text in asked} == {*LANGUAGES}
    assert len(asked) <= SAMPLED_TEXTS
    assert loaded[-1] == "embeddings"
    assert not run_of(tmp_path).is_current(lambda texts: encode(texts) + 0.01)
    for path in run.folder.folder.glob("*.safetensors"):
        if not path.name.startswith("counts"):
            path.unlink()
    assert run_of(tmp_path).is_current(encode)
    assert not run_of(tmp_path).is_current(lambda texts: encode(texts) + 0.01), "the counts alone tell it, too"
