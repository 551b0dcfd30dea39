"""The corpora: one line of registration for each, and what is derived from their specs.

Tasks, their language-bias tasks, names in BEIR programs, sources of training pairs, the overlap check, the columns of
the leaderboard and `beir-hybrid data list` go through the specs in the order of registration: ours, then those that
packages offer and that lie in the user's folders, looked for when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from beir_hybrid.corpora import atlas, discovery, miracl, mlqa_r, nano_beir, ntrex, xquad_r
from beir_hybrid.corpora.spec import CorpusSpec, PairSource
from beir_hybrid.errors import DataError

_SPECS: dict[str, CorpusSpec] = {}
_OTHERS = [discovery.found_specs]
"""What finds the corpora that are not ours, until it was asked; it may ask for ours."""


def register(spec: CorpusSpec) -> None:
    """Make a corpus known by its name, its task's name and those of its sources of training pairs.

    Args:
        spec: What is known of it before it is read.

    Raises:
        DataError: There is another corpus, task or source of that name.
    """
    for known in _SPECS.values():
        shared = _names(known) & _names(spec)
        if shared:
            raise DataError(f"{spec.name}: {min(shared)!r} is a name of {known.name} already; choose another")
    _SPECS[spec.name] = spec


def unregister(name: str) -> None:
    """Forget a corpus.

    Args:
        name: Its name; one that is not known is none.
    """
    _SPECS.pop(name, None)


def _names(spec: CorpusSpec) -> set[str]:
    tasks = set() if spec.task is None else {spec.task.name, spec.task.bias_name}
    return {spec.name, *spec.pairs, *tasks}


def specs() -> tuple[CorpusSpec, ...]:
    """Return the specs of all corpora.

    Returns:
        Ours, those of folders that BEIR_HYBRID_CORPORA names and those of installed packages, in the order of
        registration.
    """
    _look_for_others()
    return tuple(_SPECS.values())


def _look_for_others() -> None:
    """Register the corpora that are not ours, once in a process; one that cannot be registered is a warning."""
    while _OTHERS:
        for spec in _OTHERS.pop()():
            try:
                register(spec)
            except DataError as error:
                discovery.warn_of(str(error))


def retrieval_specs() -> tuple[CorpusSpec, ...]:
    """Return the specs of all corpora that ``load`` reads."""
    return tuple(spec for spec in specs() if spec.read is not None)


def find(name: str) -> CorpusSpec | None:
    """Return the spec of a corpus, None if there is none of that name."""
    if name not in _SPECS:
        _look_for_others()
    return _SPECS.get(name)


def spec_of(name: str) -> CorpusSpec:
    """Return the spec of a corpus.

    Args:
        name: Its name in `beir-hybrid data list`.

    Returns:
        What is known of it before it is read.

    Raises:
        DataError: There is none of that name.
    """
    return _known(name, [spec for spec in specs() if spec.read or spec.pairs])


def retrieval_spec_of(name: str) -> CorpusSpec:
    """Return the spec of a corpus that ``load`` reads.

    Raises:
        DataError: There is none of that name.
    """
    spec = _known(name, retrieval_specs())
    if spec.read is None and spec.pairs:
        raise DataError(
            f"{name} is no retrieval corpus: it has parallel sentences but no questions, and serves for training only"
        )
    if spec.read is None:
        raise DataError(f"{name} is read by its task {spec.task.name if spec.task else ''} only, through MTEB")
    return spec


def _known(name: str, offered: Sequence[CorpusSpec]) -> CorpusSpec:
    if find(name) is None:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(spec.name for spec in offered)}")
    return _SPECS[name]


def spec_of_task(task: str) -> CorpusSpec:
    """Return the spec of the corpus that a retrieval or language-bias task of ours is made of.

    Raises:
        DataError: It is no task of ours.
    """
    for spec in specs():
        if spec.task is not None and task in (spec.task.name, spec.task.bias_name):
            return spec
    raise DataError(f"{task!r} is no task of a corpus here; known: {', '.join(s.task.name for s in specs() if s.task)}")


def is_judged_in_own_language(task: str) -> bool:
    """Whether a retrieval task counts right answers in the language of the question only; tasks of others do not."""
    return any(spec.judged_in_own_language for spec in specs() if spec.task is not None and spec.task.name == task)


def task_names() -> dict[str, str]:
    """Return corpus -> name of its retrieval task, of all corpora that ``load`` reads and that have one."""
    return {spec.name: spec.task.name for spec in retrieval_specs() if spec.task}


def pair_sources() -> dict[str, tuple[CorpusSpec, PairSource]]:
    """Return the sources of training pairs by name, each with the corpus that it is made of."""
    return {name: (spec, source) for spec in specs() for name, source in spec.pairs.items()}


register(xquad_r.SPEC)
register(mlqa_r.SPEC)
register(ntrex.SPEC)
register(miracl.HARD_NEGATIVES)
register(miracl.FULL)
register(atlas.SPEC)
for _spec in nano_beir.SPECS:
    register(_spec)
