"""`python -m assets.ui`: Dagster's web UI and daemon on this home, for `kimi-pipeline ui` and `make ui`.

Belongs here: preparing the instance and handing the process over to `dagster dev`. Does not belong here: anything that
runs in the UI.
"""

from __future__ import annotations

import argparse
import contextlib
import runpy
import socket
import sys
import warnings
from collections.abc import Sequence

from assets.launch import heed_signals
from kimi_pipeline.errors import UserError
from kimi_pipeline.home import CHECKOUT, Home
from kimi_pipeline.jobs import die_with_parent


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    die_with_parent()
    heed_signals()
    try:
        _refuse_taken(options.host, options.port)
        _prepare(Home.from_env())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"Dagster UI: http://{options.host}:{options.port}/asset-groups (Ctrl-C ends it)", file=sys.stderr, flush=True
    )
    return _dagster_dev(options.host, options.port)


def _prepare(home: Home) -> None:
    from resources.instance import open_instance
    from resources.runs import clear_dead_runs, only_run

    with open_instance(home) as instance, contextlib.suppress(UserError), only_run(home):
        clear_dead_runs(instance)  # with a run going on there is nothing dead to clear


def _dagster_dev(host: str, port: int) -> int:
    """Run `dagster dev` in this process, until it is ended."""
    import dagster as dg

    # Its successor `dg dev` is a package of its own, for projects laid out its way.
    warnings.simplefilter("ignore", dg.SupersessionWarning)
    workspace = str(CHECKOUT / "workspace.yaml")
    sys.argv = ["dagster", "dev", "-w", workspace, "-h", host, "-p", str(port), "--log-level", "warning"]
    try:
        runpy.run_module("dagster", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0) if not isinstance(end.code, str) else 1
    return 0


def _refuse_taken(host: str, port: int) -> None:
    """Dagster would start its daemon and only then find that the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --port") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m assets.ui", description="Dagster's web UI on this home")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (the UI has no login: keep it local)")
    parser.add_argument("--port", type=int, default=3000)
    return parser


if __name__ == "__main__":
    sys.exit(main())
