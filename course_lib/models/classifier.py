"""The judge: a small convolutional classifier of digits, trained on real ones.

It says which digit a generated image shows, and its features are the space in which generated and
real digits are compared. A judge makes mistakes, too: give its `accuracy` on held-out digits together
with its verdicts.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.datasets import load
from course_lib.datasets.augmentation import random_shift
from course_lib.syllabus import Settings
from course_lib.training import Step, fit_with_checkpoint, gradient_step, training_loop


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(Settings):
    """How the judge is trained.

    Attributes:
        steps, batch_size, learning_rate: of Adam; the rate falls to 0 along a cosine.
        shift: share of the images that are moved by a pixel in each step, see `random_shift`.

    >>> ClassifierSettings(steps=20).batch_size
    64
    """

    steps: int = 900
    batch_size: int = 64
    learning_rate: float = 2e-3
    shift: float = 0.5


SETTINGS = ClassifierSettings()


class DigitClassifier(nn.Module):
    """Three convolutions, 64 features, a class. Images are (n, side^2) or (n, side, side), 0 to 16.

    >>> judge = DigitClassifier().eval()
    >>> images = torch.zeros(5, 8, 8)
    >>> judge(images).shape, judge.features(images).shape, judge.predict(images).shape
    (torch.Size([5, 10]), torch.Size([5, 64]), torch.Size([5]))
    """

    def __init__(self, channels: int = 32, features: int = 64, dropout: float = 0.3, side: int = 8):
        super().__init__()
        self.side = side
        self.body = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.SiLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * channels * (side // 4) ** 2, features),
            nn.Tanh(),  # bounded features: no single image can dominate a distance
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the ten digits, (n, 10)."""
        return self.head(self._body(images))

    def _body(self, images: Tensor) -> Tensor:
        return self.body(images.reshape(-1, 1, self.side, self.side) / 8 - 1)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The features (n, 64) in which images are compared."""
        return self._body(images)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """The digit that each image is taken for, (n,)."""
        return self(images).argmax(dim=1)

    @torch.no_grad()
    def confidence(self, images: Tensor) -> Tensor:
        """The probability of the predicted digit, (n,)."""
        return self(images).softmax(dim=1).amax(dim=1)

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """The share of images (n, ...) that are taken for what they are, their labels (n,)."""
        return (self.predict(images) == labels).float().mean().item()


def balanced(images: Tensor, labels: Tensor, per_class: int, seed: int = 0) -> Tensor:
    """`per_class` random images of each class, class after class.

    >>> images, labels = torch.arange(6.0)[:, None], torch.tensor([1, 0, 1, 0, 1, 0])
    >>> balanced(images, labels, per_class=2).shape
    torch.Size([4, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in labels.unique():
        rows = (labels == label).nonzero()[:, 0]
        order = torch.randperm(len(rows), generator=generator, device="cpu")
        chosen.append(rows[order[:per_class].to(rows.device)])
    return images[torch.cat(chosen)]


def digit_judge(seed: int = 0, settings: ClassifierSettings | None = None) -> DigitClassifier:
    """The judge, from its checkpoint or trained now on the real training digits (a few seconds).

    >>> brief = digit_judge(settings=ClassifierSettings(steps=2))  # far too few
    >>> brief.predict(torch.zeros(5, 64)).shape
    torch.Size([5])
    """
    digits = load("digits").train
    x, y = torch.from_numpy(digits.x).flatten(1), torch.from_numpy(digits.y)
    return train_judge(x, y, seed, settings)


def train_judge(
    x: Tensor, y: Tensor, seed: int = 0, settings: ClassifierSettings | None = None
) -> DigitClassifier:
    """A judge trained on images x (n, side^2) of the classes y (n,), from its checkpoint if it has one.

    The global random generator is left as it was. Without `settings`, SETTINGS are used.

    >>> x, y = torch.rand(100, 784) * 16, torch.arange(100) % 10
    >>> train_judge(x, y, settings=ClassifierSettings(steps=2)).side
    28
    """
    settings = settings or SETTINGS
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        judge = DigitClassifier(side=math.isqrt(x.shape[1])).to(x.device)
        loop = _fit(judge, x, y, settings, seed)
        fit_with_checkpoint("digit_judge", judge, loop, settings=settings, data=(x, y), seed=seed)
    return judge


def _fit(
    judge: DigitClassifier, x: Tensor, y: Tensor, settings: ClassifierSettings, seed: int
) -> Iterator[Step]:
    optimizer = torch.optim.Adam(judge.parameters(), lr=settings.learning_rate, fused=True)

    def step(images: Tensor, labels: Tensor) -> float:
        loss = F.cross_entropy(judge(random_shift(images, settings.shift)), labels)
        return gradient_step(loss, optimizer)

    judge.train()
    yield from training_loop(
        step,
        (x, y),
        steps=settings.steps,
        batch_size=settings.batch_size,
        seed=seed,
        optimizers=[optimizer],
        lr_schedule="cosine",
        label="training the judge",
    )
