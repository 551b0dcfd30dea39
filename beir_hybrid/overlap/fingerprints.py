"""Fingerprints of training texts: enough to find the same and similar texts later, when the training data is gone.

A fingerprint is a 64-bit hash of the normalised text, for exact duplicates, and the set of its hashed shingles, the
overlapping character n-grams, for near-duplicates (Broder, "On the resemblance and containment of documents", 1997).
The sets are whole, not sampled: what is computed from them is exact but for collisions of 32-bit hashes.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import atomic_path, check_regular
from beir_hybrid.languages import is_syllabic, is_tag

if TYPE_CHECKING:
    from beir_hybrid.training.pairs import ParallelPairs

FILE_NAME = "training_fingerprints.parquet"
FORMAT_VERSION = 1

TEXT_COLUMNS = pa.schema([("text_hash", pa.uint64()), ("shingles", pa.large_list(pa.uint32()))])
"""What is known of a text: the hash of its normalised form, and its hashed shingles, ascending, each once."""

SCHEMA = pa.schema([("language", pa.string()), ("kind", pa.string()), *TEXT_COLUMNS])
"""Columns of the file; ``language`` is a tag such as ``en``, ``kind`` is ``question`` or ``answer``."""

_METADATA_KEY = b"beir_hybrid"
_BATCH = 8192  # texts that are cut into shingles at a time, to bound the memory


class _Translation(dict[int, str | None]):
    """A table for ``str.translate`` that is filled as characters are met."""

    def __init__(self, rule: Callable[[str], str | None]) -> None:
        self._rule = rule

    def __missing__(self, code: int) -> str | None:
        self[code] = self._rule(chr(code))
        return self[code]


# Soft hyphens, joiners and marks of direction are not seen, and part what belongs together.
_DROP_FORMAT = _Translation(lambda c: None if unicodedata.category(c) == "Cf" else c)
# Not \w, which splits the words of Hindi, Thai and vocalised Arabic at their combining marks.
_KEEP_WORDS = _Translation(lambda c: c if unicodedata.category(c)[0] in "LMN" else " ")
# Turkish has an i with and one without a dot, which a change of case by the usual rules mixes up.
_ANY_I = re.compile("i\u0307+|\u0131")


def normalise(text: str) -> str:
    """Return what two texts that differ in case, punctuation, symbols, spaces or compatibility forms have in common.

    Args:
        text: Any text.

    Returns:
        Its letters, combining marks and digits in Unicode NFKC, case folded, with single spaces between words; ""
        where there is none. Normalising twice changes nothing.
    """
    compatible = unicodedata.normalize("NFKC", text.translate(_DROP_FORMAT))
    folded = unicodedata.normalize("NFKC", _ANY_I.sub("i", compatible.casefold()))
    return " ".join(folded.translate(_KEEP_WORDS).split())


def shingle_length(language: str) -> int:
    """Return the characters of a shingle: 2 where a character is a syllable or a word (zh, ja, ko), else 3."""
    return 2 if is_tag(language) and is_syllabic(language) else 3


def fingerprint(texts: Sequence[str], length: int) -> pa.Table:
    """Compute the fingerprints of texts.

    A text shorter than a shingle is one shingle. A text without a letter, mark or digit has none, and equals nothing.

    Args:
        texts: The texts as they are; n of them.
        length: Characters of a shingle, at most 3: the ``shingle_length`` of their language.

    Returns:
        The columns of TEXT_COLUMNS, n rows.
    """
    normalised = [normalise(text) for text in texts]
    batches = [_hash_shingles(normalised[first : first + _BATCH], length) for first in range(0, len(texts), _BATCH)]
    shingles = pa.chunked_array(batches, TEXT_COLUMNS.field("shingles").type)
    return pa.table([pa.array(_hash_texts(normalised)), shingles], schema=TEXT_COLUMNS)


def _hash_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _hash_shingles(texts: Sequence[str], length: int) -> pa.LargeListArray:
    """Return the ascending, distinct hashes of each text's shingles of ``length`` characters, at most 3."""
    padded = [text and text.ljust(length, "\0") for text in texts]
    sizes = np.fromiter(map(len, padded), np.int64, len(padded))
    per_text = np.maximum(sizes - length + 1, 0)
    rows = np.repeat(np.arange(len(padded)), per_text)
    # Shingle k of a text starts at its character k; those that would reach into the next text are left out.
    starts = np.arange(len(rows)) + ((np.cumsum(sizes) - sizes) - (np.cumsum(per_text) - per_text))[rows]
    characters = np.frombuffer("".join(padded).encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    packed = np.zeros(len(rows), dtype=np.uint64)
    for place in range(length):  # code points have 21 bits, so three of them fit into 64
        packed |= characters[starts + place] << np.uint64(21 * place)
    distinct = np.unique((rows.astype(np.uint64) << np.uint64(32)) | _mix(packed))
    offsets = np.searchsorted(distinct >> np.uint64(32), np.arange(len(padded) + 1, dtype=np.uint64))
    return pa.LargeListArray.from_arrays(offsets.astype(np.int64), distinct.astype(np.uint32))


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash 64-bit values to 32 bits: the upper half of SplitMix64's output function (Steele et al., 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) >> np.uint64(32)


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of a training run's texts.

    Attributes:
        table: A row for each distinct normalised text of a language and kind, ordered by these and by hash; columns
            as in SCHEMA.
        texts: The text of each row as it was, where it is known: not after ``read``.
    """

    table: pa.Table
    texts: pa.ChunkedArray | None = None

    def write(self, path: Path) -> None:
        """Write the table, not the texts, as Parquet; equal tables are equal files.

        Raises:
            BeirHybridError: The file cannot be written.
        """
        facts = {"format_version": FORMAT_VERSION}
        with atomic_path(path) as temporary:
            described = self.table.replace_schema_metadata({_METADATA_KEY: json.dumps(facts)})
            pq.write_table(described, temporary, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Fingerprints:
        """Read what ``write`` wrote.

        Raises:
            BeirHybridError: The file is missing, truncated, or holds no fingerprints of this format.
        """
        if not path.exists():
            raise BeirHybridError(f"there are no fingerprints {path}")
        check_regular(path, largest=None)
        try:
            with path.open("rb") as file:
                table = pq.ParquetFile(file).read()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BeirHybridError(f"{path} is truncated or not a Parquet file; copy it again") from error
        described = (table.schema.metadata or {}).get(_METADATA_KEY)
        if described is None or not table.schema.equals(SCHEMA):
            raise BeirHybridError(f"{path} holds no fingerprints of training texts")
        try:
            version = json.loads(described)["format_version"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BeirHybridError(f"{path} holds no fingerprints of training texts") from error
        if version != FORMAT_VERSION:
            raise BeirHybridError(f"{path} has format {version}; this version reads {FORMAT_VERSION}")
        return cls(table.replace_schema_metadata(None))


def merged(parts: Sequence[Fingerprints]) -> Fingerprints:
    """Return the fingerprints of all, a row for each distinct normalised text of a language and kind; without texts."""
    table = pa.concat_tables([part.table for part in parts])
    keys = [table[name].to_numpy(zero_copy_only=False) for name in ("text_hash", "kind", "language")]
    order = np.lexsort(keys)
    ordered = [key[order] for key in keys]
    first = np.logical_or.reduce([np.append(True, key[1:] != key[:-1]) for key in ordered])
    return Fingerprints(table.take(order[first]).combine_chunks())


def of_pairs(parts: Sequence[ParallelPairs], languages: Iterable[str] | None = None) -> Fingerprints:
    """Compute the fingerprints of all texts that a training run sees.

    Args:
        parts: The sources of the run.
        languages: Tags of the languages trained on; None for all.

    Returns:
        The fingerprints, with the texts. Of texts that normalise to the same, the first is kept; texts without a
        letter, mark or digit are left out.
    """
    wanted = None if languages is None else set(languages)
    texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for part in parts:
        for language, kind, distinct in part.texts(wanted):
            texts[language, kind] += distinct.to_pylist()
    tables = [_distinct_rows(language, kind, texts[language, kind]) for language, kind in sorted(texts)]
    with_texts = pa.concat_tables(tables or [_distinct_rows("", "", [])])
    return Fingerprints(with_texts.select(SCHEMA.names), with_texts["text"])


def _distinct_rows(language: str, kind: str, texts: Sequence[str]) -> pa.Table:
    """Return the rows of one language and kind in the columns of SCHEMA, and the column ``text``."""
    hashes, first = np.unique(_hash_texts([normalise(text) for text in texts]), return_index=True)
    kept = [texts[row] for row in first[hashes != _hash_texts([""])]]
    columns = fingerprint(kept, shingle_length(language))
    table = pa.table([pa.repeat(language, len(kept)), pa.repeat(kind, len(kept)), *columns], schema=SCHEMA)
    return table.append_column("text", pa.array(kept, pa.string()))
