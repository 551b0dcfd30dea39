"""The revision of a model as results and rank tables are filed under it: ``label[/experiment][+state-digest]``."""

from __future__ import annotations

STATE = "+state-"
"""Stands between the revision and the digest of the state, where several states of a model bear one revision."""


def short_revision(revision: str) -> str:
    """Return a revision as it is shown: 12 letters, behind a slash the experiment, and what tells states apart."""
    label, state, digest = revision.partition(STATE)
    base, slash, experiment = label.partition("/")
    return f"{base[:12]}{slash}{experiment}{state}{digest}"
