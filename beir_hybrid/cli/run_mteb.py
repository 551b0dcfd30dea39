"""The command ``beir-hybrid mteb``: MTEB's own command line."""

from __future__ import annotations

import sys

import typer

from beir_hybrid.cli.commands import OPTIONS, needing_mteb

app = typer.Typer(**OPTIONS)


@app.command(
    "mteb",
    add_help_option=False,
    # Everything belongs to MTEB's own parser, --help included.
    context_settings={"allow_extra_args": True, "allow_interspersed_args": False, "ignore_unknown_options": True},
)
@needing_mteb
def run_mteb(context: typer.Context) -> None:
    """Run MTEB's command line with our tasks and models registered, e.g. `beir-hybrid mteb run -m ... -t XQuADR`."""
    from beir_hybrid.cli.engines import Engine
    from beir_hybrid.cli.mteb_options import help_text, taken_out
    from beir_hybrid.mteb.registration import register
    from beir_hybrid.scoring.shards import asked_for, asked_shard

    ours, theirs = taken_out(context.args)
    engine = Engine(ours.engine, ours.address, ours.workers, ours.gpus_per_worker)
    with asked_for(ours.shard):
        engine.check(shard=asked_shard(), device=next((name for name in theirs if name.startswith("--device")), None))
        register()
        from mteb.cli import main as mteb_main

        sys.argv = ["beir-hybrid mteb", *theirs]
        try:
            with engine.in_place_of_models():
                mteb_main()
        finally:
            if theirs[:1] == ["run"] and {"-h", "--help"} & {*theirs}:
                print(help_text())
