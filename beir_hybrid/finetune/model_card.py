"""The model card: Sentence Transformers' own, with a section on how the batches were made and of what.

Left out of their card: samples of the training texts, which have licences of their own, and times, so that equal runs
write equal folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentence_transformers import SentenceTransformerModelCardData

from beir_hybrid.corpora.registry import find, pair_sources
from beir_hybrid.finetune.recipe import IDENTITY
from beir_hybrid.models import e5_q4
from beir_hybrid.models.manifest import TrainingManifest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer

    from beir_hybrid.models.base import Base

_BEFORE = "## Training Details"
"""The heading of Sentence Transformers' card that our section stands before."""


class HybridModelCardData(SentenceTransformerModelCardData):
    """Model card data without samples of the training texts and without times."""

    def extract_dataset_metadata(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        """Return nothing: the section on the training data says what they are."""
        return []

    def set_widget_examples(self, dataset: Any) -> None:
        """Take no samples of the training texts."""

    def try_to_set_base_model(self) -> None:
        """Do not guess the base from the name of a folder: it is known, or is not on the hub."""

    def get_training_duration_data(self) -> dict[str, str | None]:
        """Leave times out."""
        return {"training_time": None, "evaluation_time": None, "total_time": None}


def prepare_card(model: SentenceTransformer, base: Base, languages: list[str]) -> None:
    """Give a model that is about to be trained from a base, on texts in some languages, its model card data."""
    card = HybridModelCardData(language=languages, local_files_only=True, generate_widget_examples=False)
    card.ir_model = True
    if base.checkpoint is None:
        card.base_model = e5_q4.BASE_MODEL
    elif base.checkpoint.folder is None:
        card.base_model, card.base_model_revision = base.name, base.revision
    model.model_card_data = card
    card.register_model(model)


def set_logs(model: SentenceTransformer, trainer: SentenceTransformerTrainer) -> None:
    """Give a model's card the whole log of a run, which Sentence Transformers forgets when a run is resumed."""
    metric = str(getattr(trainer.evaluator, "primary_metric", None))
    shown = {"loss": "Training Loss", f"eval_{metric}": metric}
    rows: dict[float, dict[str, Any]] = {}
    for entry in trainer.state.log_history:
        row = {shown[name]: value for name, value in entry.items() if name in shown}
        if row:
            rows.setdefault(entry["step"], {"Epoch": entry["epoch"], "Step": entry["step"]}).update(row)
    model.model_card_data.training_logs = list(rows.values())


def add_section(folder: Path, manifest: TrainingManifest, about: Sequence[str] | None = None) -> None:
    """Add our section to the card that Sentence Transformers wrote into a model's folder.

    Args:
        folder: The folder of the model.
        manifest: What the model was made of.
        about: Lines before the table of the data; by default those about a training.
    """
    card = folder / "README.md"
    before, heading, after = card.read_text(encoding="utf-8").partition(_BEFORE)
    section = [
        *(about or _training(manifest)),
        "",
        "| Data | Revision | Rows | Languages | Licence |",
        "|---|---|---|---|---|",
        *map(_data_row, manifest.data),
        "",
        "",
    ]
    card.write_text(before + "\n".join(section) + heading + after, encoding="utf-8")


def _training(manifest: TrainingManifest) -> list[str]:
    settings = manifest.settings
    batches = _batches(settings)
    how = "all weights" if settings["tune"] == "full" else "a linear head on the frozen base"
    how += _start(settings)
    return [
        "## Hybrid Training",
        "",
        f"Trained with [BEIR-Hybrid](https://pypi.org/project/beir-hybrid/) from `{manifest.base['name']}` "
        f"(revision `{manifest.base['revision']}`): {how}, {manifest.steps_done:,} steps of "
        f"{settings['batch_size'] * manifest.processes} pairs{_hard_negatives(manifest)}. Batches: {batches} "
        "(arXiv 2408.10536). "
        "`training_manifest.json` has all settings.",
    ]


def _batches(settings: Mapping[str, Any]) -> str:
    """Say how the batches of a training were made."""
    if settings["batching"] == "mixed":
        return "mixed, each row of any pair of languages"
    batches = f"{settings['batching']}, {settings['alpha']:g} of the batches monolingual"
    if settings["batching"] == "monolingual":
        return batches
    of_pairs = "of many pairs of languages" if settings["pairing"] == "mixed" else "of one pair of languages"
    return f"{batches}, the rows of a cross-lingual one {of_pairs}"


def _hard_negatives(manifest: TrainingManifest) -> str:
    """Say how many hard negatives a row had, if any, and in whose language."""
    number = max((part.get("negatives", 0) for part in manifest.data), default=0)
    if not number:
        return ""
    whose = manifest.settings["negatives"]
    language = "the languages of question and answer" if whose == "both" else f"the language of the {whose}"
    return f", each with {number} hard negative{'s' * (number > 1)} in {language}"


def _start(settings: Mapping[str, Any]) -> str:
    """Return where the linear layer started, and how much of the way from there it went, if that is to be said."""
    share, start = settings["interpolation"], f"a {settings['start']}"
    if settings["start_revision"]:
        start = f"the layer of `{settings['start']}`"
    from_start = "" if settings["start"] == IDENTITY else f" that started as {start}"
    if settings["tune"] == "head":
        return from_start + (f" ({share:g} of the way from its start is kept)" if share != 1 else "")
    layer = f"and {start} behind the base, {'frozen' if settings['freeze_start'] else 'trained along'}"
    return f", {layer}" if from_start else ""


def _data_row(part: Mapping[str, Any]) -> str:
    languages = ", ".join(part["languages"])
    known = pair_sources().get(part["source"])
    spec = known[0] if known else find(part["source"])
    licence = spec.licence if spec else "see the source"
    source = str(part["source"]).replace("|", r"\|")
    return f"| {source} | `{part['revision'][:12]}` | {part['rows']:,} | {languages} | {licence} |"
