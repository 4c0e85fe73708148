"""A pipeline that makes synthetic data every day, and stops when it should.

Each day: check the contract, watch the arriving rows, generate, watch what was generated, publish or
quarantine. `course-lib pipeline run pipeline.toml` does it (`running`), or Dagster (`assets`); the parts
are plain functions.

    sequential  p-values and e-values of one day against all days before, and their CUSUM
    watching    which streams are watched in arriving data, and in what a generator made
    labels      changed labels, looked for among rows of like chances
    contract    what every arriving table must keep; checked by pandera
    steps       a step runs once for the same inputs, and its output outlives a crash
    journal     a file that only grows: what happened, and why
    budget      the privacy budget, which cannot be overspent
    generators  what learns from the accepted rows
    settings    pipeline.toml
    day         the steps of one day
    running     the days, one after the other; rolling back
    assets      the same steps for Dagster
    example     a folder to begin with
    page        an HTML page of the runs
"""
