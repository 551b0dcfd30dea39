"""Other libraries are silenced for a block, and are as before after it."""

from __future__ import annotations

import logging
import sys
import warnings
from types import SimpleNamespace

import pytest

from beir_hybrid.quiet import silenced


class Library(SimpleNamespace):
    """Stands for the part of a library that shows progress bars."""

    shown = True

    def is_progress_bar_enabled(self) -> bool:
        return self.shown

    def disable_progress_bars(self) -> None:
        self.shown = False

    def enable_progress_bars(self) -> None:
        self.shown = True


@pytest.mark.parametrize("before", [True, False])
def test_bars_are_as_before_whatever_happens(before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(shown=before)
    monkeypatch.setitem(sys.modules, "datasets", library)
    with pytest.raises(KeyError), silenced("datasets"):
        assert not library.shown
        raise KeyError
    assert library.shown is before


def test_a_library_that_is_not_imported_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "datasets", raising=False)
    with silenced("datasets"):
        assert "datasets" not in sys.modules


def test_notes_are_left_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("mteb")
    monkeypatch.setattr(logger, "level", logging.INFO)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with silenced(notes=True):
            warnings.warn("of a block", stacklevel=1)
            assert logger.level == logging.ERROR
        warnings.warn("after it", stacklevel=1)
    assert [str(warning.message) for warning in heard] == ["after it"]
    assert logger.level == logging.INFO
