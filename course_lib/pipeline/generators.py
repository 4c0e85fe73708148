"""What learns from the accepted rows and makes rows to publish."""

import importlib
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

from course_lib.pipeline.contract import Contract
from course_lib.pipeline.journal import PipelineError
from course_lib.pipeline.settings import OWN_GENERATOR, PipelineSettings

BINS = 12  # of a number, for the private generator
Generator = Callable[[pd.DataFrame, int, int], pd.DataFrame]  # rows seen, how many, seed


def generator_of(settings: PipelineSettings) -> Generator:
    """The generator that the settings name. A model takes its import's time only where it is used.

    Raises:
        PipelineError: where a function of one's own cannot be imported.
    """
    if settings.generator == "copula":
        return lambda seen, rows, seed: _copula(seen, rows, seed, settings.contract)
    if settings.generator == "marginals":
        return lambda seen, rows, seed: _marginals(seen, rows, seed, settings)
    module, name = settings.generator.split(OWN_GENERATOR, 1)
    if str(settings.folder) not in sys.path:  # a module next to pipeline.toml
        sys.path.insert(0, str(settings.folder))
    try:
        own: Generator = getattr(importlib.import_module(module), name)
        return own
    except (ImportError, AttributeError, ValueError) as error:
        raise PipelineError(f"generate.method {settings.generator!r}: {error}") from None


def _copula(seen: pd.DataFrame, rows: int, seed: int, contract: Contract) -> pd.DataFrame:
    from course_lib.models.tabular import GaussianCopula

    return GaussianCopula().fit(seen).sample(rows, seed=seed, constraint=contract.kept)


def _marginals(
    seen: pd.DataFrame, rows: int, seed: int, settings: PipelineSettings
) -> pd.DataFrame:
    from course_lib.privacy.marginals import Domain, NoisyMarginals

    contract = settings.contract
    often = {name: rule.often for name, rule in contract.columns.items()}
    model = NoisyMarginals(Domain(contract.public_rows(), BINS, often), contract.label)
    model.fit(seen, rho=settings.release_rho or 0.0, seed=seed)
    return model.sample(rows, seed=seed)


def in_holdout(table: pd.DataFrame, contract: Contract) -> np.ndarray:
    """Three rows of ten, chosen by what stands in them: equal rows are on the same side on every day."""
    words = table[list(contract.columns)].astype(str)
    return (pd.util.hash_pandas_object(words, index=False) % 10 < 3).to_numpy(bool)
