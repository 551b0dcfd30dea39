"""What a user can get wrong at `beir-hybrid train`: one line, exit code 2, and nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import Trainer

from beir_hybrid import cli, folders
from beir_hybrid.finetune import run_folder
from beir_hybrid.finetune import train as training
from beir_hybrid.finetune.debiased_model import save_debiased
from beir_hybrid.finetune.recipe import TrainingError, make_recipe
from beir_hybrid.finetune.run_folder import RunFolder
from beir_hybrid.finetune.safeguards import saving_to
from tests.support.small_models import save_labse
from tests.tasks.test_xquad_r import use_small_data

SETTINGS = ["--data", "xquad-r", "--languages", "en,de", "--batch-size", "2", "--steps", "4", "--save-steps", "2"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labse(tmp_path_factory.mktemp("bases") / "labse")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return use_small_data(tmp_path, monkeypatch)


@pytest.fixture
def command(base: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that runs the command; options given here come after, and win."""

    def run(*more: str) -> None:
        arguments = ["--base", str(base), "--output", "out", *SETTINGS, "--quiet", *more]
        monkeypatch.setattr(sys, "argv", ["beir-hybrid", "train", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        if caught.value.code:
            raise SystemExit(caught.value.code)

    return run


@pytest.fixture
def refusal(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs the command and gives its one line of error."""

    def run(*more: str) -> str:
        with pytest.raises(SystemExit) as caught:
            command(*more)
        assert caught.value.code == 2
        *_, line = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: ")
        assert not Path("out", "modules.json").exists()
        assert not list(Path().glob(".out*"))
        return line.removeprefix("error: ")

    return run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--base", "nowhere"], "--base nowhere: there is no such folder"),
        (["--base", "team/nothing"], "team/nothing: there is no such folder, and neither the Hugging Face hub"),
        (["--base", "data"], "neither a Sentence Transformers nor a transformers model"),
        (["--data", "nothing"], "unknown pairs 'nothing'"),
        (["--languages", "en,xx"], "xx"),
        (["--languages", ","], "name at least one"),
        (["--languages", "en"], "no cross-lingual pair: choose more --languages"),
        (["--languages", "en", "--batching", "cross-lingual"], "no cross-lingual pair in en"),
        (["--batch-size", "5"], "4 pairs, fewer than one step's 5: lower --batch-size"),
        (["--batch-size", "0"], "--batch-size 0: it must be greater than 0"),
        (["--learning-rate", "nan"], "--learning-rate nan: it must be greater than 0"),
        (["--alpha", "1.5"], "--alpha 1.5: it must be from 0 to 1"),
        (["--batching", "monolingual", "--alpha", "0.3"], "--alpha 0.3 is for --batching hybrid, not for monolingual"),
        (["--batching", "mixed", "--alpha", "0.3"], "--alpha 0.3 is for --batching hybrid, not for mixed"),
        (["--batching", "mixed", "--pairing", "pair"], "--pairing pair is for cross-lingual batches; mixed has none"),
        (["--batching", "mixed", "--batch-size", "99"], "the data have 16 pairs, fewer than one step's 99"),
        (["--batching", "any"], "--batching any: choose from hybrid, monolingual, cross-lingual, mixed"),
        (["--pairing", "many"], "--pairing many: choose from mixed, pair"),
        (["--epochs", "2"], "give --steps or --epochs, not both"),
        (["--tune", "half"], "--tune half: choose from full, head"),
        (["--start", "nothing"], "--start nothing: choose identity, projection, leace, or the folder of a model"),
        (["--start", "centring"], "--start centring: choose identity, projection, leace"),
        (["--start", "team/nothing"], "team/nothing: there is no such folder, and neither the Hugging Face hub"),
        (["--start", "data"], "--start data is neither a Sentence Transformers nor a transformers model"),
        (["--start", "projection", "--languages", "en", "--batching", "monolingual"], "there must be two languages"),
        (["--freeze-start"], "--freeze-start is for --tune full from a start: name a --start, such as projection"),
        (
            ["--freeze-start", "--start", "leace", "--tune", "head"],
            "--freeze-start is for --tune full from a start: the start is what a head trains",
        ),
        (["--interpolation", "0.5"], "--interpolation 0.5 is for --tune head"),
        (["--interpolation", "0", "--tune", "head"], "--interpolation 0.0: it must be greater than 0 and at most 1"),
        (["--interpolation", "1.5", "--tune", "head"], "--interpolation 1.5: it must be greater than 0 and at most 1"),
        (["--preset", "workstation"], "--preset workstation: choose from paper, laptop, laptop-head"),
        (["--precision", "fp8"], "--precision fp8: choose from fp32, bf16, fp16"),
        (["--max-length", "64"], "--max-length 64: labse takes texts of up to 32 tokens"),
        (["--mini-batch-size", "1"], "--mini-batch-size is for --gradient-cache"),
        (["--tune", "head", "--gradient-cache"], "--gradient-cache is for --tune full"),
        (["--seed", "1", "--seeds", "1,2"], "give --seed or --seeds, not both"),
        (["--seeds", "1,1"], "name each seed once"),
        (["--eval", "nothing"], "nothing"),
        (["--report-to", "carrier-pigeon"], "--report-to carrier-pigeon: the trainer knows no such tracker"),
        (["--resume"], "nothing to resume in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_one_line_and_writes_nothing(
    options: list[str], message: str, refusal: Callable[..., str]
) -> None:
    assert message in refusal(*options)
    assert not Path("out").exists()


def test_an_output_folder_that_is_not_empty(refusal: Callable[..., str]) -> None:
    Path("out").mkdir()
    Path("out", "thesis.txt").write_text("mine")
    assert "is not empty: choose another folder" in refusal()
    assert "nothing to resume" in refusal("--resume")
    shutil.rmtree("out")
    Path("out").write_text("a file")
    assert "is a file" in refusal()


def test_a_pickled_base_is_refused(base: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    shutil.copytree(base, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    assert "a pickle" in refusal("--base", "pickled")


def test_a_loss_that_is_not_finite(base: Path, tmp_path: Path, refusal: Callable[..., str]) -> None:
    model = SentenceTransformer(str(base))
    with torch.no_grad():
        model[2].linear.weight[:] = float("nan")
    model.save(str(tmp_path / "broken"))
    assert "the loss is nan at step 1" in refusal("--base", "broken")


# Ended early


@pytest.fixture
def ended_early(command: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a run that ended between its checkpoint at step 2 and its end."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "_evaluate_end", interrupt)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            command()
    assert Path("out", "checkpoints", "checkpoint-4", "complete").exists()


@pytest.mark.usefixtures("ended_early")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "0.1"], "learning rate 2e-05, not 0.1"),
        (["--steps", "8"], "steps 4, not 8"),
        (["--languages", "en,th"], "languages ['en', 'de'], not ['en', 'th']"),
        (["--data", "mlqa-r"], "data ['xquad-r'], not ['xquad-r', 'mlqa-r']"),
        (["--tune", "head"], "tune full, not head"),
        (["--base", "other"], "base labse, not other"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_resuming_with_something_else_names_the_first_difference(
    options: list[str], message: str, base: Path, refusal: Callable[..., str]
) -> None:
    shutil.copytree(base, "other")
    line = refusal("--resume", *options)
    assert "was started with" in line
    assert message in line


@pytest.mark.usefixtures("ended_early")
def test_without_resume_the_checkpoints_are_safe(refusal: Callable[..., str]) -> None:
    assert "go on with --resume" in refusal()
    assert Path("out", "checkpoints", "checkpoint-4", "complete").exists()


@pytest.mark.usefixtures("ended_early")
def test_a_run_whose_last_step_is_done_is_only_saved(
    command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "training_step", lambda *_, **__: pytest.fail("trained again"))
    command("--resume")
    assert json.loads(Path("out", "training_manifest.json").read_text())["steps_done"] == 4
    assert SentenceTransformer("out").encode("en question q0?").shape == (16,)
    Path("out").rename("done")
    assert "no run was started there" in refusal("--resume")
    with pytest.raises(TrainingError, match="it is complete"):
        training.train("offline", make_recipe(data=("xquad-r",)), Path("done"), resume=True)


@pytest.mark.usefixtures("ended_early")
def test_no_whole_checkpoint(command: Callable[..., None], refusal: Callable[..., str]) -> None:
    for marker in Path("out").rglob("complete"):
        marker.unlink()
    assert "the run ended before its first checkpoint; start it again" in refusal("--resume")
    command()
    assert Path("out", "modules.json").exists()


@pytest.mark.usefixtures("ended_early")
def test_a_damaged_run_file(refusal: Callable[..., str]) -> None:
    Path("out", "training_run.json").write_text("{")
    assert "training_run.json is damaged" in refusal("--resume")


# A full disk


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_at_a_checkpoint(
    command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Trainer._save_optimizer_and_scheduler
    with monkeypatch.context() as patch:
        patch.setattr(
            Trainer,
            "_save_optimizer_and_scheduler",
            lambda self, folder: no_space() if self.state.global_step == 4 else save(self, folder),
        )
        line = refusal()
    assert "No space left on device" in line
    assert "the last good checkpoint is" in line and "checkpoint-2;" in line
    assert [path.name for path in Path("out", "checkpoints").iterdir()] == ["checkpoint-2"]
    command("--resume")
    assert Path("out", "modules.json").exists()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("PytorchStreamWriter failed writing file"), TrainingError),
        (torch.OutOfMemoryError("out of memory"), torch.OutOfMemoryError),
        (ValueError("a mistake"), ValueError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_ends_the_saving_of_a_run(error: Exception, kind: type[Exception], tmp_path: Path) -> None:
    """torch says by a RuntimeError that it cannot write; other errors are no disk's, and pass."""
    with pytest.raises(kind, match=r"cannot save to .*failed writing|memory|mistake"), saving_to(RunFolder(tmp_path)):
        raise error


def test_a_disk_that_is_full_at_the_end(
    command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = SentenceTransformer.save_pretrained
    with monkeypatch.context() as patch:
        patch.setattr(
            SentenceTransformer,
            "save_pretrained",
            lambda self, path, **options: save(self, path, **options) if "checkpoint-" in path else no_space(),
        )
        line = refusal()
    assert "checkpoint-4; make room and go on with --resume" in line
    command("--resume")
    assert Path("out", "modules.json").exists()


def test_a_model_that_cannot_take_the_place_of_its_run(
    command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def fail_to_enter(source: Path, target: Path) -> None:
        if Path(target).name == "out" and Path(source, "modules.json").exists():
            no_space()
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("beir_hybrid.folders.exchange", lambda new, old: False)
        patch.setattr("os.rename", fail_to_enter)
        assert "checkpoint-4" in refusal()
    command("--resume")
    assert Path("out", "modules.json").exists()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("the tracker refused the connection"),
        TimeoutError(errno.ETIMEDOUT, "the tracker is slow"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        PermissionError(errno.EACCES, "Permission denied", "/elsewhere/tracker"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_tracker_is_no_full_disk_and_deletes_nothing(
    error: OSError, command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        Path("out", "checkpoints", "checkpoint-9").mkdir()
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(training, "_evaluate_end", fail)
        line = refusal()
    assert "cannot save" not in line and type(error).__name__ in line
    assert {path.name for path in Path("out", "checkpoints").iterdir()} >= {"checkpoint-4", "checkpoint-9"}
    command("--resume")
    assert Path("out", "modules.json").exists()


# Killed in the first and in the last steps


class Killed(BaseException):
    """Stands for a kill: nothing catches it, and what cleans up is kept from it."""


@pytest.mark.parametrize(
    ("name", "exchange", "tune"),
    [("put_in_place", True, "head"), ("os.rename", False, "full"), ("shutil.rmtree", True, "full")],
)
def test_a_run_killed_where_folders_are_replaced_goes_on(
    name: str, exchange: bool, tune: str, command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is killed, the run goes on with --resume, begins again without it, or is complete."""
    function = {"put_in_place": folders.put_in_place, "os.rename": os.rename, "shutil.rmtree": shutil.rmtree}[name]
    for moment in range(1, 20):
        shutil.rmtree("out", ignore_errors=True)
        calls = 0

        def killed_before(*arguments: Any, _moment: int = moment, **options: Any) -> Any:
            nonlocal calls
            if "out" in str(arguments[0]):
                calls += 1
            if calls >= _moment:
                raise Killed
            return function(*arguments, **options)

        with monkeypatch.context() as patch:
            if not exchange:
                patch.setattr(folders, "exchange", lambda new, old: False)
            if name == "put_in_place":
                patch.setattr(run_folder, "put_in_place", killed_before)
            else:
                patch.setattr(name, killed_before)
            try:
                command("--tune", tune)
                break
            except Killed:
                pass
        with folders.locked(Path("out")):
            state = "complete" if Path("out", "modules.json").exists() else "begun"
        if state == "begun":
            resumable = RunFolder(Path("out")).last_checkpoint() is not None
            command("--tune", tune, *(["--resume"] if resumable else []))
        assert Path("out", "modules.json").exists()
        assert not list(Path().glob(".out*"))
    assert moment > 1


def test_a_folder_that_holds_only_empty_folders_is_unused(command: Callable[..., None]) -> None:
    """As after a kill between the trainer's first folder and the file that says what the run is."""
    Path("out", "checkpoints").mkdir(parents=True)
    command()
    assert Path("out", "modules.json").exists()


def test_what_somebody_puts_into_the_folder_of_a_run_stays(
    command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "_run_steps", no_space)
        refusal()
    Path("out", "notes.txt").write_text("mine")
    assert "is not empty" in refusal()
    Path("out", "notes.txt").rename("notes.txt")
    evaluate = training._evaluate_end

    def evaluate_and_note(*how: Any) -> None:
        evaluate(*how)
        Path("notes.txt").rename(Path("out", "notes.txt"))

    monkeypatch.setattr(training, "_evaluate_end", evaluate_and_note)
    command()
    assert Path("out", "modules.json").exists()
    assert Path("out", "notes.txt").read_text() == "mine"


def test_a_second_training_into_the_same_folder_is_one_line(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(Path("out")).reserved():
        for more in ((), ("--resume",)):
            with pytest.raises(SystemExit):
                command(*more)
            [line] = capsys.readouterr().err.strip().splitlines()[-1:]
            assert line.startswith("error: another process is writing")
    assert not Path("out").exists()


def test_whatever_a_folder_asks_for(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With resume=None: goes on with the same run, keeps the same model, and replaces any other."""
    settings = {"data": ("xquad-r",), "languages": ("en", "de"), "batch_size": 2, "steps": 4}
    options = training.RunOptions(quiet=True, save_steps=2)
    starts: list[int] = []
    step = Trainer.training_step

    def count(self: Trainer, *arguments: Any, **more: Any) -> Any:
        starts.append(self.state.global_step)
        return step(self, *arguments, **more)

    monkeypatch.setattr(Trainer, "training_step", count)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_optimizer_and_scheduler", fail_at(4))
        with pytest.raises(TrainingError, match="make room and go on"):
            training.train(str(base), make_recipe(**settings), Path("out"), None, options)
    assert starts == [0, 1, 2, 3]
    training.train(str(base), make_recipe(**settings), Path("out"), None, options)
    assert starts == [0, 1, 2, 3, 2, 3]
    training.train(str(base), make_recipe(**settings), Path("out"), None, options)
    assert starts == [0, 1, 2, 3, 2, 3]
    training.train(str(base), make_recipe(**settings, seed=1), Path("out"), None, options)
    assert starts == [0, 1, 2, 3, 2, 3, 0, 1, 2, 3]


def fail_at(number: int) -> Callable[..., None]:
    save = Trainer._save_optimizer_and_scheduler
    return lambda self, folder: no_space() if self.state.global_step == number else save(self, folder)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("learning_rat", "unknown setting 'learning_rat': did you mean learning_rate?"),
        ("stepps", "did you mean steps?"),
        ("qqqq", "choose from data, languages"),
    ],
)
def test_an_unknown_setting_is_named(name: str, says: str) -> None:
    with pytest.raises(TrainingError, match=re.escape(says)):
        make_recipe("laptop-head", data=("xquad-r",), **{name: 1.0})


def debiased(base: Path, folder: Path, **options: object) -> None:
    save_debiased(str(base), folder, data="xquad-r", languages=["de", "en"], progress=False, **options)  # type: ignore[arg-type]


def test_a_start_that_is_no_debiased_model_of_this_base(
    base: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beir_hybrid.debias.sentences.LEAST_SENTENCES", 2)
    assert "labse is not a model that `beir-hybrid debias` wrote" in refusal("--start", str(base))
    debiased(save_labse(Path("other").absolute(), seed=1), Path("start"), sentences=2)
    message = refusal("--start", "start")
    assert "--start start was made of other, whose content is not that of labse" in message
    shutil.rmtree("start")
    debiased(base, Path("start"), sentences=2)
    [*_, layer] = sorted(Path("start").glob("*_Dense"))
    whole = load_file(layer / "model.safetensors")["linear.weight"]
    for weights, message in (
        (whole[:, :4], "start: 4_Dense is damaged"),
        (whole * np.float32("nan"), "its last layer is not a square matrix of finite numbers"),
    ):
        save_file({"linear.weight": np.ascontiguousarray(weights)}, layer / "model.safetensors")
        assert message in refusal("--start", "start", "--tune", "head")
    (layer / "model.safetensors").write_bytes(b"")
    assert "is damaged or not copied completely" in refusal("--start", "start")


@pytest.mark.parametrize("tune", ["head", "full"])
def test_a_run_goes_on_from_the_same_start_only(
    tune: str, base: Path, command: Callable[..., None], refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def interrupt(*_: object) -> None:
        raise TrainingError("stopped")

    monkeypatch.setattr("beir_hybrid.debias.sentences.LEAST_SENTENCES", 2)
    debiased(base, Path("start"), sentences=2)
    options = ["--start", "start", "--learning-rate", "0.01", "--tune", tune]
    options += ["--interpolation", "0.5"] if tune == "head" else []
    with monkeypatch.context() as patch:
        patch.setattr(training, "_evaluate_end", interrupt)
        assert refusal(*options) == "stopped"
    shutil.rmtree(Path("out", "checkpoints", "checkpoint-4"))
    debiased(base, Path("start"), sentences=2, method="leace")
    assert "was started with start revision" in refusal("--resume", *options)
    assert "was started with start start, not identity" in refusal("--resume", *options[2:])
    debiased(base, Path("start"), sentences=2)
    command("--resume", *options)
    Path("out").rename("resumed")
    command(*options)
    assert content(Path("resumed")) == content(Path("out"))
