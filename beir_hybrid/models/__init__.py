"""Models that this package adds to mteb's registry.

Importing it is cheap; asking for `MODELS` imports mteb.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    # Registry key -> metadata. A key is what users type after `-m`; it need not be the name of the metadata.
    MODELS: dict[str, ModelMeta]


def __getattr__(name: str) -> Any:
    if name == "MODELS":
        return _models()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _models() -> dict[str, ModelMeta]:
    from beir_hybrid.models import e5_q4, heads, ours

    return {
        e5_q4.NAME: e5_q4.model_meta(),
        heads.OURS: ours.listed_meta(),
        **{head.model_name: heads.model_meta(head) for head in heads.baselines()},
    }
