"""Counting on the CPU by code that numba compiles to vector instructions: what is counted is what torch counts.

Loops run over numbers of columns and count in integers, which is what compilers make vector instructions of. Nothing
is compiled where this was done before: numba keeps machine code beside this file or, where that cannot be written to,
in the user's cache folder. Importing this module compiles, or reads what was compiled; only ``fast`` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import float32, float64, int32, int64, njit, void
from numba.core.types import UniTuple

from beir_hybrid.scoring.confidence import EXACT

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_OF_A_THREAD = 64
"""Fewest rows that are worth a thread."""

_NEAR = 1 << 20
"""How far from the last query's limit that of the next is looked for first: an eighth, counted in the last digits."""

_STRIP = 64
"""Scores looked through at once for any that enters the top: most strips of a late block have none."""


def above_and_not_below(
    scores: NDArray[np.float32], limits: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Count, for every query and slot, the scores above and not below a limit.

    Args:
        scores: Shape (Q, n).
        limits: Shape (Q, R); infinite where a query has no such slot.

    Returns:
        Two arrays of shape (Q, R).
    """
    above, not_below = np.empty(limits.shape, np.int32), np.empty(limits.shape, np.int32)
    _by_rows(_count, scores, limits, above, not_below)
    return above, not_below


def highest(seen: NDArray[np.float32], scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return the k highest numbers of each row of two matrices, in no order.

    Args:
        seen: The highest so far, shape (Q, m), m at most k.
        scores: More scores, shape (Q, n).
        k: How many to keep.

    Returns:
        Shape (Q, min(k, m + n)).
    """
    top = np.empty((len(scores), min(k, seen.shape[1] + scores.shape[1])), np.float32)
    _by_rows(_highest, seen.view(np.int32), scores.view(np.int32), top.view(np.int32))
    return top


def places_from(
    scores: NDArray[np.float32], limits: NDArray[np.float32], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Find the scores that are not below the limit of their row.

    Args:
        scores: Shape (Q, n).
        limits: Shape (Q,).
        most: How many there may be.

    Returns:
        Their rows and columns, row after row; None where there are more than ``most``.
    """
    numbers = np.empty(len(scores), np.int64)
    _by_rows(_count_from, scores, limits, numbers)
    ends = np.cumsum(numbers)
    n_found = int(ends[-1]) if len(ends) else 0
    if n_found > most:
        return None
    columns = np.empty(n_found + 1, np.int64)  # one more, since a place is written before it is counted
    _find_from(scores, limits, columns)
    return np.repeat(np.arange(len(scores)), numbers), columns[:-1]


def best_two_and_deviation(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the highest, the second highest and the standard deviation of each row, (Q, 3)."""
    found = np.empty((len(values), 3))
    _by_rows(_describe, values.view(np.int32), values, found)
    return found


def _by_rows(kernel: Callable[..., None], *arrays: NDArray[Any]) -> None:
    """Run a kernel on the rows of some arrays, in as many threads as torch may use."""
    n_rows = len(arrays[0])
    n_threads = min(torch.get_num_threads(), n_rows // _ROWS_OF_A_THREAD)
    if n_threads < 2:
        kernel(*arrays)
        return
    ends = [n_rows * part // n_threads for part in range(n_threads + 1)]
    parts = [slice(*pair) for pair in pairwise(ends)]
    with ThreadPoolExecutor(n_threads) as threads:  # a pool that stays would hang in a fork
        for _ in threads.map(lambda part: kernel(*(array[part] for array in arrays)), parts):
            pass


def _compile(*signatures: Any, **flags: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return njit(list(signatures), nogil=True, cache=True, **flags)


@_compile(void(float32[:, ::1], float32[:, ::1], int32[:, ::1], int32[:, ::1]))
def _count(scores, limits, above, not_below):
    for query in range(scores.shape[0]):
        for slot in range(limits.shape[1]):
            limit = limits[query, slot]
            higher, level = 0, 0
            if limit < np.inf:
                for column in range(scores.shape[1]):
                    higher += scores[query, column] > limit
                    level += scores[query, column] >= limit
            above[query, slot] = higher
            not_below[query, slot] = level


@_compile(int32(int32))
def _rising(bits):
    """Turn the bits of a float32 into an integer that rises with it, or back."""
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@_compile(float64(int32))
def _number(rising):
    """Return the number that an integer stands for."""
    return float64(np.int32(_rising(rising)).view(np.float32))


@_compile(int64(int32[::1], int64, int64, int64))
def _kth_highest(numbers, n, k, guess):
    """Return a limit that k of the first n numbers are not below, or the k-th highest where several are equal to it."""
    low, high = numbers[0], numbers[0]
    for place in range(n):
        low = min(low, numbers[place])
        high = max(high, numbers[place])
    lowest, beyond, off = int64(low), int64(high) + 1, -_NEAR
    while beyond - lowest > 1:
        middle = guess + off  # on both sides of the guess, then by halves
        if off > _NEAR or not lowest < middle < beyond:
            middle = (lowest + beyond) >> 1
        off += 2 * _NEAR
        limit = int32(middle)
        n_from = 0
        for place in range(n):
            n_from += numbers[place] >= limit
        if n_from == k:
            return middle
        if n_from > k:
            lowest = middle
        else:
            beyond = middle
    return lowest


@_compile(int64(int32[::1], int32, int32[::1], int64))
def _entering(scores, lowest, numbers, n):
    """Put the scores above the lowest of the top behind the first n numbers, and return how many these are then."""
    for start in range(0, scores.shape[0], _STRIP):
        stop, n_above = min(start + _STRIP, scores.shape[0]), 0
        for column in range(start, stop):
            n_above += _rising(scores[column]) > lowest
        if n_above:
            for column in range(start, stop):
                number = _rising(scores[column])
                numbers[n] = number
                n += number > lowest
    return n


@_compile(void(int32[:, ::1], int32[:, ::1], int32[:, ::1]))
def _highest(seen, scores, top):
    n_seen, n_scores, k = seen.shape[1], scores.shape[1], top.shape[1]
    numbers = np.empty(n_seen + n_scores + 1, np.int32)  # one more, since a place is written before it is counted
    limit = int32(0)
    for query in range(scores.shape[0]):
        lowest = int32(0x7FFFFFFF)
        for place in range(n_seen):
            number = _rising(seen[query, place])
            numbers[place] = number
            lowest = min(lowest, number)
        if n_seen < k:
            for column in range(n_scores):
                numbers[n_seen + column] = _rising(scores[query, column])
            n = n_seen + n_scores
        else:
            n = _entering(scores[query], lowest, numbers, n_seen)
        if n <= k:
            for place in range(n):
                top[query, place] = _rising(numbers[place])
            continue
        limit = int32(_kth_highest(numbers, n, k, int64(limit)))
        kept = 0
        for place in range(n):  # in place, and without a branch, which would be foretold wrongly
            numbers[kept] = numbers[place]
            kept += numbers[place] > limit
        for place in range(k):
            top[query, place] = _rising(numbers[place] if place < kept else limit)


@_compile(void(float32[:, ::1], float32[::1], int64[::1]))
def _count_from(scores, limits, numbers):
    for query in range(scores.shape[0]):
        limit, n = limits[query], 0
        for column in range(scores.shape[1]):
            n += scores[query, column] >= limit
        numbers[query] = n


@_compile(void(float32[:, ::1], float32[::1], int64[::1]))
def _find_from(scores, limits, columns):
    found = 0
    for query in range(scores.shape[0]):
        limit = limits[query]
        for start in range(0, scores.shape[1], _STRIP):
            stop, n = min(start + _STRIP, scores.shape[1]), 0
            for column in range(start, stop):
                n += scores[query, column] >= limit
            if n:
                for column in range(start, stop):
                    columns[found] = column
                    found += scores[query, column] >= limit


@_compile(float64(float64, int64))
def _magic(largest, bits):
    return math.ldexp(1.5, math.frexp(largest)[1] - bits + 52)


@_compile(float64(float64, float64))
def _rounded(number, magic):
    return (number + magic) - magic


@_compile(float64(float64, float64, float64))
def _square(number, mean, magic):
    return _rounded((number - mean) * (number - mean), magic)


@_compile(float64(float64, float64, float64, float64))
def _rest(number, mean, magic, finer):
    return _rounded((number - mean) * (number - mean) - _square(number, mean, magic), finer)


# Sums of rounded numbers are exact, so that their order is the compiler's to choose; how numbers are rounded is not.


@_compile(float64(float32[::1], float64), fastmath={"reassoc"})
def _sum(values, magic):
    total = 0.0
    for place in range(values.shape[0]):
        total += _rounded(float64(values[place]), magic)
    return total


@_compile(UniTuple(float64, 2)(float32[::1], float64, float64, float64), fastmath={"reassoc"})
def _sums_of_squares(values, mean, magic, finer):
    total, rest = 0.0, 0.0
    for place in range(values.shape[0]):
        number = float64(values[place])
        total += _square(number, mean, magic)
        rest += _rest(number, mean, magic, finer)
    return total, rest


@_compile(void(int32[:, ::1], float32[:, ::1], float64[:, ::1]))
def _describe(bits, values, found):
    n, least = values.shape[1], int32(-0x80000000)
    for query in range(values.shape[0]):
        low, high = int32(0x7FFFFFFF), least
        for place in range(n):
            number = _rising(bits[query, place])
            low = min(low, number)
            high = max(high, number)
        n_best, second = 0, least
        for place in range(n):
            number = _rising(bits[query, place])
            n_best += number == high
            second = max(second, number if number < high else least)
        best, lowest = _number(high), _number(low)
        found[query, 0] = best
        found[query, 1] = best if n_best > 1 or n == 1 else _number(second)
        # The sums of confidence.deviations, in any order, since they are exact.
        mean = _sum(values[query], _magic(max(abs(lowest), abs(best)), EXACT)) / n
        farthest = max(best - mean, mean - lowest)
        magic, finer = _magic(farthest * farthest, EXACT), _magic(farthest * farthest, 2 * EXACT)
        total, rest = _sums_of_squares(values[query], mean, magic, finer)
        found[query, 2] = math.sqrt((total + rest) / n)
