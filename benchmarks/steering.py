"""Steering towards a rare class, and what regularisation does for generalisation: ten and five runs.

Run in the course's environment, about twenty minutes on one core:

    python benchmarks/steering.py digits
    python benchmarks/steering.py variety
    python benchmarks/steering.py preferences
    python benchmarks/steering.py games
    python benchmarks/steering.py ring

Each writes its part of course_lib/mode_collapse/recorded/steering.json, and lesson 07 shows all of them.
What `variety` does for ten digits and `preferences` for five seeds, the lesson does live once.

Steering: in each of ten runs another digit is made rare, twelve images of about 120. Each way gives
108 images that are taken for the rare digit, whatever they show. Measured on held-out real digits.
Variety: the same ten digits and lesson 07's own networks. How varied are a hundred images that show the
target? Images that do not are left out, since scattered images of other digits lie near everything.
Preferences: five seeds of that lesson's base GAN, tuned to a reward that was learnt from pairs. The rater
of the pairs is the judge: an image is preferred if it is read with more confidence.
Generalisation: the same conditional networks trained by four games, five seeds each, on all digits.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import torch
from common import ASKED, Judged, provenance, rounded, split_of_lesson
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import SVC
from torch import Tensor

from course_lib.audit.fidelity import manifold_measures, vendi_score
from course_lib.datasets import load, random_shift
from course_lib.mode_collapse import RING, GANs, fit, image_gans, mode_counts, recipe, steering
from course_lib.mode_collapse.preference import reward_model, tuned
from course_lib.models import gan
from course_lib.models.classifier import DigitClassifier, digit_judge, train_judge
from course_lib.models.layers import from_grey_levels
from course_lib.syllabus import lesson
from course_lib.training import finish

KEEP, MADE, MANY = 12, 108, 1000
BASE = {
    "game": "stabilised",
    "gamma": 0.3,
    "latent_dim": 16,
    "channels": 32,
    "steps": 2000,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "beta_1": 0.0,
}
STEPS, EQUAL = (10, 30, 100, 500), 100  # fine-tuning is watched there, on so many images on target
PAIRS, COUNTED = 4500, 200  # of samples that a rater compares; of samples whose variety is measured
CLIMBS = [(30, 0.0), (100, 0.0), (200, 0.0), (200, 1.0)]  # steps up the reward, and the anchor
STEERED = {**BASE, "learning_rate": 1e-3, "steps": 1000}
SHARES = {0.5: (300,), 0.9: (300,), 1.0: (10, 30, 100, 300, 1000)}
COLLAPSED = {**STEERED, "game": "classical", "beta_1": 0.9, "steps": 100}
CALM = {**BASE, "ema_decay": 0.995}
GAMES = {
    "classical": {**CALM, "game": "classical"},
    "stabilised": CALM,
    "wasserstein": {**CALM, "game": "wasserstein", "gamma": 1.0},
    "classical, beta_1 = 0.9": {**CALM, "game": "classical", "beta_1": 0.9},
}
CORNER = 2  # modes of the ring's eight that make the target
RING_SHARES = (0.25, 0.5, 0.9)
RING_GAMES = {"vanilla": {"steps": 2000}, "WGAN-GP": {"steps": 3000, "ema_decay": 0.995}}
LEARNERS = {
    "svm": lambda: SVC(C=10),
    "logistic": lambda: LogisticRegression(C=0.05, max_iter=500),
}


class Run:
    """One digit made rare, and the figures of what each way makes of it."""

    def __init__(self, digit: int, judge: DigitClassifier):
        x, y, self.x_held, self.y_held = split_of_lesson()
        self.scarce = steering.scarce(x, y, digit, KEEP, seed=digit)
        self.judge = judge
        self.reference = self.x_held[self.y_held == digit]
        self.rows: list[dict] = []

    def add(self, way: str, made: Tensor | None, seconds: float = 0.0, **more) -> None:
        """Measure images (n, 64): the first 108 as they are, on target over all."""
        row = {"way": way, "digit": self.scarce.digit, "cpu_seconds": round(seconds, 1), **more}
        if made is not None:
            row |= self._images(made)
        row |= self._learners(None if made is None else made[:MADE])
        self.rows.append(rounded(row))

    def _images(self, made: Tensor) -> dict[str, float]:
        few = self.scarce.few
        unseen = torch.cdist(self.reference, few).amin(dim=1).median()
        return {
            "on_target": (self.judge.predict(made) == self.scarce.digit).float().mean().item(),
            "distance_to_the_few": (torch.cdist(made, few).amin(dim=1).median() / unseen).item(),
        }

    def _learners(self, made: Tensor | None) -> dict[str, float]:
        """Learners of the scarce digits and what was made, before held-out real digits."""
        scarce = self.scarce
        x, y = scarce.x, scarce.y
        if made is not None:
            x = torch.cat([x, made])
            y = torch.cat([y, torch.full((len(made),), scarce.digit)])
        row = {}
        for name, learner in LEARNERS.items():
            read = learner().fit(x.numpy() / 16, y.numpy()).predict(self.x_held.numpy() / 16)
            read = torch.from_numpy(read)
            rare = self.y_held == scarce.digit
            row[f"{name}_rare_recall"] = (read[rare] == scarce.digit).float().mean().item()
            row[f"{name}_false_alarms"] = (read[~rare] == scarce.digit).float().mean().item()
            row[f"{name}_balanced_accuracy"] = balanced_accuracy_score(self.y_held, read)
        return row


def steer(run: Run) -> None:
    """All ways for one run; the seed is the digit."""
    scarce, seed = run.scarce, run.scarce.digit
    run.add("nothing", None)
    run.add("hidden real images", scarce.hidden[:MADE])
    generator = torch.Generator().manual_seed(seed)
    again = scarce.few[torch.randint(KEEP, (MANY,), generator=generator)]
    run.add("resampling", again)
    torch.manual_seed(seed)
    run.add("shifted copies", random_shift(again, 8 / 9))
    run.add("SMOTE", steering.smote_sample(scarce.few, MANY, seed=seed))

    start = time.process_time()
    conditional, _ = trained(scarce.x, BASE, seed, y=scarce.y)
    drawn = conditional.sample(MANY, torch.full((MANY,), scarce.digit))
    run.add("conditional GAN", drawn, time.process_time() - start)

    start = time.process_time()
    base = trained(scarce.x, BASE, seed)
    seconds = time.process_time() - start
    states = [{k: v.clone() for k, v in net.state_dict().items()} for net in base]
    many = base[0].sample(20_000)
    share = (run.judge.predict(many) == scarce.digit).float().mean().item()

    start = time.process_time()
    classifier = train_judge(scarce.x, scarce.y, seed)

    @torch.no_grad()
    def likely(samples: Tensor) -> Tensor:
        return classifier(samples).softmax(dim=1)[:, scarce.digit]

    kept, draws = steering.reject(base[0].sample, likely, MADE, seed=seed)
    rejected = seconds + time.process_time() - start
    run.add("rejection", kept, rejected, draws=draws, kept=len(kept), share_before=share)

    for share, milestones in SHARES.items():
        weights = steering.importance_weights(scarce.y == scarce.digit, share)
        rows = scarce.x[steering.resample(weights, 20_000, seed)]
        for steps, made, more in steered(base, states, rows, STEERED, milestones, seed):
            name = "fine-tuning" if share == 1 else f"share {share:g}"
            run.add(f"{name}, {steps} steps", made, seconds + more)
    for steps, made, more in steered(base, states, scarce.few, COLLAPSED, (100,), seed):
        run.add(f"collapse, {steps} steps", made, seconds + more)


def trained(x: Tensor, settings: dict, seed: int, y: Tensor | None = None):
    """The generator and discriminator of a GAN of x, given y if there is any."""
    torch.manual_seed(seed)
    classes = 0 if y is None else int(y.max()) + 1
    settings = image_gans.ImageGANSettings.of(settings)
    pair = (
        gan.Generator(settings.latent_dim, settings.channels, classes),
        gan.Discriminator(settings.channels, classes),
    )
    finish(image_gans.fit(*pair, [x] if y is None else [x, y], settings, seed=seed))
    return pair


def steered(base, states, x, settings, milestones, seed) -> Iterator[tuple[int, Tensor, float]]:
    """Train on from the base GAN on x; steps, images and CPU seconds at each milestone."""
    for net, state in zip(base, states, strict=True):
        net.load_state_dict(state)
    torch.manual_seed(seed)
    seconds, start = 0.0, time.process_time()
    for step in image_gans.fit(*base, [x], image_gans.ImageGANSettings.of(settings), seed=seed):
        if step.number in milestones:
            seconds += time.process_time() - start
            yield step.number, base[0].sample(MANY), seconds
            start = time.process_time()
        if step.number == max(milestones):
            return


def generalise(name: str, settings: dict, seed: int) -> dict:
    """One conditional GAN of all digits: what it covers, copies and teaches."""
    data = split_of_lesson()
    x, y, x_held, y_held = data
    start = time.process_time()
    generator, _ = trained(x, settings, seed, y=y)
    seconds = time.process_time() - start
    figures = Judged(data, seed).figures(generator.sample(600, ASKED))
    taught = generator.sample(len(y), y)
    return {
        "game": name,
        "seed": seed,
        **figures,
        **taught_by(taught, y, x_held, y_held, x),
        "cpu_seconds": seconds,
    }


def taught_by(made: Tensor, y: Tensor, x_held: Tensor, y_held: Tensor, x: Tensor) -> dict:
    """Accuracy on held-out digits, plain, noisy and shifted, of learners of made digits alone and of
    made ones together with real ones."""
    noise = torch.randn(x_held.shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shifted = random_shift(x_held, 1.0)
    tests = {"": x_held, "_noisy": (x_held + 4 * noise).clamp(0, 16), "_shifted": shifted}
    sets = {"made_alone": (made, y), "made_and_real": (torch.cat([made, x]), y.repeat(2))}
    row = {}
    for name, (images_, labels) in sets.items():
        learner = SVC(C=10).fit(images_.numpy() / 16, labels.numpy())
        for kind, test in tests.items():
            row[name + kind] = learner.score(test.numpy() / 16, y_held.numpy())
    return row


def digits_made_rare() -> dict:
    """Ten runs, each with another digit made rare."""
    judge, rows = digit_judge(), []
    for digit in range(10):
        run = Run(digit, judge)
        steer(run)
        rows += run.rows
        print(digit, [(row["way"], row["svm_rare_recall"]) for row in run.rows], flush=True)
    settings = {
        "keep": KEEP,
        "made": MADE,
        "base": BASE,
        "steered": STEERED,
        "collapsed": COLLAPSED,
    }
    return {"settings": settings, "runs": rows}


def variety_on_target() -> dict:
    """Purity, and the variety of 100 images that show the target, while a GAN is fine-tuned."""
    judge, rows = digit_judge(), []
    for digit in range(10):
        rows += map(rounded, varied(digit, judge))
        print(digit, [(row["way"], row["recall"], row["vendi"]) for row in rows], flush=True)
    return {"settings": {"keep": KEEP, "equal": EQUAL, "steps": STEPS}, "runs": rows}


def varied(digit: int, judge: DigitClassifier) -> Iterator[dict]:
    """Lesson 07's fine-tuning with another rare digit, and the cheap ways; the seed is the digit."""
    preset = lesson("07_cure_and_steer").settings("cpu")
    x, y, x_held, y_held = split_of_lesson()
    scarce = steering.scarce(x, y, digit, KEEP, seed=digit)
    reference = x_held[y_held == digit]
    scale = torch.pdist(reference).median().item()

    def on_target(images: Tensor) -> Tensor:
        return (judge.predict(images) == digit).float()

    def measured(way: str, images: Tensor, purity: float, taken: Tensor) -> dict:
        """Of images (100, 64) on target; the same recall of images as they come, for comparison."""
        real = reference.numpy()
        found = manifold_measures(real, images.numpy())
        return {
            "way": way,
            "digit": digit,
            "purity": purity,
            **{name: found[name] for name in ("recall", "coverage", "precision")},
            "vendi": vendi_score(images.numpy(), scale / 2),
            "vendi_wide": vendi_score(images.numpy(), scale),
            "recall_of_all": manifold_measures(real, taken.numpy())["recall"],
        }

    generator = torch.Generator().manual_seed(digit)
    again = scarce.few[torch.randint(KEEP, (EQUAL,), generator=generator)]
    torch.manual_seed(digit)
    others = x[y != digit][torch.randperm(int((y != digit).sum()))[:EQUAL]]
    cheap = {
        "real images": scarce.hidden[:EQUAL],
        "resampling": again,
        "shifted copies": random_shift(again, 8 / 9),
        "SMOTE": steering.smote_sample(scarce.few, EQUAL, seed=digit),
        "real images of other digits": others,
    }
    for way, images in cheap.items():
        yield measured(way, images, on_target(images).mean().item(), images)

    networks = gan.Generator(16, 32), gan.Discriminator(32)
    base = networks[0]
    finish(image_gans.fit(*networks, [scarce.x], preset.base, seed=digit))

    def watched(steps: int) -> dict:
        images = base.sample(1000)
        kept, _ = steering.reject(base.sample, on_target, EQUAL, seed=digit)
        return measured(f"{steps} steps", kept, on_target(images).mean().item(), images[:EQUAL])

    yield watched(0)
    for step in image_gans.fit(*networks, [scarce.few], preset.tuned, seed=digit):
        if step.number in STEPS:
            yield watched(step.number)


def tuned_to_preferences() -> dict:
    """Five seeds of a base GAN, tuned to what a rater prefers, with and without an anchor."""
    judge, rows = digit_judge(), []
    for seed in range(5):
        rows += [rounded({"seed": seed, **row}) for row in preferred(seed, judge)]
        print(rows[-len(CLIMBS) - 1 :], flush=True)
    settings = {"pairs": PAIRS, "counted": COUNTED, "steps and anchor": CLIMBS}
    return {"settings": settings, "runs": rows}


def preferred(seed: int, judge: DigitClassifier) -> Iterator[dict]:
    """Lesson 07's base GAN before and after tuning: who prefers its samples to those before, and how
    varied a number of them are; neither needs a reference."""
    preset = lesson("07_cure_and_steer").settings("cpu")
    x, y, x_held, _ = split_of_lesson()
    torch.manual_seed(seed)
    networks = gan.Generator(16, 32), gan.Discriminator(32)
    base = networks[0]
    finish(
        image_gans.fit(
            *networks,
            [steering.scarce(x, y, preset.digit, KEEP, seed=seed).x],
            preset.base,
            seed=seed,
        )
    )
    width = torch.pdist(x_held[:300]).median().item() / 2

    @torch.no_grad()
    def clarity(images: Tensor) -> Tensor:
        return judge(images).log_softmax(dim=1).amax(dim=1)

    pair = base.sample(PAIRS), base.sample(PAIRS)
    first = (clarity(pair[0]) > clarity(pair[1]))[:, None]
    better, worse = torch.where(first, *pair), torch.where(first, *pair[::-1])
    reward = reward_model(better[:-500], worse[:-500], seed=seed)

    def rewards(images: Tensor) -> Tensor:
        return reward(from_grey_levels(images))

    agrees = (rewards(better[-500:]) > rewards(worse[-500:])).float().mean().item()
    before = base.sample(1000)
    for steps, anchor in [(0, 0.0), *CLIMBS]:
        images = tuned(base, reward, steps, anchor, seed=seed).sample(1000)
        shares = judge.predict(images).bincount(minlength=10) / len(images)
        yield {
            "steps": steps,
            "anchor": anchor,
            "reward prefers": (rewards(images) > rewards(before)).float().mean().item(),
            "rater prefers": (clarity(images) > clarity(before)).float().mean().item(),
            "vendi": vendi_score(images[:COUNTED].numpy(), width),
            "digits": torch.special.entr(shares).sum().exp().item(),
            "reward agrees with rater": agrees,
        }


def games_compared() -> dict:
    """Five seeds of each game, and what real digits alone teach."""
    x, y, x_held, y_held = split_of_lesson()
    rows = []
    for name, settings in GAMES.items():
        for seed in range(5):
            rows.append(rounded(generalise(name, settings, seed)))
            print(rows[-1], flush=True)
    real = rounded(taught_by(x, y, x_held, y_held, x))
    return {"settings": GAMES, "real digits": real, "runs": rows}


def ring_weighted() -> dict:
    """Ten seeds a game on the ring, the first two modes weighted up to ever larger shares."""
    ring = load("ring").train
    x, target = torch.from_numpy(ring.x), torch.from_numpy(ring.y) < CORNER
    rows = []
    for name, changes in RING_GAMES.items():
        for share in RING_SHARES:
            rows_drawn = steering.resample(steering.importance_weights(target, share), len(x))
            gans = GANs(recipe("ring", name, **changes), dimensions=2, seeds=range(10))
            finish(fit(gans, x[rows_drawn]))
            for seed, points in enumerate(gans.sample(2500)):
                nearest = mode_counts(points, RING.centres, np.inf)
                row = {"game": name, "share": share, "seed": seed}
                row["on_target"] = float(nearest[:CORNER].sum() / len(points))
                row["target_modes"] = int((nearest[:CORNER] > 25).sum())  # at least 1 % of all
                row["high_quality"] = RING.measure(points)["high_quality"]
                rows.append(rounded(row))
            print(name, share, [row["on_target"] for row in rows[-10:]], flush=True)
    return {"settings": {"games": RING_GAMES, "target_modes": CORNER}, "runs": rows}


PARTS = {
    "digits": digits_made_rare,
    "variety": variety_on_target,
    "preferences": tuned_to_preferences,
    "games": games_compared,
    "ring": ring_weighted,
}


def main(part: str) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        found = {**provenance(), **PARTS[part]()}
    report = json.loads(steering.RECORDED.read_text()) if steering.RECORDED.exists() else {}
    report[part] = found
    steering.RECORDED.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
