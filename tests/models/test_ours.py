"""`ours`: which checkpoint it is, what its revision follows, and that results of two checkpoints never mix."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from mteb.cache import ResultCache
from mteb.mocks.mock_tasks import MockRetrievalTask
from mteb.models import ModelMeta
from mteb.types import PromptType

from beir_hybrid.errors import BeirHybridError, ModelError
from beir_hybrid.models import MODELS, checkpoints, heads, model_files, ours
from beir_hybrid.mteb.registration import register

Meta = Callable[[], ModelMeta]

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", "passage", ":"]
WORDS += ["this", "is", "a", "positive", "negative", "sentence", "with", "different", "length"]


def save_tiny(folder: Path, seed: int = 0, similarity: str = "cosine") -> Path:
    """Save a SentenceTransformer of a few hundred random weights: BERT, mean pooling, a Dense layer."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=1.0,
    )
    with tempfile.TemporaryDirectory() as parts:
        PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(parts)
        BertModel(config).save_pretrained(parts)
        modules = [Transformer(parts), Pooling(16, "mean"), Dense(16, 8)]
    prompts = {"query": "query: ", "document": "passage: "}
    model = SentenceTransformer(modules=modules, device="cpu", prompts=prompts, similarity_fn_name=similarity)
    shutil.rmtree(folder, ignore_errors=True)
    model.save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {seed: save_tiny(folder / str(seed), seed) for seed in (1, 2)}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start in an empty folder, without a checkpoint."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv(ours.VARIABLE, raising=False)
    monkeypatch.setattr(heads, "FOLDER", tmp_path / "no heads")
    checkpoints._hub_commit.cache_clear()


@pytest.fixture
def use(saved: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Put a checkpoint where BEIR_HYBRID_OURS points to, in place of the one that is there."""
    folder = tmp_path / "model"
    monkeypatch.setenv(ours.VARIABLE, str(folder))

    def put(seed: int) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(saved[seed], folder))

    return put


@pytest.fixture
def meta() -> Meta:
    """What mteb says of `ours` whenever it is asked."""
    register()
    return lambda: mteb.get_model_meta("ours")


@pytest.fixture
def no_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise AssertionError("the checkpoint was hashed")

    monkeypatch.setattr(checkpoints, "content_hash", fail)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(ModelError) as error:
        act()
    assert isinstance(error.value, BeirHybridError)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 500
    return line


def encode(model: Any, texts: list[str], kind: PromptType) -> np.ndarray:
    from datasets import Dataset
    from torch.utils.data import DataLoader

    batches = DataLoader(Dataset.from_dict({"text": texts}))
    task = MockRetrievalTask.metadata
    return np.asarray(
        model.encode(
            batches,
            task_metadata=task,
            hf_split="test",
            hf_subset="default",
            prompt_type=kind,
            show_progress_bar=False,
        )
    )


# Which checkpoint


def test_without_a_checkpoint_the_error_says_what_to_do(meta: Meta) -> None:
    line = refusal(meta().load_model)
    assert "BEIR_HYBRID_OURS" in line
    assert "./ours" in line
    assert line == refusal(lambda: mteb.evaluate(meta(), MockRetrievalTask(), cache=None))


def test_listing_models_works_without_a_checkpoint(meta: Meta, no_hashing: None) -> None:
    for known in (MODELS["ours"], meta()):
        assert known.revision == ours.NO_CHECKPOINT
        assert json.loads(json.dumps(known.to_dict(), default=str))["revision"] == ours.NO_CHECKPOINT
        assert json.loads(known.model_dump_json(exclude={"loader"}))["name"] == "beir-hybrid/ours"
        assert "ours_encoder" in known.to_python()
        assert known == known.model_copy()
        assert {known: 1}[known] == 1


def test_listing_models_never_reads_a_checkpoint(use: Callable[[int], Path], no_hashing: None) -> None:
    use(1)
    fresh = ours.listed_meta()
    assert fresh.name == "beir-hybrid/ours"
    names = {known.name for known in mteb.get_model_metas()}
    assert "intfloat/multilingual-e5-small" in names


def test_the_variable_goes_before_the_folder(
    meta: Meta, saved: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(saved[1], "ours")
    local = meta().revision
    monkeypatch.setenv(ours.VARIABLE, str(saved[2]))
    configured = meta().revision
    assert len({local, configured, ours.NO_CHECKPOINT}) == 3
    monkeypatch.setenv(ours.VARIABLE, "")
    assert meta().revision == local


def test_the_home_folder_can_be_abbreviated(
    meta: Meta, saved: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(saved[1].parent))
    monkeypatch.setenv("USERPROFILE", str(saved[1].parent))
    monkeypatch.setenv(ours.VARIABLE, f"~/{saved[1].name}")
    assert ours.find_checkpoint().folder == saved[1]


# What the revision follows


def test_a_single_changed_byte_changes_the_revision(meta: Meta, use: Callable[[int], Path]) -> None:
    weights = use(1) / "model.safetensors"
    before, state = meta().revision, weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert meta().revision != before
    content[-1] ^= 1
    weights.write_bytes(content)
    assert meta().revision == before


def test_a_change_is_seen_long_after_the_files_were_written(
    meta: Meta, use: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = use(1) / "config_sentence_transformers.json"
    hashed = []
    original = model_files.hashlib.file_digest
    monkeypatch.setattr(model_files.hashlib, "file_digest", lambda *args: hashed.append(1) or original(*args))
    now = model_files.time.time_ns()
    monkeypatch.setattr(model_files.time, "time_ns", lambda: now + 10**12)
    before = meta().revision
    files = len(hashed)
    assert files > 5
    assert meta().revision == meta().to_dict()["revision"] == before
    assert len(hashed) == files  # remembered
    settings.write_text(settings.read_text().replace("query: ", "find: "))
    assert meta().revision != before


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "optimizer.pt",
        "rng_state_0.pth",
        "trainer_state.json",
        "checkpoint-50/model.safetensors",
        ".git/HEAD",
    ],
)
def test_what_is_not_loaded_does_not_change_the_revision(meta: Meta, use: Callable[[int], Path], name: str) -> None:
    folder = use(1)
    before = meta().revision
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"anything")
    assert meta().revision == before
    meta().load_model(device="cpu")


@pytest.mark.parametrize("name", ["2_Dense/more.json", "special_tokens_map.json", "adapter/model.safetensors"])
def test_whatever_else_is_added_changes_the_revision(meta: Meta, use: Callable[[int], Path], name: str) -> None:
    folder = use(1)
    before = meta().revision
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"{}")
    assert meta().revision != before


def test_the_revision_is_the_contents_not_the_places(
    meta: Meta, use: Callable[[int], Path], saved: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(1)
    here = meta().revision
    monkeypatch.setenv(ours.VARIABLE, str(saved[1]))
    assert meta().revision == here
    assert len(here) == 40


def test_asking_for_a_revision(meta: Meta, use: Callable[[int], Path]) -> None:
    use(1)
    assert mteb.get_model_meta("ours", meta().revision) == meta()
    assert "has the revision" in refusal(lambda: mteb.get_model_meta("ours", "0" * 40))
    assert mteb.get_model_meta("ours", experiment_kwargs={"a": 1}).experiment_kwargs == {"a": 1}


# Results


def results(cache: ResultCache) -> set[str]:
    return {path.parent.name for path in cache.cache_path.glob("results/beir-hybrid__ours/*/MockRetrievalTask.json")}


def test_two_checkpoints_never_share_results(meta: Meta, use: Callable[[int], Path], tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache")
    first = use(1) and meta().revision
    scores = [mteb.evaluate(meta(), MockRetrievalTask(), cache=cache, show_progress_bar=False)]
    second = use(2) and meta().revision
    scores.append(mteb.evaluate(meta(), MockRetrievalTask(), cache=cache, show_progress_bar=False))
    assert results(cache) == {first, second}
    assert [result.model_revision for result in scores] == [first, second]
    written = json.loads((tmp_path / f"cache/results/beir-hybrid__ours/{second}/model_meta.json").read_text())
    assert written["revision"] == second


def test_results_of_the_same_checkpoint_are_found_again(
    meta: Meta, use: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ResultCache(tmp_path / "cache")
    use(1)
    model = meta().load_model(device="cpu")
    done = mteb.evaluate(model, MockRetrievalTask(), cache=cache, show_progress_bar=False)
    monkeypatch.setattr(ours, "check", lambda *_: pytest.fail("loaded again"))
    found = mteb.evaluate(meta(), MockRetrievalTask(), cache=cache, show_progress_bar=False)
    assert found.task_results[0].get_score() == pytest.approx(done.task_results[0].get_score())


def test_a_loaded_model_keeps_its_revision(meta: Meta, use: Callable[[int], Path], tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache")
    use(1)
    before = meta().revision
    model = meta().load_model(device="cpu")
    use(2)
    mteb.evaluate(model, MockRetrievalTask(), cache=cache, show_progress_bar=False)
    assert results(cache) == {before}
    assert type(model.mteb_model_meta) is ModelMeta


def test_metadata_say_what_was_there_when_they_were_asked_for(meta: Meta, use: Callable[[int], Path]) -> None:
    use(1)
    before = meta()
    model = before.load_model(device="cpu")
    use(2)
    assert before.revision == before.to_dict()["revision"] == model.mteb_model_meta.revision != meta().revision
    assert "has changed since" in refusal(before.load_model)
    assert "has changed since" in refusal(MODELS["ours"].load_model), "what mteb lists is of no checkpoint"
    newer = meta().load_model(device="cpu")
    assert meta().revision == newer.mteb_model_meta.revision


def test_results_of_a_checkpoint_that_changes_meanwhile_are_filed_under_what_was_loaded(
    meta: Meta, use: Callable[[int], Path], tmp_path: Path
) -> None:
    class Overwriting(MockRetrievalTask):
        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            scores = super().evaluate(*args, **kwargs)
            use(2)
            return scores

    use(1)
    cache = ResultCache(tmp_path / "cache")
    known = meta()
    mteb.evaluate(known, Overwriting(), cache=cache, show_progress_bar=False)
    assert results(cache) == {known.revision} != {meta().revision}


def test_a_checkpoint_that_changes_while_it_is_loaded_is_refused(
    meta: Meta, use: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use(1)
    check = ours.check
    monkeypatch.setattr(ours, "check", lambda *args: (check(*args), use(2))[0])
    assert "changed while it was being loaded" in refusal(meta().load_model)


def test_a_cut_model_is_an_experiment_of_its_own(meta: Meta, use: Callable[[int], Path], tmp_path: Path) -> None:
    use(1)
    model = meta().load_model(device="cpu", embed_dim=4)
    assert encode(model, ["this is"], PromptType.query).shape == (1, 4)
    cache = ResultCache(tmp_path)
    cut, whole = (cache.get_task_result_path("T", known) for known in (model.mteb_model_meta, meta().model_copy()))
    assert cut != whole


# What is loaded


def test_the_prompts_are_the_checkpoints(meta: Meta, use: Callable[[int], Path]) -> None:
    from sentence_transformers import SentenceTransformer

    folder = use(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = meta().load_model(device="cpu")
    direct = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    texts = ["this is a positive sentence", "negative"]
    for kind, prompt in ((PromptType.query, "query: "), (PromptType.document, "passage: ")):
        expected = direct.encode(texts, prompt=prompt, show_progress_bar=False)
        np.testing.assert_allclose(encode(model, texts, kind), expected, atol=1e-6)


def test_the_loaded_model_says_what_it_is(
    meta: Meta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_tiny(tmp_path / "dot", similarity="dot")
    monkeypatch.setenv(ours.VARIABLE, str(folder))
    with caplog.at_level(logging.INFO, logger=ours.__name__):
        found = meta().load_model(device="cpu").mteb_model_meta
    assert found.similarity_fn_name == "dot"
    assert (found.embed_dim, found.max_tokens) == (8, 32)
    assert found.n_parameters > len(WORDS) * 16
    assert found.use_instructions
    assert str(folder) in caplog.text
    json.dumps(found.to_dict(), default=str)


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def pickled_layer(folder: Path) -> None:
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")


def own_code(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "my_code.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "my_code.py").write_text("raise SystemExit('foreign code was run')")


def other_family(folder: Path) -> None:
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "Translator"}))


def cut(name: str) -> Callable[[Path], None]:
    def halve(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return halve


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (only_pickles, "pytorch_model.bin, a pickle"),
        (pickled_layer, "weights in 2_Dense/pytorch_model.bin, a pickle"),
        (own_code, "my_code.Pooling"),
        (other_family, "is a Translator, not one of SentenceTransformer, "),
        (cut("model.safetensors"), "model.safetensors is damaged or not copied completely"),
        (cut("2_Dense/model.safetensors"), "model.safetensors is damaged or not copied completely"),
        (cut("modules.json"), "modules.json is damaged or not copied completely"),
        (cut("tokenizer.json"), "tokenizer.json is damaged or not copied completely"),
        (without("model.safetensors"), "not a complete Sentence Transformers model"),
        (without("2_Dense/model.safetensors"), "not a complete Sentence Transformers model"),
        (without("2_Dense/config.json"), "not a complete Sentence Transformers model"),
        (without("modules.json"), "has no modules.json"),
        (without("config.json"), "not a complete Sentence Transformers model"),
        (without("tokenizer.json"), "not a complete Sentence Transformers model"),
        (without("tokenizer_config.json"), "tokenizer_config.json is missing"),
        (without("config_sentence_transformers.json"), "config_sentence_transformers.json is missing"),
        (lambda folder: (folder / "modules.json").write_text("{}"), "not a complete Sentence Transformers model"),
        (lambda folder: (folder / "modules.json").write_text("[1]"), "not a complete Sentence Transformers model"),
    ],
)
def test_a_bad_checkpoint_is_one_line(
    meta: Meta, use: Callable[[int], Path], spoil: Callable[[Path], object], what: str
) -> None:
    folder = use(1)
    spoil(folder)
    line = refusal(lambda: meta().load_model(device="cpu"))
    assert what in line
    assert str(folder) in line


def test_no_folder_an_empty_one_and_a_file_are_one_line(
    meta: Meta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ours.VARIABLE, str(tmp_path / "nothing"))
    assert "there is no such folder" in refusal(meta().load_model)
    (tmp_path / "nothing").mkdir()
    assert "is empty" in refusal(meta().load_model)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(ours.VARIABLE, str(tmp_path / "file"))
    assert "is a file" in refusal(meta().load_model)
    assert meta().revision == ours.NO_CHECKPOINT


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read everything")
@pytest.mark.parametrize("name", [".", "2_Dense", "model.safetensors"])
def test_an_unreadable_checkpoint_is_one_line(meta: Meta, use: Callable[[int], Path], name: str) -> None:
    path = use(1) / name
    path.chmod(0)
    try:
        assert "cannot read" in refusal(meta().load_model)
        assert meta().revision == ours.NO_CHECKPOINT
    finally:
        path.chmod(0o700)


# A hub id


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], None]:
    """Put a checkpoint into a local cache of the Hugging Face hub, as team/model."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv(ours.VARIABLE, "team/model")

    def put(folder: Path, commit: str) -> None:
        repository = tmp_path / "hub" / "models--team--model"
        shutil.copytree(folder, repository / "snapshots" / commit)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(commit)

    return put


def test_a_hub_id_is_taken_from_the_local_cache_when_offline(
    meta: Meta, saved: dict[int, Path], hub: Callable[[Path, str], None]
) -> None:
    hub(saved[1], "a" * 40)
    assert meta().revision == "a" * 40
    model = meta().load_model(device="cpu")
    assert model.mteb_model_meta.revision == "a" * 40
    assert model.mteb_model_meta.reference == "https://huggingface.co/team/model"


def test_a_hub_id_that_is_not_in_the_cache_is_one_line(meta: Meta, hub: Callable[[Path, str], None]) -> None:
    assert "team/model" in refusal(meta().load_model)
    assert meta().revision == ours.NO_CHECKPOINT


def test_a_half_downloaded_hub_model_is_one_line(
    meta: Meta, saved: dict[int, Path], hub: Callable[[Path, str], None], tmp_path: Path
) -> None:
    half = Path(shutil.copytree(saved[1], tmp_path / "half"))
    (half / "modules.json").unlink()
    hub(half, "b" * 40)
    assert "team/model" in refusal(meta().load_model)
