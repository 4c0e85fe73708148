"""A diffusion model of tables, with numbers and one-hot categories in one Gaussian process."""

from collections.abc import Iterator

import pandas as pd

from course_lib.models.tabular.sampling import TableModel
from course_lib.training import Step


class TabularDiffusion(TableModel):
    """Settings are keyword arguments of the constructor (encoder, latent_dim, width, ...)."""

    def fit(self, frame: pd.DataFrame, *, steps: int = 2000, seed: int = 0) -> "TabularDiffusion":
        """Fit the encoder and train; the same seed gives the same model."""

    def training(self, frame: pd.DataFrame, *, steps: int = 2000, seed: int = 0) -> Iterator[Step]:
        """As `fit`, but yields every step with its loss."""
