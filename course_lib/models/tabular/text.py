"""A text in a table's column: word after word, given the rest of the row.

A recurrent network (GRU, Cho et al. 2014, arXiv 1406.1078) that begins with the encoded row in its memory.
"""

from collections import Counter

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from course_lib.models.tabular.encoding import TableEncoder
from course_lib.syllabus import unknown
from course_lib.training import finish, gradient_step, training_loop

SHARED = 5  # a word that fewer texts have is left out: it may name somebody
LONGEST = 60  # words
END = 0  # the state of a text that has ended; before the first word it is the start


class Writer(nn.Module):
    """Scores of the next word, from the words before it and the row.

    >>> Writer(row=3, words=7, width=8)(torch.zeros(2, 3), torch.zeros(2, 5, dtype=torch.long)).shape
    torch.Size([2, 5, 7])
    """

    def __init__(self, row: int, words: int, width: int):
        super().__init__()
        self.begin = nn.Sequential(nn.Linear(row, width), nn.SiLU(), nn.Linear(width, width))
        self.embed = nn.Embedding(words, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.say = nn.Linear(2 * width, words)

    def forward(self, rows: Tensor, before: Tensor) -> Tensor:
        """Rows (n, d) and the words before each place (n, length) -> logits (n, length, words)."""
        start = self.begin(rows)
        memory, _ = self.gru(self.embed(before), torch.tanh(start)[None].contiguous())
        told = start[:, None].expand_as(memory)  # so that no place has to remember the row
        return self.say(torch.cat([memory, told], dim=2))


class TextColumn:
    """Writes a column of texts for rows that have the other columns.

    Punctuation is kept as part of a word. A word that fewer than five texts have is left out of what is
    learnt, so it is never written: a rare word may be a name.

    Args:
        column: which column holds the texts.
        width: units of the network.

    >>> table = pd.DataFrame({"kind": ["flat", "boat"] * 20, "advert": ["a small flat", "a boat"] * 20})
    >>> texts = TextColumn("advert").fit(table, steps=2).write(table.head(3))
    >>> len(texts)
    3
    """

    def __init__(self, column: str, width: int = 64):
        self.column, self.width = column, width

    def fit(self, table: pd.DataFrame, *, steps: int = 600, seed: int = 0) -> "TextColumn":
        """Learn from a table that has the column and at least one other one.

        Raises:
            ValueError: for a column that is absent, missing texts, texts without a word that five of
                them have, or what `TableEncoder.fit` raises about the other columns.
        """
        if self.column not in table:
            raise ValueError(unknown("column", self.column, list(table)))
        texts = table[self.column]
        if texts.isna().any():
            raise ValueError(
                f"{texts.isna().sum():,} texts of '{self.column}' are missing: leave them out."
            )
        others = table.drop(columns=self.column)
        self.encoder = TableEncoder().fit(others)
        rows = torch.from_numpy(self.encoder.encode(others))
        counts = Counter(word for text in texts for word in set(text.split()))
        self.words = ["", *sorted(word for word, many in counts.items() if many >= SHARED)]
        if len(self.words) == 1:
            raise ValueError(
                f"No word stands in {SHARED} texts of '{self.column}': nothing can be learnt."
            )
        code = {word: i for i, word in enumerate(self.words)}
        said = [[code[w] for w in text.split() if w in code][:LONGEST] for text in texts]
        length = max(map(len, said)) + 1
        target = torch.full((len(said), length), END)
        counted = torch.zeros(len(said), length, dtype=torch.bool)
        for i, words in enumerate(said):
            target[i, : len(words)] = torch.tensor(words)
            counted[i, : len(words) + 1] = True
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = Writer(rows.shape[1], len(self.words), self.width)
        optimizer = torch.optim.Adam(self.network.parameters(), 5e-3, fused=True)

        def step(rows: Tensor, target: Tensor, counted: Tensor) -> float:
            before = torch.cat([torch.zeros_like(target[:, :1]), target[:, :-1]], dim=1)
            logits = self.network(rows, before)
            return gradient_step(cross_entropy(logits[counted], target[counted]), optimizer)

        finish(
            training_loop(
                step,
                (rows, target, counted),
                steps=steps,
                batch_size=128,
                seed=seed,
                optimizers=[optimizer],
                lr_schedule="cosine",
                label="training the writer",
            )
        )
        return self

    @torch.no_grad()
    def write(self, table: pd.DataFrame, seed: int = 0) -> pd.Series:
        """A text for each row of a table with the other columns.

        Raises:
            ValueError: before `fit`, and what `TableEncoder.encode` raises.
        """
        if not hasattr(self, "network"):
            raise ValueError("The writer has seen no table yet: call `fit` first.")
        rows = torch.from_numpy(self.encoder.encode(table))
        chance = torch.Generator().manual_seed(seed)
        start = self.network.begin(rows)
        memory = torch.tanh(start)[None].contiguous()
        word = torch.zeros(len(rows), 1, dtype=torch.long)
        going = torch.ones(len(rows), 1, dtype=torch.bool)
        written = []
        for _ in range(LONGEST):
            out, memory = self.network.gru(self.network.embed(word), memory)
            logits = self.network.say(torch.cat([out[:, 0], start], dim=1))
            word = torch.multinomial(logits.softmax(dim=1), 1, generator=chance) * going
            going = going & (word != END)
            written.append(word)
            if not going.any():
                break
        names = np.array(self.words, object)
        texts = [" ".join(names[line]).strip() for line in torch.cat(written, dim=1).numpy()]
        return pd.Series(texts, index=table.index, name=self.column)
