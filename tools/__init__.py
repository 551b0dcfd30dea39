"""Scripts of the maintainers; none of them is part of the package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from beir_hybrid.errors import BeirHybridError

P = ParamSpec("P")


def one_line_errors(main: Callable[P, int]) -> Callable[P, int]:
    """Let the main function of a script say in one line what the user can mend, and return exit code 2 then."""

    @wraps(main)
    def script(*arguments: P.args, **options: P.kwargs) -> int:
        try:
            return main(*arguments, **options)
        except BeirHybridError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    return script
