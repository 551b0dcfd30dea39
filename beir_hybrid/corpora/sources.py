"""Where the files of a corpus are: in the user's own folder, in the cache, or still to be downloaded.

A file is looked for in the user's own folder (BEIR_HYBRID_DATA), else in the cache folder, else it is downloaded
from the pinned commit. Every file is compared with its published SHA-256, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from beir_hybrid.corpora.spec import CorpusSpec, Files
from beir_hybrid.errors import DataError
from beir_hybrid.files import atomic_path, home, reading, user_path

if TYPE_CHECKING:
    from requests import RequestException

# Seconds until a connection must stand, and seconds without a byte. Short: without a network the answer is an
# error, and an error must come at once.
CONNECT_TIMEOUT = 3
READ_TIMEOUT = 20


def files_of(spec: CorpusSpec) -> Files:
    """Return the files of a corpus.

    Raises:
        DataError: It has none.
    """
    if spec.files is None:
        raise DataError(f"{spec.name} has no files of its own: there is nothing to download")
    return spec.files


def needed(spec: CorpusSpec, languages: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the parts whose files must be there to read ``languages``: those, the pivot and the shared files."""
    files = files_of(spec)
    return (*spec.choose({*spec.choose(languages), files.pivot}), *files.shared)


def address_of(spec: CorpusSpec, part: str) -> str:
    """Return the address that a part's file is downloaded from."""
    files = files_of(spec)
    return files.url.format(revision=spec.revision, language=files.names.get(part, part))


def locate(spec: CorpusSpec, part: str) -> Path | None:
    """Return a part's file if it is on this machine, and None if it would have to come from elsewhere.

    Args:
        spec: The corpus.
        part: A language, or the name of a shared file.

    Returns:
        The file in the user's own folder if BEIR_HYBRID_DATA is set, else the one in the cache folder. A file in
        the cache that is not the published one counts as absent: a download replaces it.

    Raises:
        DataError: The part is unknown, the file cannot be read, or the file in the user's own folder is not the
            published one and BEIR_HYBRID_DATA_UNVERIFIED is not set.
    """
    published, own = _published(spec, part), _own_folder()
    path = files_of(spec).path(own or _cache_folder(), part)
    if not os.path.isfile(path):
        return None
    if own and _unverified_allowed():
        return path
    digest = _sha256(path)
    if digest == published:
        return path
    if own is None:
        return None
    raise DataError(
        f"{path}: its SHA-256 is {digest}, the published file has {published}; "
        "restore the file, or set BEIR_HYBRID_DATA_UNVERIFIED=1 if the difference is meant"
    )


def path_of(spec: CorpusSpec, part: str, progress: bool = True) -> Path:
    """Return a part's file, whole and verified, downloading it if it is not on this machine.

    Args:
        spec: The corpus.
        part: A language, or the name of a shared file.
        progress: Show a progress bar while downloading, if standard error is a terminal.

    Raises:
        DataError: As for ``locate``; or BEIR_HYBRID_DATA lacks the file, or the download failed.
        BeirHybridError: The cache folder cannot be written to.
    """
    path = locate(spec, part)
    if path is not None:
        return path
    own = _own_folder()
    if own is not None:
        raise DataError(
            f"{files_of(spec).path(own, part)} is missing; BEIR_HYBRID_DATA={own} is set, so nothing is downloaded: "
            "put the file there, or unset BEIR_HYBRID_DATA to download it"
        )
    target = files_of(spec).path(_cache_folder(), part)
    _download(spec, part, target, progress)
    return target


def fetch(spec: CorpusSpec, languages: Iterable[str] | None = None, progress: bool = True) -> list[Path]:
    """Make sure that the files of some languages, of all for None, are on this machine, and return them.

    Raises:
        DataError, BeirHybridError: As for ``path_of``. Files fetched before the error stay.
    """
    return [path_of(spec, part, progress) for part in needed(spec, languages)]


def revision_of(spec: CorpusSpec, languages: Iterable[str] | None = None) -> str:
    """Return what names the exact texts that reading ``languages`` (None for all) gives; downloads nothing.

    Returns:
        The pinned commit if the files are the published ones (those not on this machine can only become that, and
        others are refused), else, where BEIR_HYBRID_DATA_UNVERIFIED allows them, ``local-<hash>`` of all files of the
        corpus in the user's own folder, whichever languages were asked for, so that runs over different languages
        of one folder agree.

    Raises:
        DataError: A language is unknown, or a file cannot be read.
    """
    parts, files, own = needed(spec, languages), files_of(spec), _own_folder()
    if own is None or not _unverified_allowed():
        return spec.revision  # any other file is refused when it is read
    paths = {part: files.path(own, part) for part in files.parts}
    digests = {part: _sha256(path) for part, path in paths.items() if os.path.isfile(path)}
    if all(digests.get(part, files.parts[part]) == files.parts[part] for part in parts):
        return spec.revision
    lines = "".join(f"{part} {digest}\n" for part, digest in sorted(digests.items()))
    return f"local-{hashlib.sha256(lines.encode()).hexdigest()[:16]}"


def _published(spec: CorpusSpec, part: str) -> str:
    """Return the SHA-256 of a part's published file."""
    (known,) = (part,) if part in files_of(spec).shared else spec.choose({part})
    return files_of(spec).parts[known]


def _own_folder() -> Path | None:
    configured = os.environ.get("BEIR_HYBRID_DATA")
    return user_path(configured, "BEIR_HYBRID_DATA=") if configured else None


def _cache_folder() -> Path:
    return home() / "data"


def _unverified_allowed() -> bool:
    return os.environ.get("BEIR_HYBRID_DATA_UNVERIFIED", "0") not in ("", "0")


def _sha256(path: Path) -> str:
    with reading(path, DataError):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _download(spec: CorpusSpec, part: str, target: Path, progress: bool) -> None:
    """Download one file to ``target``, which appears whole and verified or not at all."""
    from requests import RequestException

    files = files_of(spec)
    what, published = f"{spec.name} {part}", _published(spec, part)
    address = address_of(spec, part)
    ways_out = (
        f"run `beir-hybrid data fetch {spec.name}` where there is a network, or set BEIR_HYBRID_DATA to a folder "
        f"that holds {files.path(Path(), part).as_posix()}, or copy the file to {target}"
    )
    # pooch.retrieve would do, but leaves files that only their owner can read, which spoils a shared cache folder.
    with atomic_path(target) as temporary:
        try:
            _transfer(address, temporary, what, progress)
        except RequestException as error:
            raise DataError(
                f"{what}: no intact file on this machine, and the download of {address} failed "
                f"({_reason(error)}); {ways_out}"
            ) from error
        digest = _sha256(temporary)
        if digest != published:
            raise DataError(
                f"{what}: the download of {address} has the SHA-256 {digest} instead "
                f"of {published} and was thrown away; {ways_out}"
            )


def _transfer(address: str, target: Path, what: str, progress: bool) -> None:
    """Bring the bytes of one file to ``target``."""
    from pooch import HTTPDownloader
    from tqdm.auto import tqdm

    # pooch asks for the truth value of the bar before it sets the total, and tqdm has none without a total.
    with tqdm(desc=what, total=1, unit="B", unit_scale=True, disable=None if progress else True) as bar:
        download = HTTPDownloader(
            progressbar=bar,
            chunk_size=1 << 16,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            # Compressed bytes would make the announced length, and with it the bar, wrong.
            headers={"Accept-Encoding": "identity"},
        )
        download(address, str(target), None)


def _reason(error: RequestException) -> str:
    """Say in a few words why a download failed; the exception's own text is long and full of objects."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    reasons: tuple[tuple[type[RequestException], str], ...] = (
        (exceptions.ChunkedEncodingError, "the connection broke off"),
        (exceptions.SSLError, "no secure connection"),
        (exceptions.ProxyError, "no connection to the proxy"),
        (exceptions.Timeout, "the server did not answer in time"),
        (exceptions.ConnectionError, "no connection, or it broke off"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), type(error).__name__)
