"""The command line in this process."""

from __future__ import annotations

import pytest

from beir_hybrid.cli import main


def exit_code(*arguments: object) -> int:
    """Run `beir-hybrid` with some arguments; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments)])
    code = end.value.code or 0
    assert isinstance(code, int)
    return code
