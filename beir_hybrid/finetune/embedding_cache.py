"""Embeddings of texts on disk, so that an encoder that does not change embeds each text once.

A cache is a folder that belongs to one encoder, one prompt and one maximum length. It holds parts: safetensors files
of some hundred embeddings and the digests of their texts. A part appears when it is complete and never changes, so
several processes may fill a cache at the same time, and a killed one loses the part it was working on.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import atomic_path, home

logger = logging.getLogger(__name__)

CHUNK = 512
"""Texts in a part: what a killed run loses at most."""

Encode = Callable[[list[str]], NDArray[np.float32]]


def cache_folder(encoder: str, prompt: str, max_length: float | None) -> Path:
    """Return the folder for the embeddings of one encoder (its hash or commit), prompt and maximum length."""
    key = hashlib.sha256(json.dumps([encoder, prompt, max_length]).encode()).hexdigest()
    return home() / "embeddings" / key[:32]


class EmbeddingCache:
    """The embeddings of one encoder, with one prompt and one maximum length.

    Args:
        folder: Where they are kept, as `cache_folder` names it.
        encode: Texts -> float32 embeddings of shape (texts, dimensions), with the prompt and the maximum length.
    """

    def __init__(self, folder: Path, encode: Encode) -> None:
        self.folder = folder
        self._encode = encode

    def fill(self, texts: Iterable[str], progress: bool = True, share: tuple[int, int] = (0, 1)) -> int:
        """Embed the texts that are not there yet, and return how many those were.

        Args:
            texts: The texts; each is embedded once, however often it is named.
            progress: Whether to show a bar.
            share: (n, of): embed the n-th of about equal shares, 0 to of - 1. For processes that fill a cache together;
                a text's share depends on the text alone, however much the others have done.

        Raises:
            BeirHybridError: The folder is read-only or the disk is full. What was embedded before stays.
        """
        from tqdm.auto import tqdm

        number, of = share
        known = {digest for part in self._parts() for digest in _digests(part)}
        digests = {text: _digest(text) for text in texts}
        missing = (text for text, digest in digests.items() if digest not in known and digest[0] % of == number)
        # Texts of about the same length share a batch, and need little padding.
        mine = sorted(missing, key=lambda text: (len(text), text))
        with tqdm(total=len(mine), desc="Embedding", unit="text", disable=None if progress else True) as bar:
            for first in range(0, len(mine), CHUNK):
                chunk = mine[first : first + CHUNK]
                self._write(chunk, self._encode(chunk))
                bar.update(len(chunk))
        return len(mine)

    def read(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of texts that were embedded before, shape (texts, dimensions).

        Raises:
            BeirHybridError: One of them was not.
        """
        rows: dict[bytes, list[int]] = {}
        for row, text in enumerate(texts):
            rows.setdefault(_digest(text), []).append(row)
        result = np.empty((len(texts), 0), np.float32)
        for part in self._parts():
            known = [(number, digest) for number, digest in enumerate(_digests(part)) if digest in rows]
            if known:
                embeddings = _embeddings(part)
                if not result.size:
                    result = np.empty((len(texts), embeddings.shape[1]), np.float32)
                for number, digest in known:
                    result[rows.pop(digest)] = embeddings[number]
        if rows:
            missing = texts[next(iter(rows.values()))[0]]
            raise BeirHybridError(f"{self.folder} has no embedding of {missing[:60]!r}")
        return result

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    def _write(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> None:
        from safetensors.numpy import save_file

        digests = np.frombuffer(b"".join(map(_digest, texts)), np.uint8).reshape(len(texts), -1)
        name = hashlib.sha256(digests.tobytes()).hexdigest()[:32]
        with atomic_path(self.folder / f"{name}.safetensors") as path:
            save_file({"digests": digests, "embeddings": np.ascontiguousarray(embeddings, np.float32)}, path)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _digests(part: Path) -> list[bytes]:
    """Return the digests of a part; none of a damaged one, whose texts are then embedded again."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(part, framework="np") as tensors:
            return [row.tobytes() for row in tensors.get_tensor("digests")]
    except (OSError, SafetensorError) as error:
        logger.warning("%s is damaged and is left out: %s", part, error)
        return []


def _embeddings(part: Path) -> NDArray[np.float32]:
    from safetensors import safe_open

    with safe_open(part, framework="np") as tensors:
        return tensors.get_tensor("embeddings")
