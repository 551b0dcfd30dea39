"""Small models for the tests of training: the two bases of arXiv 2408.10536 with some thousand random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from tests.support.small_xquad import LANGUAGES

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "sentence", "question", "only", "passage", "query", ":", ".", "?"]
WORDS += [*LANGUAGES, *(str(number) for number in range(5)), *(f"q{number}" for number in range(4))]


def save_xlm_r(folder: Path, seed: int = 0) -> Path:
    """Save an XLM-R as transformers does, without modules of Sentence Transformers."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        initializer_range=0.5,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    XLMRobertaModel(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def save_labse(folder: Path, seed: int = 0) -> Path:
    """Save a model of LaBSE's modules: BERT, the first token, Dense with tanh, Normalize."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=0.5,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    parts = folder.with_name(f"{folder.name}-parts")
    BertModel(config).save_pretrained(parts)
    _tokenizer().save_pretrained(parts)
    modules = [Transformer(str(parts)), Pooling(16, "cls"), Dense(16, 16), Normalize()]
    prompts = {"query": "query: ", "document": "passage: "}
    SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save(str(folder), create_model_card=False)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    special = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "unk_token": "<unk>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>", model_max_length=32, **special)
