"""Products of float32 matrices in float32, whatever else a process computes its products in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_FULL = ("ieee", "none")
"""Values of ``fp32_precision`` that products have all digits under; ``none`` is what nobody has set."""


@contextmanager
def full_precision(*matrices: Any) -> Iterator[None]:
    """Compute what is in the block without TF32 and bfloat16, and without autocast; then all is set as it was.

    Scores are compared: with the 10 bits of TF32 a similarity of 0.7 is rounded by 0.0003, and near scores would tie.

    Args:
        matrices: What is multiplied, numpy or torch: autocast is a setting of their devices.
    """
    devices = {"cpu", *(matrix.device.type for matrix in matrices if isinstance(matrix, torch.Tensor))}
    with ExitStack() as stack:
        for device in sorted(devices):
            if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(_without_tf32())
        yield


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Set the precision of products on NVIDIA's and AMD's GPUs, and of oneDNN on the CPU, to that of float32.

    Torch has two sets of settings, since 2.9, and an error for whoever reads the older one while the two contradict
    each other. So the older one is changed only where that is what was used; where products have all digits, neither.
    """
    backends: Any = torch.backends  # whose stubs lack some
    if not hasattr(backends.cuda.matmul, "fp32_precision"):  # before torch 2.9
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
        return
    products = ((backends.cuda.matmul, backends.cudnn), (backends.mkldnn.matmul, backends.mkldnn))
    found = [str(product.fp32_precision) for product, _ in products]
    if all(precision in _FULL for precision in found):
        yield
        return
    older = _older_setting()
    try:
        if older is not None:
            torch.set_float32_matmul_precision("highest")
        for product, _ in products:
            product.fp32_precision = "ieee"
        yield
    finally:
        if older is not None:
            torch.set_float32_matmul_precision(older)
        for (product, parent), precision in zip(products, found, strict=True):
            # What its parent says, too, was inherited from it: a later change of the parent's must reach it.
            product.fp32_precision = "none" if parent.fp32_precision == precision else precision


def _older_setting() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # the newer settings were used
        return None
