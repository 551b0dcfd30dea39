"""Which files a data set consists of, and where they come from.

A file is looked for in the user's own folder (BEIR_HYBRID_DATA), else in the cache folder, else it is downloaded
from the pinned commit. Every file is compared with its published SHA-256, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.errors import DataError
from beir_hybrid.files import atomic_path, home, user_path

if TYPE_CHECKING:
    from requests import RequestException

# Seconds until a connection must stand, and seconds without a byte. Short: without a network the answer is an
# error, and an error must come at once.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 20

_LAREQA_CITATION = r"""
@article{roy2020lareqa,
  author = {Roy, Uma and Constant, Noah and Al-Rfou, Rami and Barua, Aditya and Phillips, Aaron and Yang, Yinfei},
  journal = {arXiv preprint arXiv:2004.05484},
  title = {{LAReQA}: Language-agnostic answer retrieval from a multilingual pool},
  year = {2020},
}
"""

_NTREX_CITATION = r"""
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

_NTREX_CODES = {
    "ar": "arb",
    "bn": "ben",
    "de": "deu",
    "el": "ell",
    "es": "spa",
    "fa": "fas",
    "fi": "fin",
    "fr": "fra",
    "hi": "hin",
    "id": "ind",
    "ja": "jpn",
    "ko": "kor",
    "ru": "rus",
    "sw": "swa",
    "te": "tel",
    "th": "tha",
    "tr": "tur",
    "vi": "vie",
    "yo": "yor",
    "zh": "zho-CN",
}
"""ISO 639-1 code -> NTREX-128's code, of the translations."""

_NTREX_NAMES = {
    "en": "NTREX-128/newstest2019-src.eng.txt",
    **{language: f"NTREX-128/newstest2019-ref.{code}.txt" for language, code in _NTREX_CODES.items()},
}


@dataclass(frozen=True)
class DataSet:
    """The published files of a data set: one a language, and those that belong to all languages.

    Attributes:
        name: Name that users type, e.g. ``xquad-r``.
        licence: Licence that the publisher ships with the files, as an SPDX identifier in lower case.
        citation: BibTeX entry.
        revision: Commit that the files are pinned to.
        url: Address of a file, a template with ``{revision}`` and ``{language}``.
        names: Part -> what stands for ``{language}`` in its address, where that is not the part itself.
        folder: Subfolder of BEIR_HYBRID_DATA, and of the cache folder, that holds the files.
        sha256: ISO 639-1 code -> SHA-256 of the language's file, in the order of the data set.
        shared: File name -> SHA-256 of the files that belong to all languages; needed whatever is read.
        suffix: End of the name of a language's file.
        pivot: Language whose file is fetched with any other: LAReQA's knows every question and names its article,
            NTREX-128's is the original of the translations.

    A *part* of a data set is a language or the name of a shared file: what has a file, a checksum and an address.
    """

    name: str
    licence: str
    citation: str
    revision: str
    url: str
    folder: str
    sha256: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ".json"
    pivot: str = "en"

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of the data set's languages."""
        return tuple(self.sha256)

    @property
    def parts(self) -> tuple[str, ...]:
        """Everything that has a file: the languages, then the shared files."""
        return (*self.sha256, *self.shared)

    def choose(self, languages: Iterable[str] | None) -> tuple[str, ...]:
        """Return the languages asked for, each once and in the order of the data set; all of them for None.

        Raises:
            DataError: A language is not part of the data set, or none was asked for.
        """
        if languages is None:
            return self.languages
        asked = {languages} if isinstance(languages, str) else set(languages)
        unknown = asked - set(self.languages)
        if unknown or not asked:
            what = f"unknown language {min(unknown)!r}" if unknown else "no language was asked for"
            raise DataError(f"{self.name}: {what}; it has {', '.join(self.languages)}")
        return tuple(language for language in self.languages if language in asked)

    def needed(self, languages: Iterable[str] | None) -> tuple[str, ...]:
        """Return the parts whose files must be there to read ``languages``: those, the pivot and the shared files."""
        return (*self.choose({*self.choose(languages), self.pivot}), *self.shared)

    def published(self, part: str) -> str:
        """Return the SHA-256 of a part's file.

        Raises:
            DataError: There is no such part.
        """
        if part in self.shared:
            return self.shared[part]
        (language,) = self.choose({part})
        return self.sha256[language]

    def file(self, root: Path, part: str) -> Path:
        """Return the place of a part's file below ``root``."""
        return root / self.folder / (part if part in self.shared else part + self.suffix)

    def address(self, part: str) -> str:
        """Return the address that a part's file is downloaded from."""
        return self.url.format(revision=self.revision, language=self.names.get(part, part))


DATA_SETS: dict[str, DataSet] = {
    "xquad-r": DataSet(
        name="xquad-r",
        licence="cc-by-sa-4.0",
        citation=_LAREQA_CITATION,
        revision="9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c",
        url="https://raw.githubusercontent.com/google-research-datasets/lareqa/{revision}/xquad-r/{language}.json",
        folder="lareqa/xquad-r",
        sha256={
            "ar": "c52922d3b8ac1ae03ed5ac38647ad59870dca3dda2beefe18ecdc30729acb69d",
            "de": "16fb0f4bf4916154b585a20c24c66074591c9718a1affe764ff4697572328949",
            "el": "163fd43ee785a30eb534ae2061e9eaa766a7ee4e8ffce5e4b422480c150f64b6",
            "en": "7b0954f39297c27a31fef610f0883337dd2907fa8699151dc922afdd0fa12ffe",
            "es": "f8e836b2d91009c4363e04315f7ede363eedbbb49c67dda60de6c4aa782f58de",
            "hi": "ea45ba8ae4513d1533b222bebdc02a90bc319c055d3aeea68584a053d2e92872",
            "ru": "7f4dff853538b9a5fcc28c070b8bb983a5c5d190ac747b8e005a1ada9cab18f1",
            "th": "c3a041864c3a9fb0b4dd91cfdf99cf36b411b3e704c58a303c97bc6dc786cfe4",
            "tr": "f3e8c13002bbce154a4578f535f7533cb70f3da08840e6b62735935baec7bd94",
            "vi": "e35926bf5cc6fc6ecbdfca49467aabeb454f08d152d7818143a906bd31dde995",
            "zh": "80c2cde7b9c2fb134c303cbb52f2ba396ead9eb0014aec43993543d2ba9e93ed",
        },
    ),
    "mlqa-r": DataSet(
        name="mlqa-r",
        licence="cc-by-nc-4.0",
        citation=_LAREQA_CITATION,
        revision="354d67d1cd066854cdfbf5ad0e6105528976141d",
        url="https://raw.githubusercontent.com/google-research-datasets/lareqa/{revision}/mlqa-r/{language}.json",
        folder="lareqa/mlqa-r",
        sha256={
            "ar": "2132fbc03208535c0fe01f2e2c5121d06f9c2aa799af93b0a719dbc105bdf137",
            "de": "ce9454dc5aa6f2d85c23cd6e49cb367fbb7c4c6e62d7f71e355c6b5dae4d0886",
            "en": "fedd9a5cc0848dda80caf84aa36f482adaae230526a3f6e9e86926a93ef3b1e4",
            "es": "70ecba276b8c96a692b120693a595d076ce94ad21d4b28311538a9fcbfe0f9d7",
            "hi": "4dd0fb3c06f737a5481d705bc1dcac7876712a5815c9265908fbb3a0696cb654",
            "vi": "9d3baff6ba03e6793b25594217265ea59a136b9733833dca8a9582a84a78ff85",
            "zh": "57f01d2fff50cf3392805635b01445339f225ad5bf28ba8443b12f8dbd1e69dc",
        },
    ),
    "ntrex": DataSet(
        name="ntrex",
        licence="cc-by-sa-4.0",
        citation=_NTREX_CITATION,
        revision="8561f6a622db9edad1217683e5c83daefd8bb2bf",
        url="https://raw.githubusercontent.com/MicrosoftTranslator/NTREX/{revision}/{language}",
        folder="ntrex",
        sha256={
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
        },
        names=_NTREX_NAMES,
        shared={"DOCUMENT_IDS.tsv": "88a8b0ff1eae47e83f60dcde01075b8c87d75ced59ca09e0af1eb539958e05d5"},
        suffix=".txt",
    ),
}


def data_set(name: str) -> DataSet:
    """Return the data set of a name.

    Raises:
        DataError: There is none of that name.
    """
    try:
        return DATA_SETS[name]
    except KeyError:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(DATA_SETS)}") from None


def locate(name: str, part: str) -> Path | None:
    """Return a part's file if it is on this machine, and None if it would have to come from elsewhere.

    Args:
        name: Name of the data set.
        part: ISO 639-1 code, or the name of a shared file.

    Returns:
        The file in the user's own folder if BEIR_HYBRID_DATA is set, else the one in the cache folder. A file in
        the cache that is not the published one counts as absent: a download replaces it.

    Raises:
        DataError: The data set or the part is unknown, the file cannot be read, or the file in the user's own
            folder is not the published one and BEIR_HYBRID_DATA_UNVERIFIED is not set.
    """
    source = data_set(name)
    published = source.published(part)
    own = _own_folder()
    path = source.file(own or _cache_folder(), part)
    if not os.path.isfile(path):
        return None
    if own and _unverified_allowed():
        return path
    found = _sha256(path)
    if found == published:
        return path
    if own is None:
        return None
    raise DataError(
        f"{path}: its SHA-256 is {found}, the published file has {published}; "
        "restore the file, or set BEIR_HYBRID_DATA_UNVERIFIED=1 if the difference is meant"
    )


def path_of(name: str, part: str, progress: bool = True) -> Path:
    """Return a part's file, downloading it if it is not on this machine.

    Args:
        name: Name of the data set.
        part: ISO 639-1 code, or the name of a shared file.
        progress: Show a progress bar while downloading, if standard error is a terminal.

    Returns:
        The file in BEIR_HYBRID_DATA or in the cache folder, whole and verified.

    Raises:
        DataError: As for ``locate``; or BEIR_HYBRID_DATA lacks the file, or the download failed.
        BeirHybridError: The cache folder cannot be written to.
    """
    path = locate(name, part)
    if path is not None:
        return path
    source = data_set(name)
    own = _own_folder()
    if own is not None:
        raise DataError(
            f"{source.file(own, part)} is missing; BEIR_HYBRID_DATA={own} is set, so nothing is downloaded: "
            "put the file there, or unset BEIR_HYBRID_DATA to download it"
        )
    target = source.file(_cache_folder(), part)
    _download(source, part, target, progress)
    return target


def fetch(name: str, languages: Iterable[str] | None = None, progress: bool = True) -> list[Path]:
    """Make sure that the files of a data set are on this machine.

    Args:
        name: Name of the data set.
        languages: ISO 639-1 codes; None for all. The pivot language's file and the shared files come with any of them.
        progress: Show a progress bar for each download, if standard error is a terminal.

    Returns:
        The files, in the order of the data set's languages, then the shared ones.

    Raises:
        DataError, BeirHybridError: As for ``path_of``. Files fetched before the error stay.
    """
    return [path_of(name, part, progress) for part in data_set(name).needed(languages)]


def revision_of(name: str, languages: Iterable[str] | None = None) -> str:
    """Return what names the exact texts that reading ``languages`` gives; downloads nothing.

    Args:
        name: Name of the data set.
        languages: ISO 639-1 codes; None for all.

    Returns:
        The pinned commit if the files are the published ones (those not on this machine can only become that, and
        others are refused), else, where BEIR_HYBRID_DATA_UNVERIFIED allows them, ``local-<hash>`` of all files of the
        data set in the user's own folder, whichever languages were asked for, so that runs over different languages
        of one folder agree.

    Raises:
        DataError: The data set or a language is unknown, or a file cannot be read.
    """
    source = data_set(name)
    needed = source.needed(languages)
    own = _own_folder()
    if own is None or not _unverified_allowed():
        return source.revision  # any other file is refused when it is read
    paths = {part: source.file(own, part) for part in source.parts}
    found = {part: _sha256(path) for part, path in paths.items() if os.path.isfile(path)}
    if all(found.get(part, source.published(part)) == source.published(part) for part in needed):
        return source.revision
    lines = "".join(f"{part} {digest}\n" for part, digest in sorted(found.items()))
    return f"local-{hashlib.sha256(lines.encode()).hexdigest()[:16]}"


def _own_folder() -> Path | None:
    configured = os.environ.get("BEIR_HYBRID_DATA")
    return user_path(configured, "BEIR_HYBRID_DATA=") if configured else None


def _cache_folder() -> Path:
    return home() / "data"


def _unverified_allowed() -> bool:
    return os.environ.get("BEIR_HYBRID_DATA_UNVERIFIED", "0") not in ("", "0")


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _download(source: DataSet, part: str, target: Path, progress: bool) -> None:
    """Download one file to ``target``, which appears whole and verified or not at all."""
    # pooch.retrieve would do, but leaves files that only their owner can read, which spoils a shared cache folder.
    with atomic_path(target) as temporary:
        _transfer(source, part, target, temporary, progress)
        found, published = _sha256(temporary), source.published(part)
        if found != published:
            raise DataError(
                f"{source.name} {part}: the download of {source.address(part)} has the SHA-256 {found} instead "
                f"of {published} and was thrown away; {_ways_out(source, part, target)}"
            )


def _transfer(source: DataSet, part: str, target: Path, temporary: Path, progress: bool) -> None:
    """Bring the bytes of one file to ``temporary``; any fault of the network becomes a DataError."""
    from pooch import HTTPDownloader
    from requests import RequestException
    from tqdm.auto import tqdm

    address = source.address(part)
    # pooch asks for the truth value of the bar before it sets the total, and tqdm has none without a total.
    with tqdm(
        desc=f"{source.name} {part}", total=1, unit="B", unit_scale=True, disable=None if progress else True
    ) as bar:
        download = HTTPDownloader(
            progressbar=bar,
            chunk_size=1 << 16,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            # Compressed bytes would make the announced length, and with it the bar, wrong.
            headers={"Accept-Encoding": "identity"},
        )
        try:
            download(address, str(temporary), None)
        except RequestException as error:
            raise DataError(
                f"{source.name} {part}: no intact file on this machine, and the download of {address} failed "
                f"({_reason(error)}); {_ways_out(source, part, target)}"
            ) from error


def _reason(error: RequestException) -> str:
    """Say in a few words why a download failed; the exception's own text is long and full of objects."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    reasons: tuple[tuple[type[requests.RequestException], str], ...] = (
        (requests.exceptions.ChunkedEncodingError, "the connection broke off"),
        (requests.exceptions.SSLError, "no secure connection"),
        (requests.exceptions.ProxyError, "no connection to the proxy"),
        (requests.Timeout, "the server did not answer in time"),
        (requests.ConnectionError, "no connection, or it broke off"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), type(error).__name__)


def _ways_out(source: DataSet, part: str, target: Path) -> str:
    return (
        f"run `beir-hybrid data fetch {source.name}` where there is a network, or set BEIR_HYBRID_DATA to a folder "
        f"that holds {source.file(Path(), part).as_posix()}, or copy the file to {target}"
    )
