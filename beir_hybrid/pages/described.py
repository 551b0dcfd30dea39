"""What a report's page says about itself in its head, so that a leaderboard's page can link to it."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path

META = "beir-hybrid-report"
"""Name of the ``<meta>`` that holds it, as JSON."""

_ENOUGH = 1 << 13
"""Bytes at the beginning of a file in which it must stand."""

_TAG = re.compile(rf'<meta name="{META}" content="([^"<>]*)">')


@dataclass(frozen=True)
class Described:
    """Whose report a page is.

    Attributes:
        task: Name of the task.
        models: Name and revision of each model.
    """

    task: str
    models: tuple[tuple[str, str], ...]

    def as_json(self) -> str:
        """Write it as the content of the ``<meta>``."""
        return json.dumps({"task": self.task, "models": self.models})


def read_description(path: Path) -> Described | None:
    """Read what a page says about itself; None where it says nothing, or nothing that can be read.

    Args:
        path: Any file: it is not trusted, and only its beginning is read.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            beginning = file.read(_ENOUGH).decode("utf-8", errors="replace")
        found = _TAG.search(beginning)
        if found is None:
            return None
        said = json.loads(html.unescape(found[1]))
        task, models = said["task"], tuple((model, revision) for model, revision in said["models"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (task, *(text for pair in models for text in pair))
    return Described(task, models) if all(isinstance(text, str) for text in texts) else None
