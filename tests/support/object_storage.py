"""Object storage on this machine: as much of S3's protocol as reading a bucket takes, over a folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class Storage:
    """A bucket.

    Attributes:
        folder: The files in it.
        sent: Place of a file -> bytes of it that were read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: dict[str, int] = {}
        self.port = 0

    def address(self, place: str = "") -> str:
        """Return the address of a file or folder."""
        return f"s3://{BUCKET}/{place}?endpoint_override=127.0.0.1%3A{self.port}&scheme=http"


@contextmanager
def served(folder: Path) -> Iterator[Storage]:
    """Serve a folder as a bucket while the block runs."""
    storage = Storage(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            self._list(query) if "list-type" in query else self._answer(body=True)

        def _answer(self, body: bool) -> None:
            place = unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}").lstrip("/")
            path = folder / place
            if not path.is_file():
                self._send(404 if place else 200, b"")
                return
            content, status, headers = path.read_bytes(), 200, {"Last-Modified": _date(path, format_datetime)}
            asked = self.headers.get("Range")
            if asked is not None:
                first, last = asked.removeprefix("bytes=").split("-")
                last = min(int(last), len(content) - 1)
                headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
                content, status = content[int(first) : last + 1], 206
            if body:
                storage.sent[place] = storage.sent.get(place, 0) + len(content)
            self._send(status, content, headers, body)

        def _list(self, query: dict[str, list[str]]) -> None:
            prefix = query.get("prefix", [""])[0]
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            found = [
                (path, place) for path in paths if (place := path.relative_to(folder).as_posix()).startswith(prefix)
            ]
            entries = "".join(
                f"<Contents><Key>{escape(place)}</Key><LastModified>{_date(path, datetime.isoformat)}</LastModified>"
                f"<Size>{path.stat().st_size}</Size></Contents>"
                for path, place in found
            )
            head = f"<Name>{BUCKET}</Name><KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>"
            self._send(200, f"<ListBucketResult>{head}{entries}</ListBucketResult>".encode())

        def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None, body: bool = True) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    storage.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield storage
    finally:
        server.shutdown()
        server.server_close()


def _date(path: Path, written: object) -> str:
    when = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    return written(when, usegmt=True) if written is format_datetime else written(when).replace("+00:00", "Z")
