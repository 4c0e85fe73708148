"""A diffusion model of tables: numbers and one-hot categories in one Gaussian process.

The encoded row is noised as a whole, as in DDPM (see `course_lib.models.diffusion`). Of a number the
network predicts the velocity; of a category it predicts the probabilities of the states given x_t,
learnt by cross-entropy, whose mean is the clean one-hot to step towards (Dieleman et al. 2022,
"Continuous diffusion for categorical data", arXiv 2211.15089, section 3). TabDDPM (Kotelnikov et al.
2023, arXiv 2209.15421) noises categories by a multinomial process instead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from course_lib.models.diffusion import (
    Denoiser,
    cosine_schedule,
    ddim_step,
    from_velocity,
    q_sample,
    velocity,
)
from course_lib.models.tabular.encoding import TableEncoder, blanks
from course_lib.models.tabular.loss import block_loss
from course_lib.models.tabular.sampling import TableModel
from course_lib.syllabus import Settings
from course_lib.training import Step, ema_of, finish, gradient_step, training_loop

TIMES = 1000  # steps of the noising process
RESAMPLED = 8  # times that rows are noised and denoised again, when some of their values are known


@dataclass(frozen=True, kw_only=True)
class TabularDiffusionSettings(Settings):
    """How a `TabularDiffusion` is made and trained, and how it draws.

    Attributes:
        width, depth: units in each block of the network, and how many blocks.
        batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.
        ema_decay: of the moving average of the weights, from which rows are drawn.
        sampling_steps: evaluations of the network for each row.

    >>> TabularDiffusionSettings(width=64).sampling_steps
    20
    """

    width: int = 128
    depth: int = 2
    batch_size: int = 256
    learning_rate: float = 5e-3
    ema_decay: float = 0.99
    sampling_steps: int = 20


class TabularDiffusion(TableModel):
    """A residual MLP that denoises encoded rows, and a deterministic sampler of the second order.

    Args:
        encoder: how rows become numbers; a `TableEncoder` that need not be fitted.
        settings: see `TabularDiffusionSettings`; its defaults unless given.

    >>> frame = pd.DataFrame({"x": np.arange(40.0), "kind": ["a", "b"] * 20})
    >>> TabularDiffusion().fit(frame, steps=2).sample(3, seed=1).shape
    (3, 2)
    """

    def __init__(
        self,
        encoder: TableEncoder | None = None,
        settings: TabularDiffusionSettings | None = None,
    ):
        self.encoder = encoder or TableEncoder()
        self.settings = settings or TabularDiffusionSettings()
        self.alpha_bar = cosine_schedule(TIMES)

    def fit(self, frame: pd.DataFrame, *, steps: int = 1000, seed: int = 0) -> "TabularDiffusion":
        """Fit the encoder and train; the same seed gives the same model.

        Raises:
            ValueError: what `TableEncoder.fit` raises.
        """
        finish(self.training(frame, steps=steps, seed=seed))
        return self

    def training(self, frame: pd.DataFrame, *, steps: int = 1000, seed: int = 0) -> Iterator[Step]:
        """As `fit`, but yields every step, between which the model may draw, with its loss."""
        x = torch.from_numpy(self.encoder.fit(frame).encode(frame))
        self.table = frame.head(0)
        settings = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = Denoiser(settings.width, settings.depth, pixels=self.encoder.width)
        chance = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, (0.9, 0.99), fused=True
        )
        numbers, ema = self.numbers, ema_of(self.network, settings.ema_decay)

        def step(x_0: Tensor) -> float:
            # One time in each n-th of the range instead of n independent ones: a steadier loss.
            spread = torch.arange(len(x_0)) + torch.rand(len(x_0), generator=chance)
            t = (spread / len(x_0) * TIMES).long().clamp(max=TIMES - 1) + 1
            noise = torch.randn(x_0.shape, generator=chance)
            x_t = q_sample(x_0, self.alpha_bar[t], noise)
            target = torch.where(numbers, velocity(x_0, self.alpha_bar[t], noise), x_0)
            loss = block_loss(self.network(x_t, t / TIMES), target, self.encoder.blocks)
            return gradient_step(loss.mean(), optimizer)

        yield from training_loop(
            step,
            (x,),
            steps=steps,
            batch_size=settings.batch_size,
            seed=seed,
            optimizers=[optimizer],
            lr_schedule="cosine",
            ema=ema,
            label="training the diffusion model",
        )
        self.network.load_state_dict(ema.module.state_dict())

    @property
    def numbers(self) -> Tensor:
        """Which encoded columns are numbers, (d,) bool."""
        is_number = torch.zeros(self.encoder.width, dtype=torch.bool)
        for block in self.encoder.blocks:
            is_number[block.slice] = block.kind == "number"
        return is_number

    def denoise(self, x_t: Tensor, t: int, barred: Tensor | None = None) -> Tensor:
        """The mean of the clean rows given x_t at the time t, (n, d) both.

        `barred` (n, d) are states of categories that the rows are known not to have.
        """
        output = self.network(x_t, torch.full((len(x_t),), t / TIMES))
        x_0, _ = from_velocity(x_t, output, self.alpha_bar[t].expand(len(x_t)))
        if barred is not None:
            output = output.masked_fill(barred, -torch.inf)
        for block in self.encoder.blocks:
            if block.kind == "category":
                x_0[:, block.slice] = output[:, block.slice].softmax(dim=1)
            elif block.present is not None:
                # E[x_0 | x_t] = P(it applies | x_t) E[x_0 | x_t, it applies]: else it is 0.
                x_0[:, block.slice] *= x_0[:, block.present].sum(dim=1, keepdim=True)
        return x_0

    @torch.no_grad()
    def _draw(self, n: int, rng: np.random.Generator) -> pd.DataFrame:
        chance = torch.Generator().manual_seed(int(rng.integers(2**63)))
        x_0 = self._walk(torch.randn(n, self.encoder.width, generator=chance), TIMES)
        return self.encoder.decode(x_0.numpy(), seed=int(rng.integers(2**32)))

    @torch.no_grad()
    def _fill(
        self, rows: pd.DataFrame, blank: np.ndarray, rng: np.random.Generator
    ) -> pd.DataFrame:
        # Replacement with resampling (Lugmayr et al. 2022, RePaint, arXiv 2201.09865): on the way back the
        # known entries are those of the noised row. Going forth again with fresh noise, from ever
        # smaller times, and back lets the rest fit what is known.
        chance = torch.Generator().manual_seed(int(rng.integers(2**63)))
        free, barred = blanks(self.encoder, blank)
        known = torch.from_numpy(self.encoder.encode(rows))
        x_t = torch.randn(known.shape, generator=chance)
        x_0 = self._walk(x_t, TIMES, known, free, barred)
        for start in torch.linspace(0.9 * TIMES, 0.3 * TIMES, RESAMPLED).round().long().tolist():
            noise = torch.randn(known.shape, generator=chance)
            x_t = q_sample(x_0, self.alpha_bar[start].expand(len(x_0)), noise)
            x_0 = self._walk(x_t, start, known, free, barred)
        return self.encoder.decode(x_0.numpy(), seed=int(rng.integers(2**32)))

    def _walk(
        self,
        x: Tensor,
        start: int,
        known: Tensor | None = None,
        free: Tensor | None = None,
        barred: Tensor | None = None,
    ) -> Tensor:
        """Clean rows from x (n, d) at the time `start`; entries that are not free stay as known."""
        steps = max(2, round(self.settings.sampling_steps * start / TIMES))
        times = torch.linspace(start, 0, steps + 1).round().long().tolist()
        log_snr = 0.5 * torch.log(self.alpha_bar / (1 - self.alpha_bar))
        before = None
        for t, s in pairwise(times):
            x_0 = self.denoise(x, t, barred)
            if known is not None and free is not None:
                x_0 = torch.where(free, x_0, known)
            ahead = x_0
            if before is not None and s:
                # DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2): x_0 as it will be
                # half a step ahead. DDIM without it needs five times the steps for as good rows.
                last, u = before
                r = (log_snr[t] - log_snr[u]) / (log_snr[s] - log_snr[t])
                ahead = x_0 + (x_0 - last) / (2 * r)
            before = x_0, t
            noise = (x - self.alpha_bar[t].sqrt() * ahead) / (1 - self.alpha_bar[t]).sqrt()
            x = ddim_step(ahead, noise, self.alpha_bar[s])
        return x_0
