"""Rules, and the error that names all that were broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from beir_hybrid.errors import BeirHybridError, one_line

Rule = Callable[..., Iterable[str]]
"""Looks at something, and yields what is wrong with it, a line each."""


class NotConforming(AssertionError):
    """Something does not do what its users rely on; the message has a line for each fault."""


def broken(rules: Iterable[Rule], *subject: object) -> Iterator[str]:
    """Yield what some rules say of a subject; an error that a rule runs into counts as what it says."""
    for rule in rules:
        try:
            yield from rule(*subject)
        except BeirHybridError as error:
            yield str(error)
        except Exception as error:
            yield f"{rule.__name__.replace('_', ' ').strip()}: {one_line(error)}"


def require(what: str, faults: Iterable[str]) -> None:
    """Raise if there are faults.

    Raises:
        NotConforming: With one line for each.
    """
    lines = [f"{what}: {fault}" for fault in faults]
    if lines:
        raise NotConforming("\n".join(lines))
