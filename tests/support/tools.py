"""Programs that some tests need and that pip cannot bring."""

from __future__ import annotations

import os
import shutil

import pytest

PACKAGES = {
    "chromium": "chromium chromium-driver",
    "chromedriver": "chromium chromium-driver",
    "pdflatex": "texlive-latex-base texlive-latex-recommended",
}
"""Program -> packages of Debian and Ubuntu."""


def missing() -> str:
    """Return one line about what is not here, and the command that brings it; empty where nothing is missing."""
    programs = [program for program in PACKAGES if shutil.which(program) is None]
    packages = dict.fromkeys(package for program in programs for package in PACKAGES[program].split())
    return f"no {', '.join(programs)} here: apt-get install {' '.join(packages)}" if programs else ""


def needed(program: str) -> str:
    """Return where a program is; without it the test is skipped, and fails where BEIR_HYBRID_REQUIRE_TOOLS=1."""
    path = shutil.which(program)
    if path is None:
        reason = f"no {program} here: apt-get install {PACKAGES[program]}"
        if os.environ.get("BEIR_HYBRID_REQUIRE_TOOLS") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path
