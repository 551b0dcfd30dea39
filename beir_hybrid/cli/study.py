"""The command ``beir-hybrid study``: run what a study.toml lists, and judge the source paper's claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beir_hybrid.errors import BeirHybridError
from beir_hybrid.files import check_writable, user_path


def study(
    file: Annotated[Path | None, typer.Argument(help="A study.toml. Default: a preset.", show_default=False)] = None,
    preset: Annotated[
        str | None, typer.Option(help="A study that comes with the package: offline, paper.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the study; it is gone on with.")] = Path("study"),
    jobs: Annotated[int, typer.Option(help="Number of processes, with one thread each.")] = 1,
    only: Annotated[str, typer.Option(help="Run these experiments only, such as mlqa-r,ntrex-next.")] = "",
    report: Annotated[bool, typer.Option("--report", help="Run nothing; write the page of what is done.")] = False,
    page: Annotated[
        Path | None, typer.Option("--page", help="Where to write the page. Default: OUT/study.md.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")] = False,
) -> None:
    """Train and evaluate what a study.toml lists, skip what is done, and judge the claims of arXiv 2408.10536.

    A study.toml has [study], [[start]] (maps that trainings start from), [[base]] and [[experiment]] tables. The
    systems of an experiment are named by their batches: X-X, X-Y, hybrid-0.5, mixed, X-Y-pair (one pair of languages a
    batch), X-Y+neg (mined hard negatives). OUT gets items/ (what is done), starts/, models/, ranks/, results/ of full
    tuning and study.json; the page and its plot go to --page.
    """
    if (file is None) == (preset is None):
        raise BeirHybridError("name a study.toml, or a preset: --preset offline or --preset paper")
    from beir_hybrid.study.definition import preset_path, read_study

    out, page = user_path(out, "--out "), None if page is None else user_path(page, "--page ")
    path = preset_path(preset) if preset is not None else user_path(file or "")
    whole = read_study(path)
    names = [name.strip() for name in only.split(",") if name.strip()]
    chosen = whole.only(names) if names else whole
    from beir_hybrid.study.paper.outputs import write_report
    from beir_hybrid.study.run import make_plan, run_study

    if page is not None:
        check_writable(page.parent, hint="name another file with --page")
    if not report:
        run_study(chosen, out, jobs, quiet)
    named = f"--preset {preset}" if preset is not None else path.name
    written = write_report(whole, make_plan(whole, out), out, page or out / "study.md", f"beir-hybrid study {named}")
    if not quiet:
        print(f"Report: {written}")
