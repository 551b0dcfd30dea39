"""The hook that registers our tasks and models with mteb when mteb is imported.

The package's .pth file imports this module at the start of every Python process (from Python 3.15 on its .start file
calls `install`, PEP 829), so it imports nothing that is not loaded already and does nothing but put one finder on
``sys.meta_path``. When ``mteb`` is imported, the finder asks the
finders behind it for the real module specification, lets mteb run with its own loader, and then calls
`beir_hybrid.mteb.registration.register`. A failure there is a warning, never an error. BEIR_HYBRID_AUTOLOAD=0 turns the
hook off.

Registering imports modules of this package, and some of those import mteb. So when the first import of mteb happens
while a module of this package is half-way through its own import (``import beir_hybrid.tasks`` in a fresh process),
registering waits until the outermost of these imports is done.
"""

import os
import sys
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


class Hook:
    """A finder for ``sys.meta_path`` that calls a function after each time mteb was executed.

    It stays on ``sys.meta_path``: taking it off would make the imports of other threads, which walk that list, skip
    the finder behind it.

    Args:
        action: Called without arguments, in the thread that finished the import. It must not raise. Returning False
            asks for another call once the imports that other threads have begun meanwhile are done.
    """

    def __init__(self, action: "Callable[[], bool]") -> None:
        self._action = action
        self._lock = allocate_lock()
        self._running = 0  # imports of mteb and of our modules that have begun and not ended, in all threads
        self._due = False

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Return the real specification of mteb and of our own modules, its loader made to report to this hook.

        Args:
            name: Full name of the module.
            path: Search path of the parent package.
            target: The module, when it is being reloaded.

        Returns:
            What the first finder behind this one that knows the module returned, or None for all other modules.
        """
        if name != "mteb" and not name.startswith("beir_hybrid."):
            return None
        spec = self._ask_finders_behind(name, path, target)
        if spec is not None and spec.loader is not None:
            self._watch(spec.loader, name)
        return spec

    def mteb_was_imported(self) -> None:
        """Call the action, now or as soon as no import that it may depend on is under way."""
        with self._lock:
            self._due = True
        self._act_if_idle()

    def _ask_finders_behind(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        # Those in front had their turn, and asking them could bring two such hooks to ask each other for ever.
        finders: list = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 if self in finders else 0 :]:
            find_spec = getattr(finder, "find_spec", None)
            spec = find_spec(name, path, target) if find_spec is not None else None
            if spec is not None:
                return spec
        return None

    def _watch(self, loader: "Any", name: str) -> None:
        """Shadow ``exec_module`` on this one loader object, until it has been used.

        Wrapping the loader would leave a foreign object in ``module.__loader__`` and in what
        ``importlib.util.find_spec`` returns. A loader that is not used for an import is thrown away with its shadow.
        """
        try:
            execute, attributes = loader.exec_module, vars(loader)

            def exec_module(module: "ModuleType") -> None:
                if module.__name__ != name:  # a loader object shared by several modules
                    return execute(module)
                if attributes.get("exec_module") is exec_module:
                    del attributes["exec_module"]
                return self._execute(execute, module)

            attributes["exec_module"] = exec_module
        except (AttributeError, TypeError):  # a class, an object without __dict__, or a loader of before PEP 451
            warn(f"cannot watch the import of {name} by {loader!r}")

    def _execute(self, execute: "Callable[[ModuleType], None]", module: "ModuleType") -> None:
        with self._lock:
            self._running += 1
        mteb_is_there = False
        try:
            execute(module)
            mteb_is_there = module.__name__ == "mteb"
        finally:
            with self._lock:
                self._running -= 1
                self._due |= mteb_is_there
            self._act_if_idle()

    def _act_if_idle(self) -> None:
        with self._lock:
            act = self._due and self._running == 0
            if act:
                self._due = False
        if act and not self._action():
            with self._lock:
                self._due |= self._running > 0


def register() -> bool:
    """Register with mteb; whatever goes wrong becomes a warning.

    Returns:
        Whether everything there is to register is registered.
    """
    try:
        from beir_hybrid.mteb import registration

        return not registration.register().failed
    except Exception as error:
        warn(f"{type(error).__name__}: {error}")
        return False


def warn(problem: str) -> None:
    """Say in one line that nothing was registered, and why.

    Args:
        problem: What went wrong.
    """
    import warnings

    message = f"BEIR-Hybrid is not registered with mteb: {' '.join(problem.split())}"
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:  # warnings are errors in this process, but mteb must keep working
        print(message, file=sys.stderr)


def install() -> None:
    """Put the hook in place, unless BEIR_HYBRID_AUTOLOAD=0; register at once where mteb is already imported.

    Importing this module does it, too: where a hook is in place, also one of this module before it was reloaded, no
    second one comes.
    """
    if os.environ.get("BEIR_HYBRID_AUTOLOAD") == "0" or any(type(f).__module__ == __name__ for f in sys.meta_path):
        return
    hook = Hook(register)
    sys.meta_path.insert(0, hook)
    if "mteb" in sys.modules:
        hook.mteb_was_imported()


install()
