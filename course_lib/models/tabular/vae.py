"""A variational autoencoder of tables, after TVAE (Xu et al. 2019, arXiv 1907.00503, section 4.4)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from course_lib.models.layers import mlp
from course_lib.models.tabular.encoding import TableEncoder, blanks
from course_lib.models.tabular.loss import block_loss
from course_lib.models.tabular.sampling import TableModel
from course_lib.models.vae import kl_divergence, reparameterize
from course_lib.syllabus import Settings
from course_lib.training import Step, finish, gradient_step, training_loop

ROUNDS = 20  # of pseudo-Gibbs sampling, when rows are drawn given some of their values


@dataclass(frozen=True, kw_only=True)
class TabularVAESettings(Settings):
    """How a `TabularVAE` is made and trained.

    Attributes:
        latent_dim, width, depth: dimensions of z, units of a hidden layer, and how many layers.
        beta: weight of the KL term.
        batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.

    >>> TabularVAESettings(width=64).latent_dim
    16
    """

    latent_dim: int = 16
    width: int = 128
    depth: int = 2
    beta: float = 1.0
    batch_size: int = 256
    learning_rate: float = 5e-3


class RowNetwork(nn.Module):
    """Encoder and decoder of rows (n, d), and the log standard deviation of each number (d,).

    >>> sum(p.numel() for p in RowNetwork(3, TabularVAESettings(width=4, depth=1)).parameters())
    262
    """

    def __init__(self, d: int, settings: TabularVAESettings):
        super().__init__()
        hidden = [settings.width] * settings.depth
        self.encoder = mlp(d, *hidden, 2 * settings.latent_dim)
        self.decoder = mlp(settings.latent_dim, *hidden, d)
        self.log_sd = nn.Parameter(torch.zeros(d))


class TabularVAE(TableModel):
    """Encoder and decoder of encoded rows, each an MLP; one standard deviation for each number.

    A row's loss is -ELBO: `block_loss` of the decoder's output, plus beta KL(q(z|x) || N(0, I)).
    Rows are drawn from p(x|z), with its noise: categories by their probabilities, numbers with
    their standard deviations.

    Args:
        encoder: how rows become numbers; a `TableEncoder` that need not be fitted.
        settings: see `TabularVAESettings`; its defaults unless given.

    >>> frame = pd.DataFrame({"x": np.arange(40.0), "kind": ["a", "b"] * 20})
    >>> TabularVAE().fit(frame, steps=2).sample(3, seed=1).shape
    (3, 2)
    """

    def __init__(
        self,
        encoder: TableEncoder | None = None,
        settings: TabularVAESettings | None = None,
    ):
        self.encoder = encoder or TableEncoder()
        self.settings = settings or TabularVAESettings()

    def fit(self, frame: pd.DataFrame, *, steps: int = 1000, seed: int = 0) -> "TabularVAE":
        """Fit the encoder and train; the same seed gives the same model.

        Raises:
            ValueError: what `TableEncoder.fit` raises.
        """
        finish(self.training(frame, steps=steps, seed=seed))
        return self

    def training(self, frame: pd.DataFrame, *, steps: int = 1000, seed: int = 0) -> Iterator[Step]:
        """As `fit`, but yields every step, between which the model may draw.

        Its losses are "reconstruction" and "kl", in nats.
        """
        x = torch.from_numpy(self.encoder.fit(frame).encode(frame))
        self.table = frame.head(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = RowNetwork(self.encoder.width, self.settings)
        noise = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(
            self.network.parameters(), self.settings.learning_rate, fused=True
        )

        def step(x: Tensor) -> dict[str, float]:
            mu, log_var = self.network.encoder(x).chunk(2, dim=1)
            z = reparameterize(mu, log_var, torch.randn(mu.shape, generator=noise))
            output = self.network.decoder(z)
            # No sharper than a hundredth: a number that follows from others has a likelihood that
            # grows without bound.
            log_sd = self.network.log_sd.clamp(min=np.log(0.01))
            reconstruction = block_loss(output, x, self.encoder.blocks, log_sd).mean()
            kl = kl_divergence(mu, log_var).mean()
            gradient_step(reconstruction + self.settings.beta * kl, optimizer)
            return {"reconstruction": reconstruction.item(), "kl": kl.item()}

        yield from training_loop(
            step,
            (x,),
            steps=steps,
            batch_size=self.settings.batch_size,
            seed=seed,
            optimizers=[optimizer],
            lr_schedule="cosine",
            label="training the VAE",
        )

    @torch.no_grad()
    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        z = torch.randn(n, self.settings.latent_dim, generator=noise)
        x = self._rows(z, noise)
        return self.encoder.decode(x.numpy(), seed=int(rng.integers(2**32)))

    @torch.no_grad()
    def _fill(
        self, rows: pd.DataFrame, blank: np.ndarray, rng: np.random.Generator
    ) -> pd.DataFrame:
        # Pseudo-Gibbs sampling (Rezende et al. 2014, arXiv 1401.4082, section 5 and appendix F): encode the
        # row as it is, decode it, keep what is known, and take what is drawn in place of the rest.
        noise = torch.Generator().manual_seed(int(rng.integers(2**63)))
        free, barred = blanks(self.encoder, blank)
        known = torch.from_numpy(self.encoder.encode(rows))
        z = torch.randn(len(rows), self.settings.latent_dim, generator=noise)
        x = torch.where(free, self._rows(z, noise, barred), known)
        for _ in range(ROUNDS):
            mu, log_var = self.network.encoder(x).chunk(2, dim=1)
            z = reparameterize(mu, log_var, torch.randn(mu.shape, generator=noise))
            x = torch.where(free, self._rows(z, noise, barred), known)
        return self.encoder.decode(x.numpy(), seed=int(rng.integers(2**32)))

    def _rows(self, z: Tensor, noise: torch.Generator, barred: Tensor | None = None) -> Tensor:
        """Encoded rows (n, d) drawn from p(x|z); `barred` (n, d) are states that must not be drawn."""
        output = self.network.decoder(z)
        if barred is not None:
            output = output.masked_fill(barred, -torch.inf)
        x = torch.zeros_like(output)
        for block in self.encoder.blocks:
            here = output[:, block.slice]
            if block.kind == "category":
                state = torch.multinomial(here.softmax(dim=1), 1, generator=noise)
                x[:, block.slice] = x[:, block.slice].scatter(1, state, 1.0)
            else:
                sd = self.network.log_sd[block.slice].exp().clamp(min=0.01)
                x[:, block.slice] = here + sd * torch.randn(here.shape, generator=noise)
                if block.present is not None:
                    x[:, block.slice] *= x[:, block.present].sum(dim=1, keepdim=True)
        return x
