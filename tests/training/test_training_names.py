"""The public names of beir_hybrid.training: imported when they are used, not before."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from beir_hybrid import training

LIGHT = """
import sys
import beir_hybrid.training
dir(beir_hybrid.training)
print([name for name in ("torch", "datasets", "sentence_transformers", "transformers", "mteb") if name in sys.modules])
"""


def test_the_package_alone_imports_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", training.__all__)
def test_each_name_is_that_of_its_module(name: str) -> None:
    module = importlib.import_module(f"beir_hybrid.training.{training._MODULES[name]}")
    assert getattr(training, name) is getattr(module, name)
    assert name in dir(training)


def test_every_name_is_listed() -> None:
    assert sorted(training._MODULES) == sorted(training.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'HybridSampler'"):
        training.HybridSampler  # noqa: B018 (asking is the point)
