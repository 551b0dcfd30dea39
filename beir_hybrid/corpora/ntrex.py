"""NTREX-128: the sentences of news stories, the same in every language.

Source: Federmann, Kocmi and Xin, 2022, https://aclanthology.org/2022.sumeval-1.4. A file holds one sentence a line;
line i of every language translates line i of the English file. DOCUMENT_IDS.tsv names the document of each line.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from beir_hybrid.corpora import sources
from beir_hybrid.corpora.parallel import ParallelSentences
from beir_hybrid.corpora.spec import CorpusSpec, Files, PairSource
from beir_hybrid.errors import DataError
from beir_hybrid.files import read_text
from beir_hybrid.languages import iso_639_3

_CITATION = r"""
@inproceedings{federmann-etal-2022-ntrex,
  address = {Online},
  author = {Federmann, Christian and Kocmi, Tom and Xin, Ying},
  booktitle = {Proceedings of the First Workshop on Scaling Up Multilingual Evaluation},
  pages = {21--24},
  publisher = {Association for Computational Linguistics},
  title = {{NTREX}-128 {--} News Test References for {MT} Evaluation of 128 Languages},
  url = {https://aclanthology.org/2022.sumeval-1.4},
  year = {2022},
}
"""

_SHA256 = {
    "ar": "d271c8645933421f760eba8ed8cc1ceaaa052f917d9c2839b8abb27e0ded71e6",
    "bn": "7fae73a2d1d24fdcb47f68a0691253cda05fa55c5ca944bc3cdf8eb2945825f1",
    "de": "259d7406a07b63e6b5b9c4a22fb76b85e2578a3fa0a4e541a50f4f7348e5c1b2",
    "el": "cd9c8eda1b54f4b504b33769db7e56e26ba9ae768a64e13e0eef02a9ee9867fc",
    "en": "389e8f5796c66db4f646dfad33e1ec622d74767af5ef112b42a1f2cd814df3cc",
    "es": "0ad8129e5ce0bea86ba7e0ea0db0504d6626b8a4d2a7cf4c44b7791c70e99b84",
    "fa": "17bca2217c74accf95fbdc47b7743402a05abc0d892ae6053477c7aec4a767c1",
    "fi": "81582e84f53af18841fa9e36c22e9b47178aab5014ee063aa755594674e05195",
    "fr": "1dd80d337f6a75c6ed579a95f09ca9b85d87d6e488d0a428c5f89cca99553136",
    "hi": "10d612b3960dc1f90d297aff7e3c6d39e6eb7221b912cef0c053d9f510e41bbc",
    "id": "a28ea049cc73a7042bbea75abd6ed02a24362d3cf8d1a1cc519a7efd8bf5ceb5",
    "ja": "4debd275d04414b71c95bad5f68e7275174e32a4ed33ece1b9a43a227aea2fca",
    "ko": "2b50fa9a121b595ac7d3b9e98d901e72bafe68dcd945109ceb1fbbe782193638",
    "ru": "a7e3601298b0368659a5c006c52809cf6792e02eb94bde9b9693333278d85732",
    "sw": "076cec7296ec0d458d4762ddcffcd1d79ce2e7d8ee641467977d0b9f4ec95e8d",
    "te": "c719e216f47b4497c6afa3c1af8819e0c45c07dd87500b0ed327b7ebcc06d1bc",
    "th": "45a57c4f9fdbae282eb2c94821535ae3c88b09186a23c5506eb0907ba429d6a5",
    "tr": "bd0c3978cb7d283ee5f8834d90a32fe2ffd0c71e4b133c677cff259d07a70ea9",
    "vi": "dd5d16cf246da57f5ccb7490ae13b8df428e7cb53e17fa04552406d657abfe3c",
    "yo": "949526fa834746b6bf85e5014ccaae993b94d4d9ac1452350eb715e30ecd62f2",
    "zh": "8bcd6f0868d33f26c8da12f55a82f66088a7b60a5f7b0b1a99dcec51daa8054a",
}


def read(spec: CorpusSpec, languages: Sequence[str], progress: bool = True) -> ParallelSentences:
    """Read the sentences of some languages, as they are in the files.

    Raises:
        DataError: A file cannot be had (see ``sources.path_of``), or is malformed: unreadable, not UTF-8, with an
            empty line, or of another length than the list of documents.
        BeirHybridError: The cache folder cannot be written to.
    """
    list_of_documents = sources.path_of(spec, _DOCUMENTS, progress)
    documents = _documents(list_of_documents)
    sentences = {}
    for language in languages:
        path = sources.path_of(spec, language, progress)
        sentences[language] = _lines(path)
        if len(sentences[language]) != len(documents):
            raise DataError(
                f"{path}: {len(sentences[language])} lines, but {list_of_documents} has {len(documents)}; "
                "line i must be the same sentence in every file"
            )
    return ParallelSentences(sources.revision_of(spec, languages), sentences, documents)


def _documents(path: Path) -> tuple[str, ...]:
    """Return the document of each line; the lines of a document must follow each other."""
    documents = _lines(path)
    seen: set[str] = set()
    line = 1
    for document, lines in groupby(documents):
        if document in seen:
            raise DataError(f"{path}, line {line}: the document {document!r} goes on after another; restore the file")
        seen.add(document)
        line += sum(1 for _ in lines)
    return documents


def _lines(path: Path) -> tuple[str, ...]:
    """Return the lines of a file, without their ends, which the published files write both ways."""
    text = read_text(path, DataError)
    # Not splitlines(), which also splits at characters that can stand inside a sentence.
    lines = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    if not text.strip():
        raise DataError(f"{path}: the file is empty; restore it")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(f"{path}, line {number}: the line is empty; restore the file")
    return lines


_DOCUMENTS = "DOCUMENT_IDS.tsv"


def _published_name(language: str) -> str:
    if language == "en":  # what the others are translated from
        return "NTREX-128/newstest2019-src.eng.txt"
    code = {"ar": "arb", "zh": "zho-CN"}.get(language) or iso_639_3(language)
    return f"NTREX-128/newstest2019-ref.{code}.txt"


SPEC = CorpusSpec(
    name="ntrex",
    title="NTREX-128",
    licence="cc-by-sa-4.0",
    revision="8561f6a622db9edad1217683e5c83daefd8bb2bf",
    citation=_CITATION,
    files=Files(
        url="https://raw.githubusercontent.com/MicrosoftTranslator/NTREX/{revision}/{language}",
        folder="ntrex",
        sha256=_SHA256,
        shared={_DOCUMENTS: "88a8b0ff1eae47e83f60dcde01075b8c87d75ced59ca09e0af1eb539958e05d5"},
        names={language: _published_name(language) for language in _SHA256},
        suffix=".txt",
    ),
    adapted_from=("NTREXBitextMining",),
    pairs={
        "ntrex": PairSource(read, ("translation", "next")),
        "ntrex-translation": PairSource(read, ("translation",)),
        "ntrex-next": PairSource(read, ("next",)),
    },
)
