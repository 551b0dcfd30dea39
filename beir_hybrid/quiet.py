"""Other libraries, silenced: the one place that turns their progress bars and notes off, and on again."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr

_BARS = {
    "transformers": ("transformers.utils.logging", "disable_progress_bar", "enable_progress_bar"),
    "datasets": ("datasets", "disable_progress_bars", "enable_progress_bars"),
}
"""Library -> its module for progress bars, and what turns them off and on."""


@contextmanager
def silenced(*libraries: str, notes: bool = False) -> Iterator[None]:
    """Show no progress bars of some libraries during the block.

    Args:
        libraries: ``transformers``, ``datasets``; one that is not imported yet shows nothing, and stays as it is.
        notes: Leave out what MTEB logs, but errors, and all warnings, too.
    """
    with ExitStack() as stack:
        for library in libraries:
            name, off, on = _BARS[library]
            module = sys.modules.get(name)
            if module is not None and module.is_progress_bar_enabled():
                getattr(module, off)()
                stack.callback(getattr(module, on))
        if notes:
            logger = logging.getLogger("mteb")
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        yield


@contextmanager
def no_bars(shown: bool = False) -> Iterator[None]:
    """Show none of the progress bars that a function shows without asking, during the block; all of them if `shown`."""
    with nullcontext() if shown else redirect_stderr(io.StringIO()):
        yield
