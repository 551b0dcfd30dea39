"""The errors a user can cause: one line each, which says what is wrong, where, and what to do."""

from __future__ import annotations

import textwrap


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


def first_line(error: BaseException) -> str:
    """Return the first line of what another package's error says, or its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def one_line(error: BaseException) -> str:
    """Return what another package's error says, shortened to go into a message of ours."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", width=240, placeholder=" ...")
