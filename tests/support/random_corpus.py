"""A made-up parallel corpus in which a passage may answer several questions, in some languages and not in others."""

from __future__ import annotations

import numpy as np

from beir_hybrid.corpora.parallel import LanguageCorpus, ParallelCorpus


def random_corpus(sizes: dict[str, int], n_questions: int, seed: int = 0, ignore: bool = False) -> ParallelCorpus:
    """Make a corpus.

    Args:
        sizes: Language -> passages.
        n_questions: Questions of each language.
        seed: Of the judgments.
        ignore: Whether some passages are no candidates for some questions.
    """
    rng = np.random.default_rng(seed)
    question_ids = tuple(f"q{n}" for n in range(n_questions))
    languages = {}
    for language, size in sizes.items():
        relevance = {
            question_id: {int(row): 1 for row in rng.choice(size, rng.integers(0, 3), replace=False)}
            for question_id in question_ids
        }
        relevance[question_ids[0]] = {0: 1}
        ignored = {
            question_id: [int(row) for row in rng.choice(size, 2, replace=False) if row not in relevance[question_id]]
            for question_id in question_ids
            if ignore
        }
        languages[language] = LanguageCorpus(
            language,
            question_ids,
            tuple(f"{language} question {n}" for n in range(n_questions)),
            tuple(f"article {n // 3}" for n in range(n_questions)),
            tuple(f"{language}:{n}" for n in range(size)),
            tuple(f"{language} passage {n}" for n in range(size)),
            relevance,
            ignored=ignored,
        )
    return ParallelCorpus("made-up", "1", languages)
