"""The same steps as assets of Dagster: for a schedule, for many people, and for a page of all runs.

    arrived_rows -> generated_rows -> published_rows

Behind each of the first two stands a check that blocks what comes after it. A run decides one day, which
is a partition of each asset; a sensor starts one for the next day that arrived. What is decided, and all
that is kept, is the same as without Dagster: each step goes through `day`, whose outputs are on the disk.
"""

import os
from pathlib import Path

import dagster as dg

from course_lib.files import write_whole
from course_lib.pipeline.day import Day, Outcome
from course_lib.pipeline.generators import Generator
from course_lib.pipeline.journal import PipelineError
from course_lib.pipeline.running import Pipeline
from course_lib.pipeline.settings import read_settings

SETTINGS = "COURSE_PIPELINE"  # the environment variable that holds the path of pipeline.toml
SECONDS = 30  # between two looks for new days
# No telemetry, and no dialogue in front of the page that asks for an address.
DAGSTER_YAML = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def definitions(settings: Path, generator: Generator | None = None) -> dg.Definitions:
    """The assets, their checks, the job that decides a day, and the sensor that starts it.

    Args:
        settings: the path of pipeline.toml. It is read anew for every step.
        generator: in place of the one that the settings name.
    """
    days = dg.DynamicPartitionsDefinition(name="days")

    def pipeline() -> Pipeline:
        return Pipeline(read_settings(settings), generator)

    def next_day(run: Pipeline, name: str) -> Day:
        """The day of this run. Days are decided in their order: each one needs the days before."""
        waiting = run.undecided()
        if not waiting or waiting[0].stem != name:
            wanted = f"the next one is {waiting[0].stem}" if waiting else "all days are decided"
            raise PipelineError(f"{name} is not to be decided now; {wanted}.")
        return Day(run, waiting[0])

    def checked(outcome: Outcome | None) -> dg.AssetCheckResult:
        why = outcome.why if outcome else "no evidence reaches the limit"
        return dg.AssetCheckResult(passed=outcome is None, metadata={"why": why})

    @dg.asset(partitions_def=days)
    def arrived_rows(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """The rows that arrived on this day."""
        run = pipeline()
        with run.alone():
            day = next_day(run, context.partition_key)
            return dg.MaterializeResult(metadata={"bytes": len(day.arrived["arrived"])})

    @dg.asset_check(asset=arrived_rows, blocking=True)
    def contract_and_streams(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        """The arrived rows keep the contract, and they come from the source of the days before."""
        run = pipeline()
        with run.alone():
            return checked(next_day(run, context.partition_key).watch_arrived())

    @dg.asset(partitions_def=days, deps=[arrived_rows])
    def generated_rows(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Rows that the generator made. What they cost is charged to the privacy budget."""
        run = pipeline()
        with run.alone():
            day = next_day(run, context.partition_key)
            if outcome := day.watch_arrived() or day.generate():
                raise dg.Failure(outcome.why, allow_retries=False)
            spent = sum(run.budget.ledger().values())
            return dg.MaterializeResult(metadata={"rho spent so far": spent})

    @dg.asset_check(asset=generated_rows, blocking=True)
    def tolerances(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        """The generated rows are within their tolerances, and are no copies."""
        run = pipeline()
        with run.alone():
            day = next_day(run, context.partition_key)
            return checked(day.watch_arrived() or day.generate() or day.watch_generated())

    @dg.asset(partitions_def=days, deps=[generated_rows])
    def published_rows(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Generated rows that passed."""
        run = pipeline()
        with run.alone():
            # Every step again: those that are done are only looked up, and none can be left out.
            outcome = next_day(run, context.partition_key).decide()
            if not outcome.published:
                raise dg.Failure(outcome.why, allow_retries=False)
            file = run.settings.folder / "published" / f"{outcome.day}.csv"
            return dg.MaterializeResult(
                metadata={"why": outcome.why, "file": dg.MetadataValue.path(str(file))}
            )

    assets = [arrived_rows, generated_rows, published_rows]
    decide_day = dg.define_asset_job("decide_day", selection=assets)

    @dg.sensor(
        job=decide_day,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Starts a run for the next day that arrived; once for each day and each state of the log."""
        run = pipeline()
        waiting = run.undecided()
        if not waiting:
            return dg.SkipReason("every day that arrived is decided")
        name = waiting[0].stem
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=f"{name} after {len(run.events())}", partition_key=name)
            ],
            dynamic_partitions_requests=[days.build_add_request([name])],
        )

    return dg.Definitions(
        assets=assets,
        asset_checks=[contract_and_streams, tolerances],
        jobs=[decide_day],
        sensors=[arrivals],
        executor=dg.in_process_executor,
    )


@dg.definitions
def from_environment() -> dg.Definitions:
    """What `dagster dev -m course_lib.pipeline.assets` serves."""
    return definitions(Path(os.environ[SETTINGS]))


def environment(settings: Path) -> dict[str, str]:
    """What Dagster's programs need to know: the pipeline, and a home next to it, without telemetry.

    Raises:
        PipelineError: for settings that are not understood, or a folder that cannot be written to.
    """
    home = Pipeline(read_settings(settings)).state / "dagster"
    home.mkdir(exist_ok=True)
    write_whole(home / "dagster.yaml", DAGSTER_YAML)
    return {SETTINGS: str(settings.resolve()), "DAGSTER_HOME": str(home.resolve())}
