"""One HTML file that loads nothing.

A page is a folder's page_template.html, page.css and page.js; what is common to pages (variables, tables, heat maps,
the switch between light and dark) is beside this file and comes first. The template renders everything, so that a page
reads without JavaScript; the script adds to what is there. A Content-Security-Policy allows exactly this style sheet
and this script, by their hashes, and no request at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from beir_hybrid.families import family_name
from beir_hybrid.files import atomic_path
from beir_hybrid.pages.charts import heat_class, interval_chart
from beir_hybrid.pages.wording import metric_name, number, p_value, short, signed, web_address

SHARED = Path(__file__).parent

_FILTERS = (family_name, heat_class, metric_name, number, p_value, short, signed, web_address)


def render(folder: Path, content: Mapping[str, Any], filters: Iterable[Callable[..., Any]] = ()) -> str:
    """Render the page of a folder; everything that is not from the files there and here is escaped.

    Args:
        folder: It holds page_template.html, page.css and page.js.
        content: What the template shows.
        filters: Functions that the template uses as filters, by their names.
    """
    style, script = (_joined(name, folder) for name in ("css", "js"))
    policy = (
        f"default-src 'none'; style-src {_source_hash(style)}; script-src {_source_hash(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({one.__name__: one for one in (*_FILTERS, *filters)})
    environment.globals.update(interval_chart=interval_chart)
    template = environment.get_template("page_template.html")
    return template.render(**content, policy=policy, style=Markup(style), script=Markup(script))


def write(text: str, path: Path) -> None:
    """Write a page.

    Raises:
        BeirHybridError: The file cannot be written.
    """
    with atomic_path(path) as temporary:
        # A lone surrogate, which JSON can hold and UTF-8 cannot, becomes a question mark.
        temporary.write_bytes(text.encode("utf-8", errors="replace"))


def _joined(kind: str, folder: Path) -> str:
    files = (SHARED / f"shared.{kind}", folder / f"page.{kind}")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
