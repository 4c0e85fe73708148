"""docs/pipeline.md: which private releases of Adult get through the gates, over three draws of the noise.

    python benchmarks/pipeline_private.py

Each row is one release of 1,000 rows, made as `course-lib pipeline` makes it on its first day. Cases differ
in the number of trusted rows, in epsilon, in how many releases share it (delta is 1e-6), and in whether
values that many rows hold exactly had cells of their own ("often"). "stopped" is how many of the streams of
generated rows had enough evidence to stop the day. "no noise" has a rho so large that noise plays no part.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from common import write
from threadpoolctl import threadpool_limits

from course_lib.pipeline.contract import as_csv
from course_lib.pipeline.example import write_example
from course_lib.pipeline.generators import generator_of, in_holdout
from course_lib.pipeline.settings import PipelineSettings, read_settings
from course_lib.pipeline.watching import evidence, generated_values, next_cusums
from course_lib.privacy.accountant import rho_for

DELTA, SEEDS, MOST = 1e-6, range(3), 20_000
# Trusted rows, epsilon, releases, and whether there are cells for values that many rows hold.
CASES = {
    "3,000 rows": (3000, 4.0, 6, True),
    "3,000 rows, epsilon 1": (3000, 1.0, 6, True),
    "3,000 rows, epsilon 0.3": (3000, 0.3, 6, True),
    "6,000 rows": (6000, 4.0, 6, True),
    "12,000 rows": (12_000, 4.0, 6, True),
    "20,000 rows": (MOST, 4.0, 6, True),
    "20,000 rows, epsilon 1": (MOST, 1.0, 6, True),
    "20,000 rows, epsilon 0.3": (MOST, 0.3, 6, True),
    "20,000 rows, 20 releases": (MOST, 4.0, 20, True),
    "20,000 rows, no cells of their own": (MOST, 4.0, 6, False),
    "20,000 rows, no cells of their own, no noise": (MOST, 1e6, 1, False),
}


def release(settings: PipelineSettings, case: str, seed: int) -> dict[str, float | str]:
    rows, epsilon, releases, often = CASES[case]
    contract = settings.contract
    if not often:
        columns = {name: replace(rule, often=()) for name, rule in contract.columns.items()}
        contract = replace(contract, columns=columns)
    rho = 1e6 if epsilon > 1e3 else rho_for(epsilon, DELTA) / releases
    settings = replace(settings, contract=contract, release_rho=rho)
    trusted = contract.read((settings.folder / settings.reference).read_bytes()).head(rows)
    today = contract.read((settings.folder / "arrivals" / "day-001.csv").read_bytes())
    kept_out = in_holdout(trusted, contract)
    seen, holdout = trusted[~kept_out].reset_index(drop=True), trusted[kept_out]
    made = contract.read(as_csv(generator_of(settings)(seen, settings.rows, seed)))
    assert not contract.breaches(made)
    values = generated_values(made, seen, holdout, today, contract, settings.tolerance)
    found = evidence(next_cusums({}, {name: value.e for name, value in values.items()}))
    stopped = [name for name, size in found.items() if size >= settings.limit]
    print(case, seed, len(stopped), stopped[:4], flush=True)
    return {"seed": seed, "stopped": len(stopped), "first": stopped[0] if stopped else ""}


def main() -> None:
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name) / "adult"
        write_example(folder, "adult", days=6, reference=MOST, method="marginals")
        settings = read_settings(folder / "pipeline.toml")
        results = {case: [release(settings, case, seed) for seed in SEEDS] for case in CASES}
    how = {"delta": DELTA, "limit": settings.limit, "distance": settings.tolerance.distance}
    write("pipeline_private", SimpleNamespace(**how), {}, results)


if __name__ == "__main__":
    main()
