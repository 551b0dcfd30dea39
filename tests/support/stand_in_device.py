"""A device that is not there: its tensors lie on the CPU, and refuse what those of a GPU refuse.

Two of them cannot be combined, nor one with a tensor of the CPU, except for the rows of an index and single numbers;
numpy cannot have one before it is copied; there is no float64. What is copied to the CPU is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.overrides import TorchFunctionMode


class Copied(NamedTuple):
    """What was copied to the CPU."""

    dtype: torch.dtype
    shape: tuple[int, ...]


class Resident(torch.Tensor):
    """A tensor of the device ``at``."""

    at: torch.device


_COPIES = ("cpu", "tolist", "item", "__bool__", "__int__", "__float__", "__index__")
_INDEXING = ("__getitem__", "__setitem__", "index_select", "gather", "index_put_")


def resident(tensor: torch.Tensor, at: torch.device) -> Resident:
    """Return a tensor as one of a device."""
    moved = tensor.as_subclass(Resident)
    moved.at = at
    return moved


class _Devices(TorchFunctionMode):
    def __init__(self, copied: list[Copied]) -> None:
        super().__init__()
        self.copied = copied

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        tensors = [part for part in _parts((args, kwargs)) if isinstance(part, torch.Tensor)]
        places = {part.at for part in tensors if isinstance(part, Resident)}
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return args[0].at if places else func(*args, **kwargs)
        asked = [part for part in _parts((args[1:], kwargs)) if isinstance(part, torch.device)]
        asked += [torch.device(part) for part in [kwargs.get("device"), *args[1:2]] if isinstance(part, str)]
        target = asked[0] if asked else None
        if name == "to" and target is not None:
            return self._moved(args, kwargs, target)
        if target is not None and target.type != "cpu":  # made there
            kwargs = {**kwargs, "device": "cpu"}
            return resident(func(*args, **kwargs), target)
        if not places:
            return func(*args, **kwargs)
        (place,) = places if len(places) == 1 else (None,)
        strangers = [part for part in tensors if not isinstance(part, Resident) and part.ndim]
        if place is None or (strangers and name not in _INDEXING):
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found several")
        if name in ("numpy", "__array__"):
            raise TypeError(f"can't convert {place} device type tensor to numpy")
        if name in _COPIES:
            self.copied.append(Copied(args[0].dtype, tuple(args[0].shape)))
        with torch._C.DisableTorchFunctionSubclass():
            outcome = func(*args, **kwargs)
            return outcome.as_subclass(torch.Tensor) if name == "cpu" else _on(place, outcome)

    def _moved(self, args: Any, kwargs: Any, target: torch.device) -> Any:
        matrix = args[0]
        dtype = next((part for part in _parts((args, kwargs)) if isinstance(part, torch.dtype)), matrix.dtype)
        if target.type != "cpu" and dtype == torch.float64:
            raise TypeError(f"cannot convert a {target.type} tensor to float64")
        here = isinstance(matrix, Resident) and matrix.at == target
        with torch._C.DisableTorchFunctionSubclass():
            plain = matrix.as_subclass(torch.Tensor).to(dtype)
            if isinstance(matrix, Resident) and not here:
                self.copied.append(Copied(matrix.dtype, tuple(matrix.shape)))
            return plain if target.type == "cpu" else resident(plain, target)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _parts(part)
    else:
        yield value


def _on(place: torch.device, outcome: Any) -> Any:
    if isinstance(outcome, torch.Tensor):
        if outcome.dtype == torch.float64:
            raise TypeError(f"a {place.type} tensor cannot be of float64")
        return resident(outcome, place)
    if isinstance(outcome, tuple) and any(isinstance(part, torch.Tensor) for part in outcome):
        return type(outcome)([_on(place, part) for part in outcome])
    return outcome


@contextmanager
def stand_in_devices() -> Iterator[list[Copied]]:
    """Let there be GPUs of any name in the block.

    Yields:
        What was copied from one of them, to the CPU or to another one.
    """
    copied: list[Copied] = []
    with _Devices(copied):
        yield copied


def largest_copy(copied: list[Copied], floating: bool) -> int:
    """Return the number of elements of the largest copy, of floats or of all else."""
    sizes = [int(np.prod(shape)) for dtype, shape in copied if dtype.is_floating_point == floating]
    return max(sizes, default=0)
