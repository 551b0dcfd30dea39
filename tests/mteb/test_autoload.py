"""The hook, with stand-ins for mteb and for the registration, each case in a Python process of its own.

The processes run with -S, so no .pth file of the environment is read; tests/test_packaging.py has the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import beir_hybrid

HOOK = "import beir_hybrid.mteb.hook\n"
PACKAGE = Path(beir_hybrid.__file__).parent
FILES = {
    "mteb/__init__.py": "tasks = []\nprint('mteb runs')\n",
    "mteb/__main__.py": "import mteb\nprint('main sees', mteb.tasks)\n",
    "beir_hybrid/mteb/registration.py": """
        from types import SimpleNamespace

        def register():
            import mteb
            mteb.tasks.append('XQuADR')
            print('registered')
            return SimpleNamespace(failed=())
        """,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a stand-in for mteb and this package, its registration a stand-in too."""
    write(tmp_path, FILES)
    for name in ("__init__.py", "mteb/__init__.py", "mteb/hook.py"):
        shutil.copy(PACKAGE / name, tmp_path / "beir_hybrid" / name)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(content), encoding="utf-8")


def run(folder: Path, code: str, *options: str, **environment: str) -> list[str]:
    """Run Python code and return the lines it printed, standard error behind standard output."""
    done = subprocess.run(
        [sys.executable, "-S", *options, "-c", dedent(code)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_the_hook_loads_nothing_but_itself(folder: Path) -> None:
    printed = run(
        folder,
        """
        import os, sys
        before = set(sys.modules)
        import beir_hybrid.mteb.hook
        print(*sorted(set(sys.modules) - before))
        """,
    )
    assert set(printed[0].split()) <= {
        "__future__",
        "beir_hybrid",
        "beir_hybrid.mteb",
        "beir_hybrid.mteb.hook",
    }


def test_importing_mteb_registers_once_after_mteb_has_run(folder: Path) -> None:
    assert run(folder, HOOK + "import mteb, json\nimport mteb\nprint(mteb.tasks)") == [
        "mteb runs",
        "registered",
        "['XQuADR']",
    ]


def test_mteb_keeps_its_own_loader(folder: Path) -> None:
    code = """
        import mteb
        from importlib.machinery import SourceFileLoader
        loader = mteb.__spec__.loader
        print(type(loader) is SourceFileLoader, mteb.__loader__ is loader, sorted(vars(loader)))
        """
    assert run(folder, HOOK + dedent(code))[-1] == "True True ['name', 'path']"


def test_it_can_be_turned_off(folder: Path) -> None:
    code = HOOK + "import sys, mteb\nprint(mteb.tasks, 'beir_hybrid.mteb.registration' in sys.modules)"
    assert run(folder, code, BEIR_HYBRID_AUTOLOAD="0") == ["mteb runs", "[] False"]


def test_looking_for_mteb_neither_fires_nor_loses_the_hook(folder: Path) -> None:
    code = """
        import importlib.util, sys
        spec = importlib.util.find_spec('mteb')
        print(spec.origin is not None, type(spec.loader).__name__, 'mteb' in sys.modules)
        import mteb
        print(mteb.tasks)
        """
    assert run(folder, HOOK + dedent(code)) == ["True SourceFileLoader False", "mteb runs", "registered", "['XQuADR']"]


def test_it_registers_again_when_mteb_is_reloaded(folder: Path) -> None:
    printed = run(folder, HOOK + "import importlib, mteb\nimportlib.reload(mteb)\nprint(mteb.tasks)")
    assert printed == ["mteb runs", "registered"] * 2 + ["['XQuADR']"]


def test_it_registers_when_mteb_is_imported_on_first_use(folder: Path) -> None:
    code = """
        import importlib.util, sys
        spec = importlib.util.find_spec('mteb')
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = sys.modules['mteb'] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print('nothing has run')
        print(module.tasks)
        """
    assert run(folder, HOOK + dedent(code)) == ["nothing has run", "mteb runs", "registered", "['XQuADR']"]


def test_it_registers_when_mteb_is_run_as_a_program(folder: Path) -> None:
    printed = run(folder, HOOK + "import runpy\nrunpy.run_module('mteb', run_name='__main__', alter_sys=True)")
    assert printed == ["mteb runs", "registered", "main sees ['XQuADR']"]


def test_it_registers_at_once_when_mteb_is_imported_already(folder: Path) -> None:
    assert run(folder, "import mteb\n" + HOOK + "print(mteb.tasks)") == ["mteb runs", "registered", "['XQuADR']"]


def test_however_often_it_is_installed_there_is_one_hook(folder: Path) -> None:
    code = """
        import importlib, sys
        import beir_hybrid.mteb.hook as autoload
        autoload.install()  # what the .start file calls
        importlib.reload(autoload).install()
        print([type(finder).__name__ for finder in sys.meta_path].count('Hook'))
        import mteb
        autoload.install()
        print(mteb.tasks)
        """
    assert run(folder, code) == ["1", "mteb runs", "registered", "['XQuADR']"]


def test_it_can_be_installed_later_where_it_was_turned_off(folder: Path) -> None:
    code = """
        import os
        import beir_hybrid.mteb.hook
        del os.environ['BEIR_HYBRID_AUTOLOAD']
        beir_hybrid.mteb.hook.install()
        import mteb
        print(mteb.tasks)
        """
    assert run(folder, code, BEIR_HYBRID_AUTOLOAD="0") == ["mteb runs", "registered", "['XQuADR']"]


def test_it_registers_when_mteb_can_be_imported_at_the_second_try(folder: Path) -> None:
    write(folder, {"mteb/__init__.py": "import missing_module\ntasks = []\n"})
    code = """
        import sys
        try:
            import mteb
        except ImportError as error:
            print(error.name)
        sys.modules['missing_module'] = sys
        import mteb
        print(mteb.tasks)
        """
    assert run(folder, HOOK + dedent(code)) == ["missing_module", "registered", "['XQuADR']"]


@pytest.mark.parametrize(
    ("registration", "problem"),
    [
        ("raise ImportError('half of the package is gone')", "ImportError: half of the package is gone"),
        ("def register(:", "SyntaxError: "),
        ("def register():\n    raise ValueError('two\\nlines')", "ValueError: two lines"),
        (None, "ImportError: cannot import name 'registration'"),
    ],
)
@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["", "warnings are errors"])
def test_a_broken_registration_is_one_line_and_mteb_works(
    registration: str | None, problem: str, options: tuple[str, ...], folder: Path
) -> None:
    (folder / "beir_hybrid/mteb/registration.py").unlink()
    if registration is not None:
        write(folder, {"beir_hybrid/mteb/registration.py": registration})
    printed = run(folder, HOOK + "import mteb\nprint(mteb.tasks)", *options)
    assert printed[:2] == ["mteb runs", "[]"]
    said = [line for line in printed[2:] if "BEIR-Hybrid is not registered with mteb: " in line]
    assert len(said) == 1
    assert problem in said[0]
    assert not any("Traceback" in line for line in printed)


def test_a_half_removed_package_leaves_mteb_working(folder: Path) -> None:
    printed = run(folder, HOOK + "import shutil; shutil.rmtree('beir_hybrid')\nimport mteb\nprint(mteb.tasks)")
    assert printed[:2] == ["mteb runs", "[]"]
    assert "BEIR-Hybrid is not registered with mteb: ImportError" in printed[2]


def test_a_loader_that_cannot_be_watched_is_one_line_and_mteb_works(folder: Path) -> None:
    code = """
        import sys
        from importlib.machinery import ModuleSpec
        class Loader:
            __slots__ = ()
            def create_module(self, spec): pass
            def exec_module(self, module): module.tasks = []
        class Finder:
            def find_spec(self, name, path=None, target=None):
                return ModuleSpec(name, Loader()) if name == 'mteb' else None
        sys.meta_path.insert(1, Finder())
        import mteb
        print(mteb.tasks)
        """
    printed = run(folder, HOOK + dedent(code))
    assert printed[0] == "[]"
    assert "BEIR-Hybrid is not registered with mteb: cannot watch the import of mteb by " in printed[1]


def test_threads_that_import_mteb_at_once_see_it_registered_once(folder: Path) -> None:
    code = """
        import threading
        barrier = threading.Barrier(8)
        def use():
            barrier.wait()
            import mteb
            assert mteb.tasks == ['XQuADR'], mteb.tasks
        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    assert run(folder, HOOK + dedent(code)) == ["mteb runs", "registered"]


def test_importing_a_module_of_ours_first_registers_when_it_is_complete(folder: Path) -> None:
    write(
        folder,
        {
            "beir_hybrid/tasks.py": "from beir_hybrid.scoring import score\nTASKS = ('XQuADR',)\n",
            "beir_hybrid/scoring.py": "import mteb\nprint('scoring goes on')\ndef score(): pass\n",
            "beir_hybrid/mteb/registration.py": """
                from types import SimpleNamespace

                def register():
                    from beir_hybrid.tasks import TASKS
                    print('registered', *TASKS)
                    return SimpleNamespace(failed=())
                """,
        },
    )
    for module in ("beir_hybrid.scoring", "beir_hybrid.tasks"):
        assert run(folder, f"{HOOK}import {module}") == ["mteb runs", "scoring goes on", "registered XQuADR"]


def test_a_module_of_ours_that_another_thread_imports_meanwhile_is_registered_when_it_is_complete(
    folder: Path,
) -> None:
    write(
        folder,
        {
            "threads.py": "import threading\nregistering, importing = threading.Event(), threading.Event()\n",
            "beir_hybrid/tasks.py": """
                import threads
                threads.importing.set()
                import mteb
                TASKS = ('XQuADR',)
                """,
            "beir_hybrid/mteb/registration.py": """
                from types import SimpleNamespace
                import threads

                def register():
                    threads.registering.set()
                    threads.importing.wait()
                    try:
                        from beir_hybrid.tasks import TASKS
                    except ImportError:
                        return SimpleNamespace(failed=('tasks',))
                    print('registered', *TASKS)
                    return SimpleNamespace(failed=())
                """,
        },
    )
    code = """
        import importlib, threading, threads
        def import_tasks():
            threads.registering.wait()
            importlib.import_module('beir_hybrid.tasks')
        other = threading.Thread(target=import_tasks)
        other.start()
        import mteb
        other.join()
        """
    assert run(folder, HOOK + dedent(code)) == ["mteb runs", "registered XQuADR"]
