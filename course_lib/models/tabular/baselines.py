"""Two baselines that a model of tables has to beat."""

import pandas as pd

from course_lib.models.tabular.sampling import TableModel


class IndependentColumns(TableModel):
    """Each column drawn by itself from the values seen: right marginals, no dependence."""

    def fit(self, frame: pd.DataFrame) -> "IndependentColumns": ...


class GaussianCopula(TableModel):
    """Marginals as seen, tied together by the correlations of normal scores (a Gaussian copula)."""

    def fit(self, frame: pd.DataFrame) -> "GaussianCopula": ...
