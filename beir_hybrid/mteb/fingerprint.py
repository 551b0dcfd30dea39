"""Fingerprints of the models that MTEB wraps from Sentence Transformers: a hash of all their embeddings depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beir_hybrid.mteb.aware_encoder import AwareEncoder

# Arguments of `encode` that change how fast embeddings come, or in what container, but not their values.
_NO_CONTENT = frozenset(
    "batch_size chunk_size convert_to_numpy convert_to_tensor device num_proc num_workers pool "
    "show_progress_bar".split()
)
# Whose modules keep all that they compute with in weights and settings.
_KNOWN_MODULES = ("sentence_transformers.", "transformers.", "torch.", "peft.")


def fingerprint(model: Any, encode_kwargs: Mapping[str, Any]) -> str | None:
    """Hash all that the embeddings of a model depend on: weights, modules, prompts, dimensions, precision, settings.

    The same model has the same fingerprint on every device.

    Args:
        model: A model as MTEB evaluates it.
        encode_kwargs: What its ``encode`` is called with.

    Returns:
        64 hexadecimal digits; None for models that are not one of MTEB's wrappers around a model of Sentence
        Transformers with stock modules, perhaps with a map behind it: what their embeddings depend on is not known.
    """
    from torch import nn

    if isinstance(model, AwareEncoder):
        of_encoder = fingerprint(model.encoder, encode_kwargs)
        return of_encoder and hashlib.sha256(f"{of_encoder} {model.digest}".encode()).hexdigest()
    inner = getattr(model, "model", None)
    if not type(model).__module__.startswith("mteb.models.sentence_transformer_wrapper") or not isinstance(
        inner, nn.Module
    ):
        return None
    modules = list(inner.modules())
    if not all(type(module).__module__.startswith(_KNOWN_MODULES) for module in modules):
        return None
    total = hashlib.sha256()
    for part in (_settings_of_wrapper(model), _settings_of_call(encode_kwargs), *map(_settings_of_module, modules)):
        total.update(json.dumps(part, sort_keys=True, default=repr).encode("utf-8", "surrogatepass") + b"\0")
    for tokenizer in _tokenizers(modules):
        total.update(tokenizer.encode("utf-8", "surrogatepass") + b"\0")
    for name, tensor in (*inner.named_parameters(), *inner.named_buffers()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        total.update(_bytes_of(tensor))
    return total.hexdigest()


def _settings_of_call(encode_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in encode_kwargs.items() if name not in _NO_CONTENT and value is not None}


def _settings_of_wrapper(model: Any) -> dict[str, Any]:
    plain = {name: value for name, value in vars(model).items() if _is_plain(value)}
    inner = model.model
    names = ("prompts", "default_prompt_name", "truncate_dim", "similarity_fn_name", "max_seq_length")
    return {
        "wrapper": [type(model).__name__, plain],
        "model": [type(inner).__name__, {name: _attribute(inner, name) for name in names}],
    }


def _settings_of_module(module: Any) -> list[Any]:
    """Return what a module computes with, its weights and those of its children left out."""
    kind = type(module).__module__
    settings: Any = None
    if kind.startswith("transformers.") and hasattr(module, "config"):
        config = module.config.to_dict()
        # Where it came from and how it is computed; the precision is that of the weights.
        left_out = {"transformers_version", "torch_dtype", "dtype", "name_or_path"}
        settings = {name: value for name, value in config.items() if name[0] != "_" and name not in left_out}
    elif kind.startswith(("sentence_transformers.", "peft.")):
        names = ("active_adapters", "disable_adapters", "merged", "scaling")
        settings = {name: value for name in names if (value := _attribute(module, name)) is not None}
        if hasattr(module, "get_config_dict"):
            settings |= module.get_config_dict()
    return [f"{kind}.{type(module).__qualname__}", module.extra_repr(), settings]


def _attribute(owner: Any, name: str) -> Any:
    try:
        value = getattr(owner, name, None)
    except Exception:  # properties of models that lack what they look for
        return None
    return None if callable(value) else value


def _is_plain(value: Any) -> bool:
    """Whether a value is a setting: a number, a text, or a dictionary or list of such."""
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_plain(entry) for name, entry in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _tokenizers(modules: Sequence[Any]) -> Iterator[str]:
    """Yield the content of each tokenizer as text, less its state of truncation and padding, which calls change."""
    seen: set[int] = set()
    for module in modules:
        tokenizer = _attribute(module, "tokenizer")
        if tokenizer is None or id(tokenizer) in seen:
            continue
        seen.add(id(tokenizer))
        fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if hasattr(fast, "to_str"):
            content = json.loads(fast.to_str())
            yield json.dumps({name: content[name] for name in content if name not in ("truncation", "padding")})
        elif hasattr(tokenizer, "get_vocab"):
            yield json.dumps(tokenizer.get_vocab(), sort_keys=True)
        yield f"{type(tokenizer).__name__} {getattr(tokenizer, 'model_max_length', '')}"


def _bytes_of(tensor: Any) -> Any:
    import torch

    plain = tensor.detach()
    if plain.layout != torch.strided:
        plain = plain.to_dense()
    return plain.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
