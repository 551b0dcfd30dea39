"""Where the files come from: the user's own folder, the cache, a download; and what happens when none will do."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from beir_hybrid.corpora import sources, spec_of, specs
from beir_hybrid.errors import BeirHybridError, DataError
from tests.support.specs import publish

LANGUAGES = ("de", "en", "tr")
# More than one chunk of the download, so that there is a middle to break off in.
BODIES = {language: (f"text in {language} " * 20_000).encode() for language in LANGUAGES}
REPOSITORY = Path(__file__).parent.parent


@dataclass
class Host:
    """A stand-in for the host of the files, and how it misbehaves."""

    address: str = ""
    requests: list[str] = field(default_factory=list)
    status: int = 200
    bodies: dict[str, bytes] = field(default_factory=lambda: dict(BODIES))
    break_off: bool = False
    announce_length: bool = True
    # If set, the second half of a file is sent only after `may_go_on`; `halfway` counts the files that wait.
    pause: bool = False
    halfway: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request for a file."""
        self.requests.append(request.path)
        body = self.bodies[Path(request.path).stem]
        request.send_response(self.status)
        if self.announce_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        request.wfile.flush()
        if self.pause:
            self.halfway.release()
            self.may_go_on.wait(60)
        if not self.break_off:
            request.wfile.write(body[len(body) // 2 :])


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Serve small files on this machine as the files of XQuAD-R, and forget all data sets that are really here."""
    stand_in = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client was killed, or gave up: that is what is tested
                stand_in.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.address = f"http://127.0.0.1:{server.server_port}"
    published = {language: hashlib.sha256(body).hexdigest() for language, body in BODIES.items()}
    publish(monkeypatch, "xquad-r", url=stand_in.address + "/{revision}/{language}.json", sha256=published)
    monkeypatch.setenv("NO_PROXY", "*")
    yield stand_in
    stand_in.may_go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the cache to an empty folder; return where the files of XQuAD-R are kept in it."""
    monkeypatch.delenv("BEIR_HYBRID_DATA", raising=False)
    monkeypatch.delenv("BEIR_HYBRID_DATA_UNVERIFIED", raising=False)
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "data" / "lareqa" / "xquad-r"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user an own folder with a whole XQuAD-R; return where its files are."""
    folder = tmp_path / "own" / "lareqa" / "xquad-r"
    folder.mkdir(parents=True)
    for language, body in BODIES.items():
        (folder / f"{language}.json").write_bytes(body)
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(tmp_path / "own"))
    return folder


def error_of(language: str = "en") -> str:
    """Return the one line that asking for a file of XQuAD-R ends with."""
    with pytest.raises(BeirHybridError) as caught:
        sources.path_of(spec_of("xquad-r"), language)
    message = str(caught.value)
    assert "\n" not in message
    return message


def names_the_ways_out(message: str, cache: Path) -> bool:
    ways = ("beir-hybrid data fetch xquad-r", "BEIR_HYBRID_DATA", "lareqa/xquad-r/en.json", str(cache / "en.json"))
    return all(way in message for way in ways)


def test_a_file_is_downloaded_once_from_the_pinned_commit(host: Host, cache: Path) -> None:
    assert sources.locate(spec_of("xquad-r"), "en") is None
    path = sources.path_of(spec_of("xquad-r"), "en")
    assert path == cache / "en.json" == sources.locate(spec_of("xquad-r"), "en")
    assert path.read_bytes() == BODIES["en"]
    assert sources.path_of(spec_of("xquad-r"), "en") == path
    assert host.requests == [f"/{spec_of('xquad-r').revision}/en.json"]
    assert [file.name for file in cache.iterdir()] == ["en.json"]


def test_fetch_gets_the_languages_asked_for_and_the_pivot(host: Host, cache: Path) -> None:
    assert sources.fetch(spec_of("xquad-r"), ["tr"]) == [cache / "en.json", cache / "tr.json"]
    assert sources.fetch(spec_of("xquad-r")) == [cache / f"{language}.json" for language in LANGUAGES]
    assert len(host.requests) == len(LANGUAGES)
    with pytest.raises(DataError, match="unknown language 'fr'; it has de, en, tr"):
        sources.fetch(spec_of("xquad-r"), ["fr"])
    with pytest.raises(DataError, match="no language was asked for"):
        sources.fetch(spec_of("xquad-r"), [])


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_others_can_read_a_downloaded_file(host: Host) -> None:
    umask = os.umask(0o022)
    try:
        assert sources.path_of(spec_of("xquad-r"), "en").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(umask)


def test_a_damaged_file_in_the_cache_is_replaced(host: Host, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "en.json").write_bytes(BODIES["en"][:-1])
    assert sources.locate(spec_of("xquad-r"), "en") is None
    assert sources.path_of(spec_of("xquad-r"), "en").read_bytes() == BODIES["en"]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_bar_is_for_terminals(
    terminal: bool, progress: bool, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    sources.path_of(spec_of("xquad-r"), "en", progress=progress)
    assert ("xquad-r en: 100%" in stream.getvalue()) == (terminal and progress)
    assert bool(stream.getvalue()) == (terminal and progress)


@pytest.mark.parametrize("announce_length", [True, False])
def test_a_download_that_breaks_off_leaves_nothing(announce_length: bool, host: Host, cache: Path) -> None:
    host.break_off, host.announce_length = True, announce_length
    message = error_of()
    assert ("the connection broke off" if announce_length else "thrown away") in message
    assert names_the_ways_out(message, cache)
    assert list(cache.iterdir()) == []


def test_a_download_with_another_checksum_is_thrown_away(host: Host, cache: Path) -> None:
    host.bodies["en"] = b"<html>Please log in</html>"
    message = error_of()
    assert hashlib.sha256(host.bodies["en"]).hexdigest() in message
    assert hashlib.sha256(BODIES["en"]).hexdigest() in message
    assert names_the_ways_out(message, cache)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("status", [404, 503])
def test_an_http_error_is_named(status: int, host: Host, cache: Path) -> None:
    host.status = status
    message = error_of()
    assert f"HTTP status {status}" in message
    assert names_the_ways_out(message, cache)
    assert len(host.requests) == 1
    assert list(cache.iterdir()) == []


def test_a_host_that_falls_silent_is_given_up(host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "READ_TIMEOUT", 0.2)
    host.pause = True
    assert "no connection, or it broke off" in error_of()
    assert list(cache.iterdir()) == []


def test_without_a_network_one_line_names_the_ways_out(
    host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    closed = publish(monkeypatch, "xquad-r", url=f"http://127.0.0.1:{port}/{{revision}}/{{language}}.json")
    message = error_of()
    assert f"http://127.0.0.1:{port}/{closed.revision}/en.json failed (no connection" in message
    assert names_the_ways_out(message, cache)
    assert list(cache.iterdir()) == []


def test_a_killed_download_is_never_taken_for_a_file(host: Host, cache: Path) -> None:
    host.pause = True
    program = (
        "import dataclasses\n"
        "from beir_hybrid.corpora import sources, spec_of\n"
        "spec = spec_of('xquad-r')\n"
        f"files = dataclasses.replace(spec.files, url={spec_of('xquad-r').files.url!r})\n"
        "sources.path_of(dataclasses.replace(spec, files=files), 'en')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as process:
        assert host.halfway.acquire(timeout=60)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (cache / "en.json").exists()
    assert sources.locate(spec_of("xquad-r"), "en") is None
    host.may_go_on.set()
    assert sources.path_of(spec_of("xquad-r"), "en").read_bytes() == BODIES["en"]


def test_two_downloads_of_one_file_at_once(host: Host, cache: Path) -> None:
    host.pause = True
    with ThreadPoolExecutor(2) as pool:
        paths = [pool.submit(sources.path_of, spec_of("xquad-r"), "en") for _ in range(2)]
        assert all(host.halfway.acquire(timeout=60) for _ in paths)
        host.may_go_on.set()
        assert {path.result() for path in paths} == {cache / "en.json"}
    assert [file.read_bytes() for file in cache.iterdir()] == [BODIES["en"]]


def test_a_cache_folder_that_cannot_be_made(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "file" / "home"))
    way_on = "set BEIR_HYBRID_HOME to a folder you can write to"
    assert error_of() == f"BEIR_HYBRID_HOME={tmp_path / 'file' / 'home'}: Not a directory; {way_on}"


def test_the_home_of_nobody_has_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA", "~no-such-user/data")
    assert error_of() == "BEIR_HYBRID_DATA=~no-such-user/data: there is no such home folder"


def test_a_read_only_cache_folder(host: Host, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert str(cache / "en.json") in error_of()
    assert host.requests == []


def test_the_users_own_folder_comes_first(host: Host, own: Path, cache: Path) -> None:
    assert sources.path_of(spec_of("xquad-r"), "en") == own / "en.json" == sources.locate(spec_of("xquad-r"), "en")
    assert sources.revision_of(spec_of("xquad-r")) == spec_of("xquad-r").revision
    assert host.requests == []
    assert not cache.exists()


def test_a_file_that_the_own_folder_lacks_is_named_and_not_downloaded(host: Host, own: Path) -> None:
    (own / "tr.json").unlink()
    assert sources.locate(spec_of("xquad-r"), "tr") is None
    message = error_of("tr")
    assert message.startswith(f"{own / 'tr.json'} is missing; ")
    assert "unset BEIR_HYBRID_DATA" in message
    assert host.requests == []


def test_an_own_file_with_another_checksum_is_refused_unless_that_is_meant(
    host: Host, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "en.json").write_bytes(b"{}")
    message = error_of()
    assert message.startswith(f"{own / 'en.json'}: its SHA-256 is {hashlib.sha256(b'{}').hexdigest()}")
    assert hashlib.sha256(BODIES["en"]).hexdigest() in message
    with pytest.raises(DataError):
        sources.locate(spec_of("xquad-r"), "en")
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "0")
    assert error_of() == message
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    assert sources.path_of(spec_of("xquad-r"), "en") == own / "en.json"


def test_an_own_file_that_cannot_be_read(host: Host, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert error_of() == f"cannot read {own / 'en.json'}: Permission denied"


def test_the_revision_of_an_own_folder_follows_its_content(
    host: Host, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = spec_of("xquad-r").revision
    (own / "tr.json").write_bytes(b"changed")
    assert sources.revision_of(spec_of("xquad-r")) == pinned  # reading it is refused
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    assert sources.revision_of(spec_of("xquad-r"), ["de"]) == pinned
    changed = sources.revision_of(spec_of("xquad-r"), ["de", "tr"])
    assert changed.startswith("local-")
    assert changed == sources.revision_of(spec_of("xquad-r"), ["tr"]) == sources.revision_of(spec_of("xquad-r"))
    (own / "tr.json").write_bytes(b"changed again")
    assert sources.revision_of(spec_of("xquad-r")) not in (pinned, changed)
    (own / "tr.json").unlink()
    assert sources.revision_of(spec_of("xquad-r"), ["de"]) == pinned


def test_a_changed_pivot_file_changes_the_revision_of_every_language(
    host: Host, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    (own / "en.json").write_bytes(b"other articles")
    assert sources.revision_of(spec_of("xquad-r"), ["de"]).startswith("local-")


@pytest.fixture
def with_a_shared_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Serve a data set whose languages share a file, and whose files have other names where they are published."""
    host.bodies = {"en-us": b"in English", "de-de": b"in German", "list": b"of documents"}
    names = {"en": "texts/en-us.txt", "de": "texts/de-de.txt"}
    sha256 = {name: hashlib.sha256(body).hexdigest() for name, body in host.bodies.items()}
    publish(
        monkeypatch,
        "ntrex",
        url=host.address + "/{revision}/{language}",
        sha256={"de": sha256["de-de"], "en": sha256["en-us"]},
        names=names,
        shared={"list.tsv": sha256["list"]},
    )
    return sources.home() / "data" / "ntrex"


def test_a_shared_file_comes_with_any_language(host: Host, with_a_shared_file: Path) -> None:
    assert sources.locate(spec_of("ntrex"), "list.tsv") is None
    assert sources.fetch(spec_of("ntrex"), ["en"]) == [with_a_shared_file / "en.txt", with_a_shared_file / "list.tsv"]
    commit = spec_of("ntrex").revision
    assert host.requests == [f"/{commit}/texts/en-us.txt", f"/{commit}/list.tsv"]
    assert sources.locate(spec_of("ntrex"), "list.tsv") == with_a_shared_file / "list.tsv"
    assert (with_a_shared_file / "list.tsv").read_bytes() == b"of documents"
    assert sources.fetch(spec_of("ntrex"))[-1] == with_a_shared_file / "list.tsv"
    with pytest.raises(DataError, match=r"unknown language 'list'; it has de, en$"):
        sources.path_of(spec_of("ntrex"), "list")


def test_a_shared_file_is_verified_and_part_of_the_revision(
    with_a_shared_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "own" / "ntrex"
    folder.mkdir(parents=True)
    (folder / "list.tsv").write_bytes(b"changed")
    monkeypatch.setenv("BEIR_HYBRID_DATA", str(tmp_path / "own"))
    with pytest.raises(DataError, match=r"list\.tsv: its SHA-256 is "):
        sources.path_of(spec_of("ntrex"), "list.tsv")
    monkeypatch.setenv("BEIR_HYBRID_DATA_UNVERIFIED", "1")
    assert sources.path_of(spec_of("ntrex"), "list.tsv") == folder / "list.tsv"
    assert sources.revision_of(spec_of("ntrex"), ["en"]).startswith("local-")


def test_the_registry_is_complete() -> None:
    with_files = [spec for spec in specs() if spec.files is not None]
    assert [spec.name for spec in with_files] == ["xquad-r", "mlqa-r", "ntrex"]
    for spec in with_files:
        files = spec.files
        assert files.pivot in spec.languages == tuple(files.sha256)
        assert len(spec.revision) == 40
        assert list(files.parts) == [*spec.languages, *files.shared]
        assert all(len(checksum) == 64 for checksum in files.parts.values())
        addresses = [sources.address_of(spec, part) for part in files.parts]
        assert all(address.startswith("https://") and spec.revision in address for address in addresses)
        assert len(set(addresses)) == len({files.path(Path(), part) for part in files.parts}) == len(files.parts)
