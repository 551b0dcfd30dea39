"""The ways to make batches (arXiv 2408.10536), and the names of the pairs of languages that they are made of."""

import re
from typing import Literal

from beir_hybrid.errors import DataError

Batching = Literal["hybrid", "monolingual", "cross-lingual", "mixed"]
"""What a batch is: monolingual or cross-lingual, by chance; always x-x; always x-y; rows of any pair, x-x and x-y."""

Pairing = Literal["mixed", "pair"]
"""What a cross-lingual batch is: rows of many pairs of languages, or all of one pair."""


def pair_languages(name: str) -> tuple[str, str]:
    """Split the name of a pair, question language first.

    A name splits at the one hyphen that a lower-case letter follows. In a language code, what follows a hyphen begins
    with a capital or a digit, as BCP 47 writes scripts and regions: ``zh-Hans-en`` is zh-Hans and en, ``pt-BR-pt-PT``
    is pt-BR and pt-PT.

    Args:
        name: For example ``en-de``.

    Returns:
        The languages of the questions and of the answers; equal for a monolingual pair.

    Raises:
        DataError: There is no such hyphen, or more than one.
    """
    languages = re.split(r"-(?=[a-z])", name)
    if len(languages) != 2 or not languages[0]:
        raise DataError(
            f"the dataset name {name!r} is not a pair of languages like en-de or zh-Hans-en: name the datasets so and "
            "pass pairs=list(train_dataset)"
        )
    return languages[0], languages[1]
