"""Models of tables: mixed columns made numbers and back, two baselines, a VAE and a diffusion model.

encoder = TableEncoder().fit(frame)
x = encoder.encode(frame)                     # (n, d) float32
frame = encoder.decode(x)
model = TabularDiffusion().fit(frame, seed=0)
model.sample(1000, seed=1, condition={"sex": "female"}, constraint=lambda f: f["age"] > 30)
model.impute(frame)                           # what is missing, drawn given the rest of its row
LinkedTables("customer").fit(customers, orders).sample(500)
TextColumn("advert").fit(frame).write(rows)
"""

from course_lib.models.tabular.baselines import GaussianCopula, IndependentColumns
from course_lib.models.tabular.diffusion import TabularDiffusion, TabularDiffusionSettings
from course_lib.models.tabular.encoding import Block, TableEncoder
from course_lib.models.tabular.linked import LinkedTables
from course_lib.models.tabular.loss import block_loss
from course_lib.models.tabular.sampling import TableModel
from course_lib.models.tabular.text import TextColumn
from course_lib.models.tabular.vae import TabularVAE, TabularVAESettings

__all__ = [
    "Block",
    "GaussianCopula",
    "IndependentColumns",
    "LinkedTables",
    "TableEncoder",
    "TableModel",
    "TabularDiffusion",
    "TabularDiffusionSettings",
    "TabularVAE",
    "TabularVAESettings",
    "TextColumn",
    "block_loss",
]
