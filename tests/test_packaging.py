"""The wheel: what is in it, and what it does to the environment it is installed into."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

import beir_hybrid
from beir_hybrid.models import MODELS
from beir_hybrid.models.heads import baselines
from beir_hybrid.ranks import rank_table
from beir_hybrid.tasks import TASKS
from tests.support.small_models import save_xlm_r

REPOSITORY = Path(__file__).parents[1]
NOT_PACKAGED = (".*", "venv*", "build", "dist", "results", "*.egg-info", "__pycache__")
START_UP = {
    "beir_hybrid.pth": b"import beir_hybrid.mteb.hook\n",
    "beir_hybrid.start": b"beir_hybrid.mteb.hook:install\n",
}
HOOK_MODULES = ["beir_hybrid", "beir_hybrid.mteb", "beir_hybrid.mteb.hook"]
PACKAGE_DATA = {".css", ".html", ".jinja", ".js", ".json", ".safetensors", ".toml", ".unicode"}
# What mteb offers: names of tasks, keys of models. Printed behind what mteb itself may print.
LIST = """
import json, mteb, sys
from mteb.models.model_implementations import MODEL_REGISTRY
tasks = [task.metadata.name for task in sys.modules["mteb.get_tasks"].TASK_LIST]
print()
print(json.dumps({"tasks": tasks, "registry": list(sys.modules["mteb.get_tasks"]._TASKS_REGISTRY),
                  "models": list(MODEL_REGISTRY)}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution in a copy of the checkout, and the wheel from the source distribution."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(REPOSITORY, folder / "checkout", ignore=shutil.ignore_patterns(*NOT_PACKAGED))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "checkout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return path


class Environment:
    """A virtual environment that sees the packages of this one, but not its .pth files."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=os.name != "nt")
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        (self.site_packages,) = folder.glob("**/site-packages")
        outside = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (self.site_packages / "outside.pth").write_text("\n".join(sorted(outside)), encoding="utf-8")
        self.folder = folder

    def files(self) -> set[str]:
        """Return everything in the environment, relative to its folder."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def pip(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "pip", "--python", self.python, "--quiet", *arguments]
        subprocess.run(command, check=True)

    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-c", code],
            cwd=self.folder,
            # Compiled modules may be written, so that uninstalling has to remove them.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
            capture_output=True,
            text=True,
            check=True,
        )

    def offered(self, **environment: str) -> tuple[dict[str, list[str]], str]:
        """Return what mteb offers in a process of its own, and what went to standard error."""
        done = self.run(LIST, **environment)
        return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Return an environment with the wheel installed; in the end, check that uninstalling leaves nothing behind."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    before = environment.files()
    environment.pip("install", "--no-deps", "--no-index", wheel)
    yield environment
    environment.pip("uninstall", "--yes", "beir-hybrid")
    assert environment.files() == before


def test_the_wheel_has_the_start_up_files_and_pip_knows_them(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in START_UP} == START_UP
        (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        recorded = [line.rsplit(",", 2) for line in archive.read(record).decode().splitlines()]
        assert sorted(name for name, _, _ in recorded) == sorted(archive.namelist())
        digests = {name: digest for name, digest, _ in recorded}
        assert all(digests[name].startswith("sha256=") for name in START_UP)


def test_the_wheel_has_all_modules_and_no_data(wheel: Path) -> None:
    expected = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "beir_hybrid").rglob("*.py")}
    expected |= {f"beir_hybrid/{path.relative_to(REPOSITORY)}" for path in (REPOSITORY / "tasks").rglob("*.py")}
    data = [path for path in (REPOSITORY / "beir_hybrid").rglob("*") if path.suffix in PACKAGE_DATA]
    expected |= {str(path.relative_to(REPOSITORY)) for path in data}
    expected |= {"beir_hybrid/py.typed", *START_UP}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == {name.replace(os.sep, "/") for name in expected}


def test_the_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = {entry.split("/")[0] for entry in archive.namelist() if ".dist-info/" in entry}
        distribution = PathDistribution(zipfile.Path(archive, f"{name}/"))
        assert distribution.version == beir_hybrid.__version__
        assert distribution.metadata["License-Expression"] == "Apache-2.0 AND Unicode-3.0"
        assert {f"{name}/licenses/LICENSE", f"{name}/licenses/beir_hybrid/corpora/LICENSE.unicode"} <= set(
            archive.namelist()
        )
        assert "mteb<3,>=2.26.5" in (distribution.requires or [])
        (script,) = distribution.entry_points
        assert (script.name, script.value) == ("beir-hybrid", "beir_hybrid.cli:main")


def test_python_that_takes_the_start_file_or_both_has_one_hook(environment: Environment) -> None:
    # As Python 3.15 does it: the entry point is resolved and called; the .pth file was read here already.
    (line,) = (environment.site_packages / "beir_hybrid.start").read_text(encoding="utf-8").splitlines()
    code = f"""
import sys
from pkgutil import resolve_name
resolve_name("{line}")()
print([type(finder).__name__ for finder in sys.meta_path].count("Hook"))
"""
    assert environment.run(code).stdout.split() == ["1"]


def test_what_is_imported_is_declared() -> None:
    setup = ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    lines = [line for line in setup["options"]["install_requires"].splitlines() if not line.startswith("#")]
    names = {re.split("[^a-z0-9-]", line)[0].replace("-", "_") for line in lines if line}
    declared = {{"pillow": "PIL", "faiss_cpu": "faiss"}.get(name, name) for name in names}
    extras = setup["options.extras_require"]
    optional = {name for extra in ("offline", "fast", "ray") for name in re.findall(r"^[a-z0-9]+", extras[extra], re.M)}
    imported = set()
    for folder in ("beir_hybrid", "tasks", "leaderboard"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            imported |= imported_by(path.read_text(encoding="utf-8"))
    assert imported - declared - optional == set()
    assert declared - imported == set()


def imported_by(code: str) -> set[str]:
    """Return the packages that a module imports, the standard library's and ours left out."""
    modules = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.add(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            modules |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"beir_hybrid"}


def test_a_process_without_mteb_loads_the_hook_alone(environment: Environment) -> None:
    code = "import sys; print(*sorted(name for name in sys.modules if name.startswith(('beir_hybrid', 'mteb'))))"
    assert environment.run(code).stdout.split() == HOOK_MODULES
    assert environment.run(code, BEIR_HYBRID_AUTOLOAD="0").stdout.split() == HOOK_MODULES


def test_mteb_offers_the_same_as_before_and_ours(environment: Environment) -> None:
    without, _ = environment.offered(BEIR_HYBRID_AUTOLOAD="0")
    offered, errors = environment.offered()
    assert "BEIR-Hybrid" not in errors
    assert set(without["tasks"]) == set(without["registry"])
    ours = [task.metadata.name for task in TASKS]
    assert "XQuADR" in ours
    assert offered["tasks"] == [*without["tasks"], *ours]
    assert offered["registry"] == [*without["registry"], *ours]
    assert offered["models"] == [*without["models"], *MODELS]
    shipped = {head.model_name for head in baselines()}
    assert set(MODELS) == {"beir-hybrid/multilingual-e5-small-q4", "ours", *shipped}

    registration = environment.site_packages / "beir_hybrid/mteb/registration.py"
    whole = registration.read_text(encoding="utf-8")
    registration.write_text("raise ImportError('broken')\n", encoding="utf-8")
    broken, errors = environment.offered()
    registration.write_text(whole, encoding="utf-8")
    assert broken == without
    assert errors.count("BEIR-Hybrid is not registered with mteb: ImportError: broken") == 1


def test_a_package_that_offers_a_corpus_has_a_task_while_it_is_installed(
    environment: Environment, tmp_path: Path
) -> None:
    before = environment.files()
    package = shutil.copytree(REPOSITORY / "tests" / "support" / "tiny_package", tmp_path / "package")
    environment.pip("install", "--no-deps", "--no-index", "--no-build-isolation", package)
    tasks, errors = environment.offered()
    assert {"TinyFAQ", "TinyFAQLanguageBias"} <= set(tasks["tasks"]) and "BEIR-Hybrid" not in errors

    model, results = save_xlm_r(tmp_path / "model"), tmp_path / "results"
    arguments = ["mteb", "run", "-m", str(model), "--tasks", "TinyFAQ", "--output-folder", str(results)]
    code = f"import sys; sys.argv = {arguments!r}; from mteb.cli import main; main()"
    environment.run(code, BEIR_HYBRID_HOME=str(tmp_path / "home"))
    [result] = results.rglob("TinyFAQ.json")
    subsets = {entry["hf_subset"] for entry in json.loads(result.read_text(encoding="utf-8"))["scores"]["test"]}
    assert subsets == {"en-en", "de-de", "en-de", "de-en", "en-multi", "de-multi"}
    [ranks] = (tmp_path / "home").rglob("TinyFAQ.parquet")
    assert rank_table.read(ranks)[0].num_rows == 2 * 4 * 2

    environment.pip("uninstall", "--yes", "tiny-faq")
    assert not {"TinyFAQ", "TinyFAQLanguageBias"} & set(environment.offered()[0]["tasks"])
    assert environment.files() == before


def test_an_editable_installation_registers_too_and_leaves_nothing_behind(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(REPOSITORY, checkout, ignore=shutil.ignore_patterns(*NOT_PACKAGED))
    environment = Environment(tmp_path / "environment")
    before = environment.files()
    environment.pip("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", checkout)
    assert {name: (environment.site_packages / name).read_bytes() for name in START_UP} == START_UP
    code = "import sys; print(*sorted(name for name in sys.modules if name.startswith('beir_hybrid')))"
    assert environment.run(code).stdout.split() == HOOK_MODULES
    find_tasks = "from importlib.util import find_spec; print(find_spec('beir_hybrid.tasks').origin)"
    assert environment.run(find_tasks).stdout.strip() == str(checkout / "tasks" / "__init__.py")
    environment.pip("uninstall", "--yes", "beir-hybrid")
    assert environment.files() == before
