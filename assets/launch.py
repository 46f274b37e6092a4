"""`python -m assets.launch`: one run from the terminal, in this process, on the real instance.

Belongs here: choosing what to materialise, running it quietly, turning its end into an exit code: 0 done, 1 a check or
a step failed, 2 bad input (one line), 130 stopped. Does not belong here: `kimi-pipeline run`, which starts this as its
own process and speaks for it; what a stage does.

Dagster is imported inside functions: worker processes of a stage import this module again, and need none of it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from kimi_pipeline.errors import UserError
from kimi_pipeline.home import Home
from kimi_pipeline.jobs import die_with_parent
from kimi_pipeline.stages import Stage

if TYPE_CHECKING:
    import dagster as dg

OK, FAILED, REFUSED_INPUT, STOPPED = 0, 1, 2, 130
NO_RETRY = {"dagster/max_retries": "0"}  # who started it sees how it ends: the daemon of an open UI must not repeat it


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    die_with_parent()
    heed_signals()
    try:
        code = launch(options.select, options.set, verbose=options.verbose)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED_INPUT
    except KeyboardInterrupt:
        return _stopped()
    except (
        Exception
    ):  # where the disk is full it may come from anything that writes; elsewhere it is a defect and stays one
        if not Home.from_env().is_full():
            raise
        code = FAILED
    return _without_room() if code == FAILED and Home.from_env().is_full() else code


def heed_signals() -> None:
    """Let SIGINT and SIGTERM end this process in order.

    A shell starts background commands with SIGINT ignored, and Dagster then gives SIGTERM the same deaf handler.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def launch(
    select: str = "",
    prompt_set: str | None = None,
    *,
    verbose: bool = False,
    lineage: Mapping[str, Stage] | None = None,
) -> int:
    """Materialise the selected stages (`tags, difficulty`; empty: all) with everything upstream; returns the exit code.

    Settings come from `KIMI_PROFILE` and `KIMI_SET`. Raises UserError for an unknown stage or set, and where another
    run is active on this home.
    """
    import dagster as dg

    from assets.definitions import build_defs
    from assets.factory import pool
    from assets.partitions import prompt_sets
    from kimi_pipeline.audit.plan import known, selected
    from resources import ComputeResource, LakeResource, ProfileResource
    from resources.instance import open_instance
    from resources.pools import MODELS
    from resources.runs import FROM_TERMINAL, clear_dead_runs, only_run
    from resources.warm import WarmProcess, compute_with, is_worth_it

    if lineage is None:
        from kimi_pipeline.lineage import STAGES

        lineage = STAGES
    chosen = selected(select, lineage)
    home = LakeResource().home()
    profile = ProfileResource.from_env().load()
    prompt_set = prompt_set or profile.curation.prompt_set
    sets = prompt_sets(home)
    known([prompt_set], sets, "prompt set")
    model_stages = sum(pool(lineage[name], profile) == MODELS for name in chosen)
    with ExitStack() as stack:
        stack.enter_context(only_run(home))
        compute = ComputeResource(echo=True)
        if is_worth_it(profile, model_stages):
            compute = compute_with(stack.enter_context(WarmProcess()))
        instance = stack.enter_context(open_instance(home))
        clear_dead_runs(instance)
        if not verbose:
            warnings.simplefilter("ignore", dg.PreviewWarning)  # Dagster's, about Dagster's own calls
        defs = build_defs({"compute": compute}, lineage, sets)
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in chosen],
            partition_key=prompt_set if any(lineage[name].by_set for name in chosen) else None,
            tags=FROM_TERMINAL | NO_RETRY,
            run_config={"loggers": {"console": {"config": {"log_level": "INFO" if verbose else "CRITICAL"}}}},
            raise_on_error=False,
        )
        return exit_code(result)


def exit_code(result: dg.ExecuteInProcessResult) -> int:
    """Say why a run failed, if it did, and give the exit code."""
    kind = "check warns" if result.success else "check failed"
    for check in result.get_asset_check_evaluations():
        if not check.passed:
            print(f"{kind}: {check.asset_key.to_user_string()}: {check.description}", file=sys.stderr)
    if result.success:
        return OK
    code = FAILED
    for event in result.get_step_failure_events():
        failure = event.step_failure_data
        if failure.error_source is not None and failure.error_source.name == "INTERRUPT":
            return _stopped()
        refused = _refusal(failure)
        if refused is not None:
            print(f"error: {refused}", file=sys.stderr)
            code = REFUSED_INPUT
        elif failure.user_failure_data is not None:
            print(f"failed: {event.step_key}: {failure.user_failure_data.description}", file=sys.stderr)
        elif failure.error is not None and "AssetCheckFailed" not in str(failure.error.cls_name):
            print(f"failed: {event.step_key}:\n{(failure.error.cause or failure.error).to_string()}", file=sys.stderr)
    return code


def _refusal(failure: Any) -> str | None:
    from assets.work import REFUSED

    data = failure.user_failure_data
    return str(data.metadata[REFUSED].value) if data is not None and REFUSED in data.metadata else None


def _without_room() -> int:
    """A full disk stops everything that writes, Dagster's store and jobs as well, and each says so in its own words or in none:
    the last line is ours, and begins one: somebody may have been cut off in the middle of his."""
    print(f"\nerror: no disk space in {Home.from_env().root}: free some and run again", file=sys.stderr)
    return REFUSED_INPUT


def _stopped() -> int:
    print("stopped: what was committed stays; the same command continues", file=sys.stderr)
    return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m assets.launch", description="Materialise stages of the lineage")
    parser.add_argument("--set", metavar="NAME", help="prompt set (default: the one that the profile names)")
    parser.add_argument(
        "--select",
        metavar="STAGES",
        default="",
        help="stages, comma-separated; all that they read comes with them (default: every stage)",
    )
    parser.add_argument("--verbose", action="store_true", help="show Dagster's own log as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
