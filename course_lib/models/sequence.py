"""An autoregressive model of sequences of payments: step after step, and within a step field after field.

Each field is cut into bins of equal counts, so that the model says a distribution of any shape. A recurrent
network (GRU, Cho et al. 2014, arXiv 1406.1078) remembers the steps before; the fields of a step are
drawn in their order, each given those before it, as in MADE (Germain et al. 2015, arXiv 1502.03509).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from course_lib.training import finish, gradient_step, training_loop

LEFT_OUT = -100  # what cross_entropy passes over


class Bins:
    """One field (n,) of numbers as whole numbers: its levels, or `most` bins with about equal counts.

    >>> Bins(np.arange(100.0), 4).codes(np.array([0.0, 30.0, 99.0]))
    array([0, 1, 3])
    """

    def __init__(self, values: np.ndarray, most: int):
        self.levels = np.unique(values)
        self.few = len(self.levels) <= most
        if not self.few:
            self.levels = np.unique(np.quantile(values, np.linspace(0, 1, most + 1)))
        self.count = len(self.levels) - (0 if self.few else 1)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value, (n,); values outside of the range go to the outermost bin."""
        if self.few:
            return np.clip(np.searchsorted(self.levels, values), 0, self.count - 1)
        return np.clip(np.searchsorted(self.levels, values, side="right") - 1, 0, self.count - 1)

    def values(self, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A value for each code, (n,): the level, or any place within the bin."""
        if self.few:
            return self.levels[codes]
        low, high = self.levels[codes], self.levels[codes + 1]
        return low + rng.random(len(codes)) * (high - low)


class Network(nn.Module):
    """Scores for each field of each step, from the steps and the fields before it.

    >>> logits = Network([3, 2], width=8)(torch.zeros(5, 4, 2, dtype=torch.long))
    >>> [tuple(part.shape) for part in logits]
    [(5, 5, 4), (5, 5, 2)]
    """

    def __init__(self, counts: Sequence[int], width: int):
        super().__init__()
        self.past = nn.ModuleList(nn.Embedding(count, width) for count in counts)
        self.beside = nn.ModuleList(nn.Embedding(count, width) for count in counts)
        self.gru = nn.GRU(width, width, batch_first=True)
        # The first field has one state more: the sequence has ended.
        ends = [count + (i == 0) for i, count in enumerate(counts)]
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in ends)

    def forward(self, codes: Tensor) -> list[Tensor]:
        """codes (n, steps, fields) -> for each field logits (n, steps + 1, states), one step ahead."""
        after, _ = self.gru(self.embed(codes))
        state = torch.cat([torch.zeros_like(after[:, :1]), after], dim=1)
        now = torch.cat([codes, torch.zeros_like(codes[:, :1])], dim=1)
        said = []
        for i, head in enumerate(self.heads):
            said.append(head(torch.tanh(state)))
            state = state + self.beside[i](now[..., i])
        return said

    def embed(self, codes: Tensor) -> Tensor:
        """codes (n, steps, fields) -> what the recurrent network reads, (n, steps, width)."""
        return torch.stack([part(codes[..., i]) for i, part in enumerate(self.past)]).sum(dim=0)


class SequenceModel:
    """Learns p(sequence) = product over steps and fields of p(field | steps before, fields before).

    Args:
        bins: the most states of a field.
        width: units of the recurrent network.

    >>> lives = [np.array([[0.0, 1.0], [1.0, 2.0]])] * 8
    >>> model = SequenceModel(width=8).fit(lives, steps=3)
    >>> len(model.sample(2, seed=1)), model.log_likelihood(lives).shape
    (2, (8,))
    """

    def __init__(self, bins: int = 16, width: int = 48):
        self.bins, self.width = bins, width

    def fit(
        self,
        sequences: Sequence[np.ndarray],
        *,
        steps: int = 600,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        seed: int = 0,
    ) -> "SequenceModel":
        """Learn from sequences, each (its length, fields); the same seed gives the same model.

        Raises:
            ValueError: for no sequences, or one without a step.
        """
        if not len(sequences) or not min(map(len, sequences)):
            raise ValueError(
                "The model learns from at least one sequence, each of at least one step."
            )
        flat = np.concatenate(sequences)
        self.fields = [Bins(column, self.bins) for column in flat.T]
        self.longest = max(map(len, sequences))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = Network([field.count for field in self.fields], self.width)
        optimizer = torch.optim.Adam(self.network.parameters(), learning_rate, fused=True)
        codes, lengths = self._coded(sequences)

        def step(codes: Tensor, lengths: Tensor) -> float:
            return gradient_step(self._losses(codes, lengths).mean(), optimizer)

        finish(
            training_loop(
                step,
                (codes, lengths),
                steps=steps,
                batch_size=min(batch_size, len(codes)),
                seed=seed,
                optimizers=[optimizer],
                lr_schedule="cosine",
                label="training the sequence model",
            )
        )
        return self

    @torch.no_grad()
    def log_likelihood(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """The log probability of each sequence's bins, in nats, (n,)."""
        return -self._losses(*self._coded(sequences)).numpy().astype(float)

    @torch.no_grad()
    def sample(self, n: int, *, seed: int = 0) -> list[np.ndarray]:
        """Draw `n` sequences, none longer than the longest that was learnt."""
        chance, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
        state, hidden = torch.zeros(n, self.width), None
        lengths, drawn = torch.full((n,), self.longest), []
        for place in range(self.longest):
            now = torch.zeros(n, 1, len(self.fields), dtype=torch.long)
            for i, field in enumerate(self.fields):
                logits = self.network.heads[i](torch.tanh(state))
                if place == 0:
                    logits = logits[:, : field.count]  # no sequence ends before it begins
                code = torch.multinomial(logits.softmax(dim=1), 1, generator=chance)[:, 0]
                if i == 0:
                    ends = (code == field.count) & (lengths > place)
                    lengths = torch.where(ends, place, lengths)
                    code = code.clamp(max=field.count - 1)
                now[:, 0, i] = code
                state = state + self.network.beside[i](code)
            after, hidden = self.network.gru(self.network.embed(now), hidden)
            state = after[:, 0]
            values = [f.values(now[:, 0, i].numpy(), rng) for i, f in enumerate(self.fields)]
            drawn.append(np.stack(values, axis=1))
        lives = np.stack(drawn, axis=1)
        return [life[:length] for life, length in zip(lives, lengths.tolist(), strict=True)]

    def _coded(self, sequences: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Codes (n, longest, fields), padded with zeros, and lengths (n,)."""
        lengths = torch.tensor([len(life) for life in sequences])
        codes = torch.zeros(len(sequences), int(lengths.max()), len(self.fields), dtype=torch.long)
        for row, life in zip(codes, sequences, strict=True):
            for i, field in enumerate(self.fields):
                row[: len(life), i] = torch.from_numpy(field.codes(life[:, i]))
        return codes, lengths

    def _losses(self, codes: Tensor, lengths: Tensor) -> Tensor:
        """Minus the log probability of each sequence, (n,)."""
        place = torch.arange(codes.shape[1] + 1)
        inside, at_end = place < lengths[:, None], place == lengths[:, None]
        losses = torch.zeros(len(codes))
        for i, logits in enumerate(self.network(codes)):
            target = torch.cat([codes[..., i], torch.zeros_like(codes[:, :1, i])], dim=1)
            target = target.masked_fill(~inside, LEFT_OUT)
            if i == 0:
                target = target.masked_fill(at_end, self.fields[0].count)
            loss = cross_entropy(
                logits.transpose(1, 2), target, ignore_index=LEFT_OUT, reduction="none"
            )
            losses = losses + loss.sum(dim=1)
        return losses
