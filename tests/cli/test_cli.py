"""The command line, run in this process; and what it must not import, in another."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import mteb.cli
import pytest

import beir_hybrid
from beir_hybrid.cli import main
from beir_hybrid.cli.commands import COMMANDS
from beir_hybrid.corpora import CorpusSpec, sources, specs
from beir_hybrid.errors import BeirHybridError, DataError
from beir_hybrid.leaderboard.board.family_scores import family_scores
from beir_hybrid.ranks import rank_table
from tests.support.small_ranks import write_ranks

SCORES = {"en-en": 0.9, "de-de": 0.7, "en-de": 0.6, "de-en": 0.4, "en-multi": 0.5, "de-multi": 0.25}


class Cli:
    """Runs a command line and keeps what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> tuple[int | str | None, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["beir-hybrid", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        output = self._capsys.readouterr()
        return stop.value.code, output.out, output.err


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(monkeypatch, capsys)


def write_result(folder: Path, model: str, task: str, scores: dict[str, float], split: str = "test") -> Path:
    path = folder / model / "revision" / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [{"hf_subset": subset, "main_score": score, "map": score} for subset, score in scores.items()]
    path.write_text(json.dumps({"task_name": task, "scores": {split: entries}}), encoding="utf-8")
    return path


def rows(table: str) -> list[list[str]]:
    """Return the cells of a printed table's body, split at two spaces or more."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.strip().splitlines()[2:]]


def test_the_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"beir-hybrid {beir_hybrid.__version__}\n", "")


@pytest.mark.parametrize("own", [None, "ACTIVE"])
def test_threads_sleep_while_they_wait_unless_the_user_wants_another_policy(
    own: str | None, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", own or "")
    if own is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    cli("--version")
    assert os.environ["OMP_WAIT_POLICY"] == (own or "PASSIVE")


def test_python_m_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "beir_hybrid", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"beir-hybrid {beir_hybrid.__version__}\n"


HEAVY = {"torch", "mteb", "faiss", "datasets", "numpy", "pooch", "requests", "pyarrow", "pandas", "rich"}


def imported_by(*arguments: str | Path) -> set[str]:
    """Return the modules that a command imports, in a process of its own."""
    code = (
        "import sys; from beir_hybrid.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("scores", "results")], ids=" ".join)
def test_starting_imports_nothing_heavy(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_result(tmp_path / "results", "org__model", "XQuADR", SCORES)
    modules = imported_by(*arguments)
    assert not {name.partition(".")[0] for name in modules} & HEAVY
    ours = {name for name in COMMANDS if f"beir_hybrid.cli.{COMMANDS[name].module or name}" in modules}
    assert ours == {"scores"} & {*arguments}


def test_the_help_has_the_first_line_of_every_command(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    for name, known in COMMANDS.items():
        module = import_module(f"beir_hybrid.cli.{known.module or name}")
        command = getattr(module, known.module or name, None)
        if command is not None:  # `data` has commands of its own
            assert known.summary == inspect.getdoc(command).partition("\n")[0]
        assert " ".join([name, known.summary]) in " ".join(out.split())
    code, out, _ = cli("data", "--help")
    assert "Download the files of a data set, unless they are on this machine already." in " ".join(out.split())


def test_a_misspelt_command_names_the_nearest(cli: Cli) -> None:
    code, out, err = cli("scors")
    assert (code, out) == (2, "")
    assert "Did you mean 'scores'?" in err


def test_everything_behind_mteb_is_mtebs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def mteb_main() -> None:
        seen.extend(sys.argv)
        assert "XQuADR" in [task.metadata.name for task in mteb.get_tasks(["XQuADR"])]

    monkeypatch.setattr(mteb.cli, "main", mteb_main)
    arguments = [
        "run",
        "-m",
        "a/b",
        "--tasks",
        "XQuADR",
        "-l",
        "eng",
        "deu",
        "-v",
        "3",
        "--version",
        "--help",
        "--",
        "x",
    ]
    assert cli("mteb", *arguments)[0] == 0
    assert seen == ["beir-hybrid mteb", *arguments]


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help")])
def test_mtebs_help_is_shown(arguments: tuple[str, ...], cli: Cli) -> None:
    code, out, _ = cli("mteb", *arguments)
    assert code == 0
    assert out.startswith(" ".join(("usage: beir-hybrid mteb", *arguments[:-1])))


def test_mtebs_exit_code_is_ours(cli: Cli) -> None:
    code, _, err = cli("mteb", "run", "--no-such-option")
    assert code == 2
    assert "unrecognized arguments: --no-such-option" in err


def test_an_error_the_user_can_mend_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def mteb_main() -> None:
        raise DataError("en.json is missing; fetch it")

    monkeypatch.setattr(mteb.cli, "main", mteb_main)
    assert cli("mteb", "run") == (2, "", "error: en.json is missing; fetch it\n")


def test_other_errors_keep_their_traceback_and_are_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mteb_main() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(mteb.cli, "main", mteb_main)
    monkeypatch.setattr(sys, "argv", ["beir-hybrid", "mteb", "run"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 70
    assert capsys.readouterr().err.splitlines()[-1] == "ZeroDivisionError"


def test_data_list_says_where_the_files_are(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def locate(spec: CorpusSpec, language: str) -> Path | None:
        return tmp_path / f"{language}.json" if spec.name == "xquad-r" and language != "zh" else None

    monkeypatch.setattr(sources, "locate", locate)
    code, out, _ = cli("data", "list")
    assert code == 0
    by_name = {row[0]: row for row in rows(out)}
    of_mteb = {spec.name for spec in specs() if spec.group == "NanoBEIR"}
    assert set(by_name) == {"xquad-r", "mlqa-r", "ntrex", "atlas-r", *of_mteb}
    assert all("MTEB" in by_name[name][-1] for name in of_mteb)
    assert by_name["xquad-r"] == [
        "xquad-r",
        "ar de el en es hi ru th tr vi zh",
        "cc-by-sa-4.0",
        "9bc8c7fb6dd8",
        f"10 files in {tmp_path}, 1 missing",
    ]
    assert by_name["atlas-r"][-1] == "none: generated"
    assert by_name["mlqa-r"][-1] == "not here; `beir-hybrid data fetch mlqa-r` downloads them"


@pytest.mark.parametrize(("options", "progress"), [((), True), (("--quiet",), False)])
def test_data_fetch(
    options: tuple[str, ...], progress: bool, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = []

    def fetch(spec: CorpusSpec, languages: object = None, progress: bool = True) -> list[Path]:
        calls.append((spec.name, languages, progress))
        return [tmp_path / "en.json", tmp_path / "de.json"]

    monkeypatch.setattr(sources, "fetch", fetch)
    assert cli("data", "fetch", "xquad-r", *options) == (
        0,
        f"xquad-r: 2 files in {tmp_path}\n" if progress else "",
        "",
    )
    assert calls == [("xquad-r", None, progress)]


def test_data_fetch_of_an_unknown_name(cli: Cli) -> None:
    code, out, err = cli("data", "fetch", "squad")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown data set 'squad'")
    assert err.count("\n") == 1


def test_scores_are_plain_means_over_each_setting(cli: Cli, tmp_path: Path) -> None:
    write_result(tmp_path, "org__model-a", "XQuADR", SCORES)
    write_result(tmp_path, "org__model-b", "XQuADR", {"en-en": 0.5})
    write_result(tmp_path, "org__model-b", "NFCorpus", {"default": 0.3})
    (tmp_path / "org__model-b/revision/model_meta.json").write_text('{"name": "org/model-b"}', encoding="utf-8")
    (tmp_path / "XQuADR_predictions.json").write_text("{ not read", encoding="utf-8")
    code, out, _ = cli("scores", tmp_path)
    assert code == 0
    assert out.splitlines()[0].split() == [
        "model", "revision", "task", "monolingual", "cross-lingual", "multilingual", "subsets",
    ]  # fmt: skip
    assert rows(out) == [
        ["org/model-a", "revision", "XQuADR", "0.8000", "0.5000", "0.3750", "2 / 2 / 2"],
        ["org/model-b", "revision", "XQuADR", "0.5000", "-", "-", "1 / 0 / 0"],
    ]


def test_scores_by_question_language(cli: Cli, tmp_path: Path) -> None:
    path = write_result(tmp_path, "org__model", "XQuADR", SCORES, split="dev")
    code, out, _ = cli("scores", path, "--languages")
    assert code == 0
    by_setting, by_language = out.split("\n\n")
    assert rows(by_setting)[0][2] == "XQuADR (dev)"
    assert rows(by_language) == [
        ["org/model", "revision", "XQuADR (dev)", "en", "0.9000", "0.6000", "0.5000"],
        ["org/model", "revision", "XQuADR (dev)", "de", "0.7000", "0.4000", "0.2500"],
    ]


def test_scores_by_family_and_script_are_means_over_pairs(cli: Cli, tmp_path: Path) -> None:
    scores = {"en-en": 0.9, "en-de": 0.6, "de-en": 0.4, "th-en": 0.2, "en-ru": 0.3, "eo-en": 0.1, "en-multi": 0.5}
    write_result(tmp_path, "org__model", "XQuADR", scores)
    code, out, _ = cli("scores", tmp_path, "--by", "family")
    names = ("monolingual", "within family", "between families", "unknown family")
    names = (*names, "Indo-European", "Indo-European and others", "Tai-Kadai and others")
    figures = ("1 0.9000", "3 0.4333", "1 0.2000", "1 0.1000", "3 0.4333", "1 0.2000", "1 0.2000")
    assert code == 0
    assert [" ".join(row[3:]) for row in rows(out)] == [f"{name} {f}" for name, f in zip(names, figures, strict=True)]
    code, out, _ = cli("scores", tmp_path, "--by", "script")
    assert [" ".join(row[3:]) for row in rows(out)] == [
        "monolingual 1 0.9000", "same script 3 0.3667", "other script 2 0.2500",
    ]  # fmt: skip
    write_ranks(tmp_path, "me/ranked", 0.5)
    code, out, _ = cli("scores", tmp_path, "--by", "script")
    of_results, of_tables = out.split("\n\n")
    assert len(rows(of_results)) == len(rows(of_tables)) == 3
    assert [row[0] for row in rows(of_tables)] == ["me/ranked"] * 3
    assert of_tables.splitlines()[0].split()[-3:] == ["mAP", "one-target", "mAP"]
    figures = family_scores(*rank_table.read(rank_table.default_path("XQuADR", "me/ranked", "main", tmp_path)))
    expected = [f"{figures[name]['same script'].average:.4f}" for name in ("map", "one_target_map")]
    assert rows(of_tables)[1][-2:] == expected


@pytest.mark.parametrize("scores", [{"en-multi": 0.5}, {"en-cross": 0.5, "en-multi": 0.3}])
def test_scores_by_family_need_pairs_of_languages(scores: dict[str, float], cli: Cli, tmp_path: Path) -> None:
    write_result(tmp_path, "org__model", "XQuADR", scores)
    for kind, message in (("family", "no scores of pairs of languages"), ("fam", "--by fam: write family or script")):
        code, out, err = cli("scores", tmp_path, "--by", kind)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file or folder {path}"),
        ('{"task_name": "XQuADR", "scores": {"te', "{path} is not a whole JSON file: "),
        ('{"task_name": "NFCorpus", "scores": {"test": [{"hf_subset": "default", "main_score": 1}]}}', "{path}: no "),
        ("[]", "{path}: no result of a BEIR-Hybrid task here"),
    ],
)
def test_scores_of_what_is_no_result_of_ours(content: str | None, message: str, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "XQuADR.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    code, out, err = cli("scores", path)
    assert (code, out) == (2, "")
    assert err.startswith("error: " + message.format(path=path))
    assert err.count("\n") == 1


def test_a_leaderboard_before_any_run_says_what_to_do(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIR_HYBRID_HOME", str(tmp_path / "new"))
    code, out, err = cli("leaderboard", "--out", tmp_path / "tables")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no run has left a rank table in " in err and "--ranks" in err
    code, out, err = cli("leaderboard", "--ranks", "run", "--ranks", "base", "--out", tmp_path / "tables")
    assert (code, out) == (2, "") and err.startswith("error: --ranks stands twice: name one folder")
    assert not (tmp_path / "tables").exists()


def test_every_error_of_ours_is_caught() -> None:
    assert issubclass(DataError, BeirHybridError)


def test_there_is_nothing_to_fetch_of_generated_data(cli: Cli) -> None:
    code, out, err = cli("data", "fetch", "atlas-r")
    assert (code, err) == (0, "")
    assert out.startswith("atlas-r: generated")
