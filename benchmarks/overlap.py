"""What the overlap check finds, and what it takes for a duplicate, on real questions and passages.

`python -m benchmarks.overlap` prints, for each language of XQuAD-R and each similarity from which two questions would
be near-duplicates, the share of its questions that are found again after a change of case and punctuation and the
replacement of one word, and beside it the number of its questions that would be near-duplicates of another one of its
own questions; then how many passages of MLQA-R would count as contained in a paragraph of XQuAD-R, which has others.
BEIR_HYBRID_DATA names the folder with the data, else it is downloaded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from beir_hybrid.corpora import load, spec_of
from beir_hybrid.corpora.sources import path_of
from beir_hybrid.overlap.check import all_matches, best_matches
from beir_hybrid.overlap.fingerprints import fingerprint, shingle_length

NEAR = (0.4, 0.5, 0.6, 0.7)
CONTAINED = (0.8, 0.9, 1.0)
CHARACTERS_OF_A_WORD = {"th": 4, "zh": 2}
"""Languages that are written without spaces -> characters that are replaced in place of a word."""


def altered(questions: Sequence[str], language: str, seed: int = 0) -> list[str]:
    """Replace one word of each question by a word of another, write it in capitals and put a dash before the end."""
    generator = np.random.default_rng(seed)
    width = CHARACTERS_OF_A_WORD.get(language)
    separator = " " if width is None else ""
    cut = [question.split() if width is None else _pieces(question, width) for question in questions]
    every_word = [word for words in cut for word in words]
    result = []
    for words in cut:
        place = int(generator.integers(len(words)))
        other = every_word[int(generator.integers(len(every_word)))]
        result.append(separator.join([*words[:place], other, *words[place + 1 :]]).upper() + " -")
    return result


def _pieces(text: str, width: int) -> list[str]:
    return [text[first : first + width] for first in range(0, len(text), width)]


def question_figures(language: str, questions: Sequence[str], length: int) -> list[str]:
    """Return for each similarity of NEAR the share of altered questions found, and the questions that look alike."""
    prints = fingerprint(questions, length)
    found = best_matches(fingerprint(altered(questions, language), length), prints, min(NEAR))
    pairs = np.concatenate(list(all_matches(prints, prints, min(NEAR))))
    pairs = pairs[pairs["text"] != pairs["training"]]
    figures = []
    for near in NEAR:
        share = _at_least(found, near).sum() / len(questions)
        alike = len(np.unique(pairs["text"][_at_least(pairs, near)]))
        figures += [f"{share:.1%}", f"{alike}"]
    return figures


def _at_least(matches: np.ndarray, near: float) -> np.ndarray:
    return (matches["match"] < 2) & (matches["similarity"] >= near)


def contained_by_chance(language: str, passages: Sequence[str]) -> list[str]:
    """Count passages that are contained in a paragraph of XQuAD-R, for each share of CONTAINED."""
    content = json.loads(path_of(spec_of("xquad-r"), language).read_text(encoding="utf-8"))
    paragraphs = [paragraph["context"] for article in content["data"] for paragraph in article["paragraphs"]]
    length = shingle_length(language)
    prints = fingerprint(passages, length), fingerprint(paragraphs, length)
    found = np.concatenate(list(all_matches(*prints, near=1.0, contained=min(CONTAINED))))
    return [str(len(np.unique(found["text"][found["similarity"] >= share]))) for share in CONTAINED]


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, choices=(1, 2, 3), help="characters of a shingle; the language's own")
    length = parser.parse_args().length
    rows = [
        (language, *question_figures(language, part.questions, length or shingle_length(language)))
        for language, part in load("xquad-r").languages.items()
    ]
    headers = ["", *(name for near in NEAR for name in (f"found at {near}", "alike"))]
    print("Questions of XQuAD-R with one word replaced\n")
    print(tabulate(rows, headers, disable_numparse=True))
    print("\nPassages of MLQA-R in paragraphs of XQuAD-R\n")
    contained = [
        (language, str(len(part.passages)), *contained_by_chance(language, part.passages))
        for language, part in load("mlqa-r").languages.items()
    ]
    print(tabulate(contained, ["", "passages", *(f"at {share}" for share in CONTAINED)], disable_numparse=True))


if __name__ == "__main__":
    main()
