"""What the documentation site needs beside mkdocs.yml; mkdocs calls these functions while `make docs` builds it.

- Comments of generated tables are for `tools.doc_figures`, and not part of a page.
- Pages link to files of the repository outside docs/, such as ``../examples/README.md``, so that the links work in a
  clone and on GitHub. On the site they lead to the repository.
- Every public name needs an entry in the API reference, and a docstring that describes its parameters.
"""

from __future__ import annotations

import importlib
import logging
import posixpath
import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import griffe
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[1]
SOURCE = "https://github.com/beir-hybrid/beir-hybrid/blob/main/"
PUBLIC_MODULES = (
    "beir_hybrid",
    "beir_hybrid.training",
    "beir_hybrid.beir",
    "beir_hybrid.leaderboard",
    "beir_hybrid.testing",
    "beir_hybrid.debias",
    "beir_hybrid.corpora",
)

_COMMENT = re.compile(r"^<!--.*?-->\n?", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<path>\.\./[^)#\s]+)")

logger = logging.getLogger("mkdocs.hooks.docs_site")  # a warning of mkdocs' fails a strict build


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Return the text of a page as the site shows it."""
    return with_links_to_source(_COMMENT.sub("", markdown), page.file.src_uri)


def with_links_to_source(markdown: str, page: str) -> str:
    """Let links that leave docs/ lead to the repository; one to a file that is not there is warned of.

    Args:
        markdown: The text of a page.
        page: Its path below docs/, with slashes.
    """

    def absolute(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), match["path"]))
        if path.startswith("docs/"):
            return match[0]
        if not (REPOSITORY / path).exists():
            logger.warning(f"{page} links to {path}, which is not in the repository")
        return f"]({SOURCE}{path}"

    return _LINK.sub(absolute, markdown)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Warn of public names that the site does not document."""
    from mkdocstrings import Inventory

    with (Path(config.site_dir) / "objects.inv").open("rb") as file:
        entries = Inventory.parse_sphinx(file)
    for fault in (*undocumented(entries), *incomplete_docstrings()):
        logger.warning(fault)


def undocumented(entries: Container[str]) -> Iterator[str]:
    """Yield a line for each public name that is not among the entries of the API reference."""
    yield from (f"{name} has no entry in docs/api" for name in public_names() if name not in entries)


def public_names() -> Iterator[str]:
    """Yield the public names of the package, each with its module: what ``__all__`` lists."""
    for module in PUBLIC_MODULES:
        yield from (f"{module}.{name}" for name in importlib.import_module(module).__all__)


def incomplete_docstrings() -> Iterator[str]:
    """Yield a line for each public name without a docstring, and for each parameter that its docstring lacks."""
    import griffe

    package = griffe.load("beir_hybrid", search_paths=[REPOSITORY], docstring_parser="google", resolve_aliases=True)
    for name in public_names():
        yield from faults_of(name, package[name.removeprefix("beir_hybrid.")])


def faults_of(name: str, public: griffe.Object | griffe.Alias) -> Iterator[str]:
    """Yield what the docstring of a name lacks, and those of its methods if it is a class.

    Args:
        name: What a message calls it.
        public: What griffe has read of it.
    """
    import griffe

    known = public.final_target if isinstance(public, griffe.Alias) else public
    if known.docstring is None:
        yield f"{name} has no docstring"
        return
    sections = _sections(known)
    described = _described(sections)
    if isinstance(known, griffe.Class):
        described |= {item for base in known.mro() if base.docstring for item in _described(_sections(base))}
    if isinstance(known, griffe.Class | griffe.Function):
        taken = {parameter.name.lstrip("*") for parameter in known.parameters} - {"self", "cls"}
        taken = {parameter for parameter in taken if not parameter.startswith("_")}
        yield from (f"{name}: its docstring does not describe {missing}" for missing in sorted(taken - described))
    if isinstance(known, griffe.Function):
        yield from (f"{name}: its docstring describes {more}, which it does not take" for more in described - taken)
        of_module = isinstance(known.parent, griffe.Module)
        if of_module and known.returns is not None and str(known.returns) != "None" and "returns" not in sections:
            yield f"{name}: its docstring does not say what it returns"
    # Methods that take the place of another class's have their parameters described there.
    if isinstance(known, griffe.Class) and len(known.resolved_bases) == len(known.bases):
        inherited = {member for base in known.mro() for member in base.members}
        for member in known.members.values():
            if member.name.startswith("_") or member.name in inherited:
                continue
            if member.is_function or "property" in member.labels:
                yield from faults_of(f"{name}.{member.name}", member)


def _sections(public: griffe.Object) -> dict[str, Any]:
    """Return the sections of a docstring by their kinds."""
    assert public.docstring is not None
    return {section.kind.value: section.value for section in public.docstring.parse("google", warnings=False)}


def _described(sections: Mapping[str, Any]) -> set[str]:
    """Return the parameters and attributes that a docstring describes."""
    return {item.name.lstrip("*") for kind in ("parameters", "attributes") for item in sections.get(kind, ())}
