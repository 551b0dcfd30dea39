"""Every chunk is counted once, whatever workers are lost and whenever they hand over."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from beir_hybrid.cluster.chunk_queue import ChunkQueue

EVENTS = st.lists(st.tuples(st.sampled_from(["take", "hand over", "lose"]), st.integers(0, 3)), max_size=60)


@given(st.integers(0, 12), EVENTS)
def test_each_chunk_is_handed_over_once(n_chunks: int, events: list[tuple[str, int]]) -> None:
    chunks = [f"chunk {number}" for number in range(n_chunks)]
    queue, safe = ChunkQueue(chunks), Counter[str]()
    for event, worker in events:
        if event == "take":
            queue.take(worker)
        elif event == "hand over":
            safe.update(queue.hand_over(worker))
        else:
            queue.lose(worker)
    for worker in range(4):
        safe.update(queue.hand_over(worker))
    while chunk := queue.take(9):
        assert not queue.is_done
        assert queue.held(9)[-1] == chunk
    safe.update(queue.hand_over(9))
    assert safe == Counter(chunks)
    assert queue.is_done
    assert queue.is_empty


def test_what_a_lost_worker_held_waits_behind_all_others() -> None:
    queue = ChunkQueue(["a", "b", "c", "d"])
    assert [queue.take(1), queue.take(1), queue.take(2)] == ["a", "b", "c"]
    assert queue.lose(1) == ["a", "b"]
    assert [queue.take(2), queue.take(2), queue.take(2), queue.take(2)] == ["d", "a", "b", None]
    assert queue.hand_over(2) == ["c", "d", "a", "b"]
    assert queue.is_done
