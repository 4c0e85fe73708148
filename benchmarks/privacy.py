"""What synthetic tables give away, over five seeds.

    python benchmarks/privacy.py TASK   # one of those below

`verbatim`: is a record's rare number found verbatim in the synthetic table? For each model of lesson
05, once with decoders that draw only numbers seen and once as they are by default, beside the distance
to the closest record. A third of the rows is learnt from, a third is the control, and a third tells how
common a value is; of the loans 6,000 rows are taken.

`references`: membership in a VAE of digits by its ELBO, by LiRA and by RMIA, with 14 reference models that
are trained together by vmap. Each digit of 1,197 is in half of the models.

`private`: trees that learn from private synthetic loans, of a tree of noisy marginals with and without the
label and of a VAE trained by DP-SGD, at four epsilons and delta 1e-5; and by which share of itself the
share of the smallest and of the largest group is wrong. 1,000 rows are public (cells and encoder come from
them), 5,000 private.

`lead`: the use of the tree with the label and of the VAE at epsilon 1 over ten other seeds, since few seeds
say little of a difference.

`attacked`: what the ratio of densities tells of the membership of 1,000 of these private rows, three seeds.

`diffusion`: the same use of a diffusion model of rows that is trained by DP-SGD, at epsilon 10 and 1.

`tuning`: the same use of the private VAE at epsilon 1 with one setting changed at a time, over three seeds.

`memorised`: how many of 1,000 samples of a VAE, a GAN and a diffusion model of digits, and of models of
tables, are copies of one of the 100 digits or 189 biopsies that they learnt from, after a short and after a
long training; beside as many records that they did not learn from; three seeds. The record is
written after each.

`one_run`: the lower bound of epsilon that 2,000 canaries prove about the DP-SGD of a VAE of loans, for an
honest step and for three mistakes, ten runs each.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from common import SEEDS, rounded, write
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from course_lib import datasets
from course_lib.models.diffusion import (
    Denoiser,
    MLPDiffusion,
    conditional_diffusion,
    q_sample,
    velocity,
)
from course_lib.models.gan import GANSettings, conditional_gan
from course_lib.models.layers import mlp
from course_lib.models.tabular import (
    GaussianCopula,
    IndependentColumns,
    TableEncoder,
    TableModel,
    TabularDiffusion,
    TabularDiffusionSettings,
    TabularVAE,
    TabularVAESettings,
    block_loss,
)
from course_lib.models.tabular.diffusion import TIMES
from course_lib.models.tabular.vae import RowNetwork
from course_lib.models.vae import VAESettings, conditional_vae, draw, kl_divergence
from course_lib.privacy import attacks, dp_sgd
from course_lib.privacy.accountant import epsilon_of, noise_for, rho_for, sampled_gaussian
from course_lib.privacy.marginals import Domain, NoisyMarginals
from course_lib.privacy.one_run import epsilon_at_least, guess

ROWS = {"breast_cancer": 567, "loans": 6000}
STEPS = 1000


def thirds(name: str, seed: int) -> list[pd.DataFrame]:
    """Rows to learn from, a control and a reference, drawn by the seed."""
    data = datasets.load(name)
    rows = pd.concat([data.train, data.held_out], ignore_index=True).drop(
        columns="default", errors="ignore"
    )
    order = np.random.default_rng(seed).permutation(len(rows))[: ROWS[name]]
    return [rows.iloc[part].reset_index(drop=True) for part in np.array_split(order, 3)]


def models(seen_only: bool) -> dict[str, TableModel]:
    return {
        "independent columns": IndependentColumns(seen_only),
        "Gaussian copula": GaussianCopula(seen_only),
        "VAE": TabularVAE(TableEncoder(seen_only=seen_only)),
        "diffusion": TabularDiffusion(TableEncoder(seen_only=seen_only)),
    }


def verbatim_run(name: str, seed: int) -> dict[str, dict]:
    """A row of figures for each model and decoder."""
    train, control, reference = thirds(name, seed)
    rows = {}
    for seen_only in (True, False):
        for model_name, model in models(seen_only).items():
            given = {"steps": STEPS, "seed": seed} if hasattr(model, "encoder") else {}
            made = model.fit(train, **given).sample(len(train), seed=seed + 1)
            scores = [attacks.verbatim_numbers(t, made, reference) for t in (train, control)]
            space = TableEncoder().fit(pd.concat([train, control, reference, made]))
            x_made = space.encode(made)
            near = [attacks.closest_record(space.encode(t), x_made) for t in (train, control)]
            decoder = "only numbers seen" if seen_only else "smoothed"
            rows[f"{name}: {model_name}, {decoder}"] = {
                "seed": seed,
                "auc": attacks.auc(*scores),
                "tpr_at_1_percent": attacks.tpr_at_fpr(*scores, 0.01),
                "closest_record_auc": attacks.auc(*near),
            }
    return rows


def verbatim() -> None:
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name in ROWS:
            for group, row in verbatim_run(name, seed).items():
                results.setdefault(group, []).append(row)
                print(group, rounded(row), flush=True)
    write("privacy_verbatim", SimpleNamespace(rows=ROWS, steps=STEPS), {}, results)


# --- reference models ----------------------------------------------------------------------------

MODELS, LATENTS, WIDTH, SHADOW_STEPS, BATCH = 15, 16, 256, 1500, 128


class DigitVAE(torch.nn.Module):
    """Lesson 01's VAE of 64 pixels with 17 grey levels, in its shortest form."""

    def __init__(self):
        super().__init__()
        self.encoder = mlp(64, WIDTH, 2 * LATENTS)
        self.decoder = mlp(LATENTS, WIDTH, 64)

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The ELBO of each digit in nats, (n,), without its constant; x (n, 64) in [0, 1]."""
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        z = mu + (0.5 * log_var).exp() * noise
        said = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none")
        return -16 * said.sum(dim=1) - kl_divergence(mu, log_var)


def shadows(x: torch.Tensor, inside: torch.Tensor, seed: int):
    """`MODELS` VAEs trained at once, each on its half of x: a function that gives ELBOs (models, n)."""
    torch.manual_seed(seed)
    nets = [DigitVAE() for _ in inside]
    parameters, _ = torch.func.stack_module_state(nets)
    optimizer = torch.optim.Adam(list(parameters.values()), 2e-3)
    own = torch.stack([side.nonzero()[:, 0] for side in inside])

    def elbo(p, x, noise):
        return torch.func.functional_call(nets[0], p, (x, noise))

    many = torch.func.vmap(elbo)
    for step in range(SHADOW_STEPS):
        rows = own.gather(1, torch.randint(own.shape[1], (len(own), BATCH)))
        noise = torch.randn(len(own), BATCH, LATENTS)
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 + np.cos(np.pi * step / SHADOW_STEPS))
        optimizer.zero_grad()
        (-many(parameters, x[rows], noise).mean(dim=1).sum()).backward()
        optimizer.step()

    @torch.no_grad()
    def said(x: torch.Tensor, draws: int = 20) -> np.ndarray:
        same = torch.func.vmap(elbo, in_dims=(0, None, None))
        noise = torch.randn(draws, len(x), LATENTS)
        return torch.stack([same(parameters, x, eps) for eps in noise]).mean(dim=0).numpy()

    return said


def references() -> None:
    digits = datasets.load("digits")
    x, held = (torch.from_numpy(part.x).flatten(1) / 16 for part in (digits.train, digits.held_out))
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        half = np.arange(len(x)) < len(x) // 2
        inside = rng.permuted(np.tile(half, (MODELS, 1)), axis=1)
        said = shadows(x, torch.from_numpy(inside), seed)
        own, population = said(x), said(held)
        member = inside[0]
        scores = {"threshold": own[0]}
        known = inside[1:].any(axis=0) & ~inside[1:].all(axis=0)
        scores["LiRA, all references"] = attacks.lira(
            own[0][known], own[1:][:, known], inside[1:][:, known]
        )
        # Of each digit, the references that did not learn from it: the first two, or all.
        out = ~inside[1:]
        for name, used in (("two", out & (out.cumsum(axis=0) <= 2)), ("all", out)):
            theirs = population[1:3] if name == "two" else population[1:]
            scores[f"RMIA, {name} references"] = attacks.rmia(
                own[0], np.where(used, own[1:], np.nan), population[0], theirs
            )
        for name, score in scores.items():
            who = member[known] if len(score) < len(member) else member
            row = {
                "seed": seed,
                "auc": attacks.auc(score[who], score[~who]),
                "tpr_at_1_percent": attacks.tpr_at_fpr(score[who], score[~who], 0.01),
            }
            results.setdefault(name, []).append(row)
            print(name, rounded(row), flush=True)
    settings = SimpleNamespace(
        models=MODELS, latents=LATENTS, width=WIDTH, steps=SHADOW_STEPS, batch=BATCH
    )
    write("privacy_references", settings, {}, results)


# --- private generators --------------------------------------------------------------------------

EPSILONS, DELTA, PUBLIC, ATTACKED = (10, 3, 1, 0.3), 1e-5, 1000, 1000
MORE_SEEDS = range(5, 15)
RATE, DP_STEPS, BOUND, RATE_OF_ADAM = 0.1, 600, 1.0, 1e-2
SMALL = TabularVAESettings(latent_dim=4, width=48, depth=1)


class PrivateModel:
    """A model of tables with public scales, trained by DP-SGD on private rows."""

    model: TabularVAE | TabularDiffusion
    rate_of_adam, bound = RATE_OF_ADAM, BOUND

    def __init__(self, public: pd.DataFrame, seed: int):
        self.model = self.untrained(TableEncoder().fit(public))
        self.model.table = public.head(0)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model.network = self.network(self.model.encoder.width)
        self.chance = torch.Generator().manual_seed(seed)

    def fit(self, rows: pd.DataFrame, sigma: float, steps: int = DP_STEPS) -> "PrivateModel":
        x = torch.from_numpy(self.model.encoder.encode(rows))
        for gradients in self.gradients(x, steps):
            self.step(gradients, sigma * self.bound, RATE * len(x), self.bound)
        return self

    def gradients(self, x: torch.Tensor, steps: int, rate: float = RATE):
        """The clipped part's input: each step's gradients of its Poisson batch."""
        self.parameters = dict(self.model.network.named_parameters())
        self.optimizer = torch.optim.Adam(self.parameters.values(), self.rate_of_adam)
        for _ in range(steps):
            batch = x[dp_sgd.poisson_sample(len(x), rate, self.chance)]
            now = {name: value.detach() for name, value in self.parameters.items()}
            yield dp_sgd.per_example_gradients(self.loss, now, batch, *self.noise(batch))

    def step(self, gradients, sd: float, expected: float, bound: float):
        noise = dp_sgd.gaussian_noise(self.parameters, sd, self.chance)
        mean = dp_sgd.private_gradient(gradients, bound, noise, expected)
        for name, value in self.parameters.items():
            value.grad = mean[name]
        self.optimizer.step()
        return mean


class PrivateDiffusion(PrivateModel):
    """A `TabularDiffusion` with a small network."""

    rate_of_adam = 5e-3
    untrained = staticmethod(
        lambda encoder: TabularDiffusion(encoder, TabularDiffusionSettings(width=48, depth=1))
    )
    network = staticmethod(lambda width: Denoiser(48, 1, pixels=width))

    def noise(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        t = torch.randint(1, TIMES + 1, (len(batch),), generator=self.chance)
        return t, torch.randn(batch.shape, generator=self.chance)

    def loss(self, parameters, x, t, noise):
        """The loss of one row (d,) at the time t, as in `TabularDiffusion.training`."""
        alpha_bar = self.model.alpha_bar[t[None]]
        x_t = q_sample(x[None], alpha_bar, noise[None])
        target = torch.where(self.model.numbers, velocity(x[None], alpha_bar, noise[None]), x[None])
        given = (x_t, t[None] / TIMES)
        output = torch.func.functional_call(self.model.network, parameters, given)
        return block_loss(output, target, self.model.encoder.blocks)[0]


class PrivateVAE(PrivateModel):
    """A `TabularVAE` with a small network."""

    settings = SMALL

    def untrained(self, encoder: TableEncoder) -> TabularVAE:
        return TabularVAE(encoder, self.settings)

    def network(self, width: int) -> RowNetwork:
        return RowNetwork(width, self.settings)

    def noise(self, batch: torch.Tensor) -> tuple[torch.Tensor]:
        return (torch.randn(len(batch), self.settings.latent_dim, generator=self.chance),)

    def loss(self, parameters, x, noise):
        """-ELBO of one row (d,), with noise (latents,)."""

        def part(name, row):
            mine = {k[len(name) + 1 :]: v for k, v in parameters.items() if k.startswith(name)}
            return torch.func.functional_call(getattr(self.model.network, name), mine, (row,))

        mu, log_var = part("encoder", x[None]).chunk(2, dim=1)
        output = part("decoder", mu + (0.5 * log_var).exp() * noise)
        log_sd = parameters["log_sd"].clamp(min=np.log(0.01))
        return (
            block_loss(output, x[None], self.model.encoder.blocks, log_sd)
            + kl_divergence(mu, log_var)
        )[0]


def private_tables(seed: int, label: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """The private rows themselves, and the synthetic ones of each generator and epsilon."""
    public, secret = loans_by(seed)
    domain = Domain(public)
    yield "real rows", secret
    for epsilon in EPSILONS:
        rho = rho_for(epsilon, DELTA)
        sigma = noise_for(epsilon, DELTA, RATE, DP_STEPS)
        for name, column in (("with", label), ("without", None)):
            tree = NoisyMarginals(domain, column).fit(secret, rho, seed)
            yield f"marginals {name} the label, epsilon {epsilon}", tree.sample(5000, seed)
        vae = PrivateVAE(public, seed).fit(secret, sigma)
        yield f"DP-SGD VAE, epsilon {epsilon}", vae.model.sample(5000, seed)


def private() -> None:
    data = datasets.load("loans")
    held = data.held_out.drop(columns="default", errors="ignore")
    rows = data.train.drop(columns="default", errors="ignore")
    groups = rows[list(data.sensitive)].value_counts(normalize=True)
    results: dict[str, list[dict]] = {}
    for seed in SEEDS:
        for name, table in private_tables(seed, data.label):
            shares = table[list(data.sensitive)].value_counts(normalize=True)
            error = (shares.reindex(groups.index, fill_value=0) / groups - 1).abs()
            row = {
                "seed": seed,
                "auc": utility(table, held, data.label),
                "error_of_smallest_group": float(error.iloc[-1]),
                "error_of_largest_group": float(error.iloc[0]),
            }
            results.setdefault(name, []).append(row)
            print(name, rounded(row), flush=True)
    settings = SimpleNamespace(delta=DELTA, public=PUBLIC, rate=RATE, steps=DP_STEPS, bound=BOUND)
    write("privacy_private", settings, {}, results)


def lead() -> None:
    """The tree with the label and the VAE at epsilon 1, over seeds of their own."""
    data = datasets.load("loans")
    held = data.held_out.drop(columns="default", errors="ignore")
    rho, sigma = rho_for(1, DELTA), noise_for(1, DELTA, RATE, DP_STEPS)
    results: dict[str, list[dict]] = {"epsilon 1": []}
    for seed in MORE_SEEDS:
        public, secret = loans_by(seed)
        tree = NoisyMarginals(Domain(public), data.label).fit(secret, rho, seed)
        vae = PrivateVAE(public, seed).fit(secret, sigma)
        tables = {"tree": tree.sample(5000, seed), "vae": vae.model.sample(5000, seed)}
        use = {f"{name}_auc": utility(made, held, data.label) for name, made in tables.items()}
        row = {"seed": seed, **use, "lead": use["tree_auc"] - use["vae_auc"]}
        results["epsilon 1"].append(row)
        print(rounded(row), flush=True)
    settings = SimpleNamespace(delta=DELTA, public=PUBLIC, rate=RATE, steps=DP_STEPS, bound=BOUND)
    write("privacy_lead", settings, {"lead": (">=", 0.08)}, results)


def attacked() -> None:
    """What the ratio of densities tells of the membership of rows of the same tables."""
    data = datasets.load("loans")
    control = data.held_out.drop(columns="default", errors="ignore")[:ATTACKED]
    settings = SimpleNamespace(delta=DELTA, public=PUBLIC, attacked=ATTACKED)
    results: dict[str, list[dict]] = {}
    for seed in SEEDS[:3]:
        public, secret = loans_by(seed)
        people = (secret[:ATTACKED], control)
        space = TableEncoder().fit(pd.concat([*people, public]))
        known = space.encode(public)
        for name, table in private_tables(seed, data.label):
            made = space.encode(table)
            scores = [attacks.domias(space.encode(who), made, known, k=1) for who in people]
            row = {"seed": seed, "auc": attacks.auc(*scores)}
            row["tpr_at_1_percent"] = attacks.tpr_at_fpr(*scores, 0.01)
            results.setdefault(name, []).append(row)
            print(name, rounded(row), flush=True)
        write("privacy_attacked", settings, {}, results)


def loans_by(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """1,000 public loans and 5,000 private ones, drawn by the seed."""
    rows = datasets.load("loans").train.drop(columns="default", errors="ignore")
    shuffled = rows.sample(frac=1, random_state=seed, ignore_index=True)
    return shuffled[:PUBLIC], shuffled[PUBLIC:].reset_index(drop=True)


def diffusion() -> None:
    """DP-SGD on a diffusion model of rows."""
    data = datasets.load("loans")
    held = data.held_out.drop(columns="default", errors="ignore")
    results: dict[str, list[dict]] = {}
    for seed in SEEDS[:3]:
        public, secret = loans_by(seed)
        for epsilon in (10, 1):
            model = PrivateDiffusion(public, seed)
            model.fit(secret, noise_for(epsilon, DELTA, RATE, DP_STEPS))
            made = model.model.sample(5000, seed)
            row = {"seed": seed, "auc": utility(made, held, data.label)}
            results.setdefault(f"DP-SGD diffusion, epsilon {epsilon}", []).append(row)
            print(epsilon, rounded(row), flush=True)
    settings = SimpleNamespace(delta=DELTA, public=PUBLIC, rate=RATE, steps=DP_STEPS, bound=BOUND)
    write("privacy_diffusion", settings, {}, results)


# One change of the private VAE's settings each, at epsilon 1.
CHANGES = {
    "as recorded": {},
    "learning rate .001": {"rate_of_adam": 1e-3},
    "a network of lesson 05's size": {"settings": TabularVAESettings()},
    "bound 10": {"bound": 10.0},
}


def tuning() -> None:
    """What changes of the private VAE's settings do at epsilon 1."""
    data = datasets.load("loans")
    held = data.held_out.drop(columns="default", errors="ignore")
    results: dict[str, list[dict]] = {}
    for seed in SEEDS[:3]:
        public, secret = loans_by(seed)
        for name, change in CHANGES.items():
            model = type("Changed", (PrivateVAE,), change)(public, seed)
            private = model.fit(secret, noise_for(1, DELTA, RATE, DP_STEPS))
            made = private.model.sample(5000, seed)
            row = {"seed": seed, "auc": utility(made, held, data.label)}
            results.setdefault(name, []).append(row)
            print(name, rounded(row), flush=True)
    settings = SimpleNamespace(epsilon=1, delta=DELTA, public=PUBLIC, rate=RATE, steps=DP_STEPS)
    write("privacy_tuning", settings, {}, results)


def utility(table: pd.DataFrame, test: pd.DataFrame, label: str) -> float:
    """AUC on real rows of trees that learnt from `table`, as in lesson 05."""
    text = [name for name in test if not pd.api.types.is_numeric_dtype(test[name])]
    levels = {name: sorted(test[name].dropna().unique()) for name in text}

    def numbers(frame: pd.DataFrame) -> pd.DataFrame:
        coded = {name: pd.Categorical(frame[name], levels[name]).codes for name in text}
        return frame.assign(**coded).drop(columns=label).astype(float)

    trees = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.08, random_state=0)
    with threadpool_limits(1):
        trees.fit(numbers(table), table[label].astype(bool))
        said = trees.predict_proba(numbers(test))[:, 1]
    return float(roc_auc_score(test[label].astype(bool), said))


# --- audited from below --------------------------------------------------------------------------

CANARIES, GUESSES, RUNS, CLAIM = 2000, 200, 10, 1.0
AUDIT_STEPS, AUDIT_RATE, AUDIT_ROWS = 20, 0.5, 200


def one_run() -> None:
    rows = datasets.load("loans").train.drop(columns="default", errors="ignore")
    public, secret = rows[:PUBLIC], rows[PUBLIC : PUBLIC + AUDIT_ROWS]
    sigma = noise_for(CLAIM, DELTA, AUDIT_RATE, AUDIT_STEPS)
    claim = epsilon_of(sampled_gaussian(sigma, AUDIT_RATE, AUDIT_STEPS), DELTA)
    # bound that the step uses, and standard deviation of its noise, for a gradient bound of 1
    mistakes = {
        "honest": (BOUND, sigma),
        "no clipping": (np.inf, sigma),
        "noise four times too small": (BOUND, sigma / 4),
        "five times the bound": (5 * BOUND, sigma),
    }
    results: dict[str, list[dict]] = {}
    for seed in range(RUNS):
        for name, (bound, sd) in mistakes.items():
            right = audited(public, secret, bound, sd, seed)
            proved = epsilon_at_least(right, GUESSES, CANARIES, DELTA)
            row = {"seed": seed, "right": right, "epsilon_at_least": proved, "claim": claim}
            row["above_claim"] = float(proved > claim)
            results.setdefault(name, []).append(row)
            print(name, rounded(row), flush=True)
    settings = SimpleNamespace(
        canaries=CANARIES,
        guesses=GUESSES,
        steps=AUDIT_STEPS,
        rate=AUDIT_RATE,
        sigma=sigma,
        delta=DELTA,
    )
    write("privacy_one_run", settings, {}, results)


def audited(public: pd.DataFrame, secret: pd.DataFrame, bound: float, sd: float, seed: int) -> int:
    """Right guesses about canaries: gradients ten bounds long, each in a direction of its own."""
    vae, chance = PrivateVAE(public, seed), torch.Generator().manual_seed(1000 + seed)
    x = torch.from_numpy(vae.model.encoder.encode(secret))
    shapes = {name: value.shape for name, value in vae.model.network.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    canaries = F.normalize(torch.randn(CANARIES, sum(sizes), generator=chance), dim=1)
    inside = torch.rand(CANARIES, generator=chance) < 0.5
    scores = torch.zeros(CANARIES)
    for gradients in vae.gradients(x, AUDIT_STEPS, AUDIT_RATE):
        drawn = inside & (torch.rand(CANARIES, generator=chance) < AUDIT_RATE)
        parts = (10 * BOUND * canaries[drawn]).split(sizes, dim=1)
        with_canaries = {
            name: torch.cat([g, part.reshape(-1, *shapes[name])])
            for (name, g), part in zip(gradients.items(), parts, strict=True)
        }
        mean = vae.step(with_canaries, sd, AUDIT_RATE * len(x), bound)
        scores += canaries @ torch.cat([g.flatten() for g in mean.values()])
    return guess(scores.numpy(), inside.numpy(), GUESSES)


# --- memorisation --------------------------------------------------------------------------------

FEW_DIGITS, SHORT, LONG, MADE = 100, 300, 3000, 1000
ASKED_FOR = torch.arange(10).repeat_interleave(MADE // 10)


def digit_models(x: torch.Tensor, y: torch.Tensor, steps: int, seed: int):
    """Samples (1000, 64) of three models of digits trained for so many steps."""
    vae = VAESettings(width=192, depth=3, steps=steps, learning_rate=3e-3)
    adversarial = GANSettings(channels=16, steps=steps, learning_rate=3e-3, ema_decay=0.998)
    denoised = MLPDiffusion(
        width=192, batch_size=128, steps=steps, learning_rate=2e-3, ema_decay=0.99
    )
    model = conditional_vae(x, y, vae, seed=seed)
    yield "VAE", draw(model.sample(MADE, ASKED_FOR))
    yield "GAN", conditional_gan(x, y, adversarial, seed=seed).sample(MADE, ASKED_FOR)
    yield "diffusion", conditional_diffusion(x, y, denoised, seed=seed).sample(MADE, ASKED_FOR)


def copies(made: np.ndarray, learnt: np.ndarray, control: np.ndarray, seed: int) -> dict:
    """The shares of samples that copy a record that was learnt from, and one that was not."""
    found, by_luck = (attacks.copied_from(made, rows) for rows in (learnt, control))
    members, others = (
        attacks.domias(rows, made, np.concatenate([learnt, control]), k=2)
        for rows in (learnt, control)
    )
    return {
        "seed": seed,
        "copies": float((found >= 0).mean()),
        "copies_of_control": float((by_luck >= 0).mean()),
        "records_copied": len(np.unique(found[found >= 0])) / len(learnt),
        "membership_auc": attacks.auc(members, others),
    }


def memorised() -> None:
    digits = datasets.load("digits")
    x, y = (np.concatenate(both) for both in zip(digits.train, digits.held_out, strict=True))
    x, y = torch.from_numpy(x).flatten(1), torch.from_numpy(y)
    results: dict[str, list[dict]] = {}
    settings = SimpleNamespace(digits=FEW_DIGITS, biopsies=189, steps=[SHORT, LONG], samples=MADE)
    with tempfile.TemporaryDirectory() as state:
        os.environ["COURSE_STATE"] = state
        for seed in SEEDS[:3]:
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
            learnt, control = order[:FEW_DIGITS], order[FEW_DIGITS : 2 * FEW_DIGITS]
            train, others, _ = thirds("breast_cancer", seed)
            space = TableEncoder().fit(pd.concat([train, others]))
            for steps in (SHORT, LONG):
                for name, made in digit_models(x[learnt], y[learnt], steps, seed):
                    row = copies(made.numpy(), x[learnt].numpy(), x[control].numpy(), seed)
                    results.setdefault(f"digits: {name}, {steps} steps", []).append(row)
                    print(name, steps, rounded(row), flush=True)
                for name, model in (("VAE", TabularVAE()), ("diffusion", TabularDiffusion())):
                    made = model.fit(train, steps=steps, seed=seed).sample(MADE, seed=seed + 1)
                    row = copies(*map(space.encode, (made, train, others)), seed)
                    results.setdefault(f"biopsies: {name}, {steps} steps", []).append(row)
                    print(name, steps, rounded(row), flush=True)
            made = GaussianCopula().fit(train).sample(MADE, seed=seed + 1)
            row = copies(*map(space.encode, (made, train, others)), seed)
            results.setdefault("biopsies: Gaussian copula", []).append(row)
            write("privacy_memorised", settings, {}, results)


TASKS = {
    "verbatim": verbatim,
    "references": references,
    "private": private,
    "lead": lead,
    "attacked": attacked,
    "diffusion": diffusion,
    "tuning": tuning,
    "one_run": one_run,
    "memorised": memorised,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == [] or sys.argv[1] not in TASKS:
        sys.exit(f"python benchmarks/privacy.py {' | '.join(TASKS)}")
    TASKS[sys.argv[1]]()
