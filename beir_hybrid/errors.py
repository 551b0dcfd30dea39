"""The errors a user can cause: one line each, which says what is wrong, where, and what to do."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from difflib import get_close_matches


class BeirHybridError(Exception):
    """A mistake the user can mend. Its message is one line; the command line ends with exit code 2."""


class DataError(BeirHybridError):
    """A data set is missing, incomplete or malformed."""


class ModelError(BeirHybridError):
    """A model is missing or returned something that cannot be scored."""


class RankTableError(BeirHybridError):
    """A rank table is missing, truncated or does not fit its neighbours."""


class NoScoresYet(Exception):
    """A task has done what it was asked for, and others have to do theirs before there are scores."""


def did_you_mean(name: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """Return a question that names the nearest of some names, nothing if none is near.

    Args:
        name: What was written.
        known: What could have been meant.
        cutoff: How alike they are at least, 0 to 1.
    """
    nearest = get_close_matches(name, known, 1, cutoff)
    return f"did you mean {nearest[0]}?" if nearest else ""


def first_line(error: BaseException) -> str:
    """Return the first line of what another package's error says, or its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(error: BaseException) -> str:
    """Return what another package's error says, shortened to go into a message of ours."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", width=240, placeholder=" ...")
