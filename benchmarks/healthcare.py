"""Lesson 12: effects, risks and transport from synthetic patients, over five seeds.

    python benchmarks/healthcare.py effect | risk | transport | private | images | small

`effect`: the effect of quitting on weight, from 30,000 rows of a copula, a VAE, a diffusion model and a
generator in causal order: without adjustment, by regression and by weights. Ablations: the treatment
alone drawn anew, given all else; a copula with corrected correlations; a VAE with a smaller weight of the
KL term; a causal order that forgets age. Five simulated cohorts, and NHEFS with five seeds of the models.

`risk`: a logistic regression of death, with deaths added until both classes are equal, as it is and
recalibrated on the real training rows. Five cohorts, and five splits of NHEFS.

`transport`: a model of heart disease from one hospital, real or synthetic, judged at three others, as it
is and recalibrated with 50 of their patients. Five draws of four simulated hospitals; five splits of Heart
Disease.

`private`: what noisy marginals leave of the effect, by epsilon, at delta = 1e-5. Ten cohorts.

`images`: a small convolutional network learns from 40 or 160 images whether there is a lesion, or
pneumonia (7x7, from a stand-in of PneumoniaMNIST): from these alone, with half of them shifted by up to a
pixel in every step, with as many real ones again, with as many images of a VAE or of lesson 03's
diffusion model, or with four times as many of the latter. All for the same number of steps. The ablation:
images of a diffusion model that learnt from all real ones at hand. Five seeds.

`small`: a risk model of scikit-learn's breast cancer (malignant) and diabetes (a disease that went further
than on average), which learns from real rows, or from ten times as many of a copula, a VAE or a diffusion
model. Five splits.
"""

import os
import sys
import tempfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from common import SEEDS, rounded, write
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from course_lib import datasets
from course_lib.datasets.patients import HOSPITALS, hospital_patients, smokers
from course_lib.models.classifier import ClassifierSettings, train_judge
from course_lib.models.clinical import (
    adjusted_effect,
    draw_in_causal_order,
    expected_over_observed,
    net_benefit,
    recalibrated,
    weighted_effect,
)
from course_lib.models.diffusion import MLPDiffusion, conditional_diffusion
from course_lib.models.tabular import (
    GaussianCopula,
    TabularDiffusion,
    TabularVAE,
    TabularVAESettings,
)
from course_lib.models.vae import VAESettings, conditional_vae, draw
from course_lib.privacy.accountant import rho_for
from course_lib.privacy.marginals import Domain, NoisyMarginals

ROWS, TEST, DRAWN, STEPS, LOCAL, THRESHOLD, DELTA = 1600, 4000, 30_000, 1000, 50, 0.2, 1e-5
SIZES, MANY = (40, 160), 4
# At the rate of the lessons' judge, 2e-3, four trainings of 36 came to nothing: one score for all images.
READER = ClassifierSettings(steps=300, learning_rate=1e-3, shift=0.0)
IMAGE_VAE = VAESettings(width=128, steps=700, learning_rate=2e-3)
# Of 500, 1,500 and 4,000 steps the first was worse, and the last two alike, on lesions of other seeds.
IMAGE_DIFFUSION = MLPDiffusion(width=128, depth=3, steps=2500, learning_rate=2e-3, ema_decay=0.99)
A, Y, DEATH = "quit", "weight_change", "died"


class Covariates:
    """Numbers of a table's covariates: standard scores, their squares, and categories but the first."""

    def __init__(self, table: pd.DataFrame, without: tuple[str, ...] = ()):
        x = table.drop(columns=[A, Y, DEATH, *without])
        numeric = [name for name in x if pd.api.types.is_numeric_dtype(x[name])]
        self.mean, self.sd = x[numeric].mean(), x[numeric].std()
        self.levels = {name: sorted(x[name].unique())[1:] for name in x if name not in numeric}

    def of(self, table: pd.DataFrame) -> np.ndarray:
        z = ((table[self.mean.index] - self.mean) / self.sd).to_numpy(float)
        told = [table[name] == level for name, levels in self.levels.items() for level in levels]
        return np.column_stack([z, z**2, *told]).astype(float)


class CorrectedCopula(GaussianCopula):
    """The copula, with each correlation divided by what ties have taken from it.

    The scores of a column with ties are middles of intervals. Their correlation with the normal variable
    behind them is below 1, and a correlation with the column is too small by this factor.
    """

    def fit(self, frame: pd.DataFrame) -> "CorrectedCopula":
        super().fit(frame)
        factors = []
        for marginal in self.marginals.values():
            upper = marginal.upper
            lower = np.concatenate([[0.0], upper[:-1]])
            density = norm.pdf(norm.ppf(np.stack([lower, upper])))
            middle = norm.ppf((lower + upper) / 2)
            share = upper - lower
            sd = np.sqrt(share @ middle**2 - (share @ middle) ** 2)
            factors.append(middle @ (density[0] - density[1]) / sd)
        correlation = self.root @ self.root.T / np.outer(factors, factors)
        np.fill_diagonal(correlation, 1.0)
        values, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(values.clip(min=0))
        self.root = root / np.linalg.norm(root, axis=1, keepdims=True)
        return self


def effects(table: pd.DataFrame, x: Covariates, seed: int) -> dict[str, float]:
    """The effect without adjustment, by regression, and by weights."""
    treated, outcome = table[A].to_numpy(float), table[Y].to_numpy(float)
    propensity = treatment_model(x.of(table), treated)
    naive = outcome[treated == 1].mean() - outcome[treated == 0].mean()
    return {
        "seed": seed,
        "naive": float(naive),
        "adjusted": adjusted_effect(treated, outcome, x.of(table)),
        "weighted": weighted_effect(treated, outcome, propensity(x.of(table))),
    }


def treatment_model(x: np.ndarray, treated: np.ndarray):
    model = LogisticRegression(C=1e3, max_iter=2000).fit(x, treated.astype(int))
    return lambda rows: model.predict_proba(rows)[:, 1]


def in_causal_order(
    real: pd.DataFrame, given: pd.DataFrame, x: Covariates, seed: int
) -> pd.DataFrame:
    """The covariates `given`, with treatment and outcome drawn anew by models of the real table."""
    rng = np.random.default_rng(seed)
    treated, outcome = real[A].to_numpy(float), real[Y].to_numpy(float)
    design = np.column_stack([np.ones(len(real)), treated, x.of(real)])
    weights = np.linalg.lstsq(design, outcome, rcond=None)[0]
    a, y = draw_in_causal_order(
        x.of(given),
        treatment_model(x.of(real), treated),
        lambda rows, a: np.column_stack([np.ones(len(rows)), a, rows]) @ weights,
        rng.random(len(given)),
        rng.choice(outcome - design @ weights, len(given)),
    )
    return given.assign(**{A: a == 1, Y: y})


def treatment_redrawn(
    real: pd.DataFrame, made: pd.DataFrame, x: Covariates, seed: int
) -> pd.DataFrame:
    """The rows `made`, with the treatment alone drawn anew from P(A | X, Y) of the real table."""

    def given(table):
        return np.column_stack([x.of(table), table[Y].to_numpy(float) / 8])

    model = treatment_model(given(real), real[A].to_numpy(float))
    chance = np.random.default_rng(seed).random(len(made))
    return made.assign(**{A: chance < model(given(made))})


def effect_run(table: pd.DataFrame, seed: int) -> dict[str, dict]:
    x = Covariates(table)
    how = {"steps": STEPS, "seed": seed}
    small = TabularVAESettings(beta=0.3)
    made = {
        "copula": GaussianCopula().fit(table),
        "copula, corrected": CorrectedCopula().fit(table),
        "VAE": TabularVAE().fit(table, **how),
        "VAE, KL weight .3": TabularVAE(settings=small).fit(table, **how),
        "diffusion": TabularDiffusion().fit(table, **how),
    }
    made = {name: model.sample(DRAWN, seed=seed) for name, model in made.items()}
    rows = {"real": effects(table, x, seed)}
    many = table.sample(DRAWN, replace=True, random_state=seed, ignore_index=True)
    rows["real, quitting redrawn"] = effects(treatment_redrawn(table, many, x, seed), x, seed)
    for name, sample in made.items():
        rows[name] = effects(sample, x, seed)
        again = treatment_redrawn(table, sample, x, seed)
        rows[f"{name}, quitting redrawn"] = effects(again, x, seed)
    for name in ("copula", "diffusion"):
        ordered = in_causal_order(table, made[name], x, seed)
        rows[f"causal order, covariates of the {name}"] = effects(ordered, x, seed)
    blind = Covariates(table, without=("age", "years_smoked"))
    ordered = in_causal_order(table, made["diffusion"], blind, seed)
    rows["causal order without age"] = effects(ordered, x, seed)
    return rows


def effect() -> None:
    def tables(source, seed):
        return smokers(ROWS, seed=seed + 1) if source == "cohort" else whole("nhefs")

    run("effect", ("cohort", "nhefs"), lambda *each: effect_run(tables(*each), each[1]))


def whole(name: str) -> pd.DataFrame:
    data = datasets.load(name)
    return pd.concat([data.train, data.held_out], ignore_index=True)


class RiskModel:
    """A logistic regression of a label on the other columns; gaps take the training rows' median."""

    def __init__(self, table: pd.DataFrame, label: str, weights: str | None = None):
        self.label = label
        x = pd.get_dummies(table.drop(columns=label)).astype(float)
        self.columns, self.middle = x.columns, x.median()
        self.model = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=2000, class_weight=weights)
        )
        self.model.fit(x.fillna(self.middle), table[label].astype(bool))

    def risk(self, table: pd.DataFrame) -> np.ndarray:
        x = pd.get_dummies(table.drop(columns=self.label)).astype(float)
        x = x.reindex(columns=self.columns, fill_value=0.0).fillna(self.middle)
        return self.model.predict_proba(x)[:, 1]


def risk_run(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> dict[str, dict]:
    train, test = train.drop(columns=Y), test.drop(columns=Y)
    died, real_died = test[DEATH].to_numpy(float), train[DEATH].to_numpy(float)
    missing = int(len(train) - 2 * real_died.sum())
    deaths = {
        "deaths repeated": train[train[DEATH]].sample(missing, replace=True, random_state=seed)
    }
    for name, model in (
        ("copula", GaussianCopula()),
        ("VAE", TabularVAE()),
        ("diffusion", TabularDiffusion()),
    ):
        given = {} if name == "copula" else {"steps": STEPS, "seed": seed}
        fitted = model.fit(train, **given)
        deaths[name] = fitted.sample(missing, seed=seed, condition={DEATH: True})
    models = {"real": RiskModel(train, DEATH), "class weights": RiskModel(train, DEATH, "balanced")}
    for name, rows in deaths.items():
        models[name] = RiskModel(pd.concat([train, rows], ignore_index=True), DEATH)
    rows = {}
    for name, model in models.items():
        plain = model.risk(test)
        cured = recalibrated(plain, model.risk(train), real_died)
        for how, risk in (("", plain), (", recalibrated", cured)):
            ratios = expected_over_observed(risk, died, test["sex"].to_numpy())
            rows[name + how] = {
                "seed": seed,
                "auc": float(roc_auc_score(died, risk)),
                **dict(zip(("eo", "eo_women", "eo_men"), ratios.tolist(), strict=True)),
                "net_benefit": net_benefit(risk, died, THRESHOLD),
                "treat_all": net_benefit(np.ones(len(died)), died, THRESHOLD),
            }
    return rows


def risk() -> None:
    def parts(source, seed):
        if source == "cohort":
            table = smokers(ROWS + TEST, seed=seed + 1)
            return table[:ROWS], table[ROWS:].reset_index(drop=True)
        table = whole("nhefs").sample(frac=1, random_state=seed, ignore_index=True)
        return table[:1066], table[1066:].reset_index(drop=True)

    run("risk", ("cohort", "nhefs"), lambda source, seed: risk_run(*parts(source, seed), seed))


def transport_run(source: str, seed: int) -> dict[str, dict]:
    if source == "hospitals":
        tables = [hospital_patients(800, name, seed=seed + 1) for name in HOSPITALS]
    else:
        shuffled = whole(source).sample(frac=1, random_state=seed)
        tables = [rows.reset_index(drop=True) for _, rows in shuffled.groupby("hospital")]
    home, *others = (rows.drop(columns="hospital") for rows in tables)
    names = [str(rows["hospital"].iloc[0]) for rows in tables]
    home, kept = home[:400], home[400:]
    how = {"steps": 600, "seed": seed}
    trained = {
        "real": home,
        "copula": GaussianCopula().fit(home).sample(2000, seed=seed),
        "VAE": TabularVAE().fit(home, **how).sample(2000, seed=seed),
        "diffusion": TabularDiffusion().fit(home, **how).sample(2000, seed=seed),
    }
    models = {name: RiskModel(table, "disease") for name, table in trained.items()}
    places = dict(zip(names[1:], others, strict=True))
    if len(kept):
        places[names[0]] = kept
    rows = {}
    for place, table in places.items():
        local, test = table[:LOCAL], table[LOCAL:]
        ill, local_ill = (part["disease"].to_numpy(float) for part in (test, local))
        here = {**models, "50 local patients alone": RiskModel(local, "disease")}
        for name, model in here.items():
            plain = model.risk(test)
            cured = recalibrated(plain, model.risk(local), local_ill)
            rows[f"{place}: {name}"] = {
                "seed": seed,
                "auc": float(roc_auc_score(ill, plain)),
                "eo": float(plain.sum() / ill.sum()),
                "eo_recalibrated": float(cured.sum() / ill.sum()),
            }
    return rows


def transport() -> None:
    run("transport", ("hospitals", "heart_disease"), transport_run)


def private_run(seed: int) -> dict[str, dict]:
    table = smokers(ROWS, seed=seed + 1)
    # The cells come from other people of the same kind, so they cost no privacy.
    domain = Domain(smokers(ROWS, seed=1000), bins=6)
    x = Covariates(table)
    rows = {"real": effects(table, x, seed)}
    for name, rho in (
        ("cells without noise", 1e9),
        *((f"epsilon {e}", rho_for(e, DELTA)) for e in (100, 10, 1)),
    ):
        model = NoisyMarginals(domain, label=Y).fit(table, rho=rho, seed=seed)
        rows[name] = effects(model.sample(DRAWN, seed=seed), x, seed)
    return rows


def private() -> None:
    run("private", ("cohort",), lambda _, seed: private_run(seed), range(10))


def image_scores(x, y, test, seed: int, shift: float = 0.0) -> np.ndarray:
    """How ill a network finds the test images (m, pixels) that learnt from x (n, pixels) and y (n,)."""
    judge = train_judge(x, y, seed, replace(READER, shift=shift))
    with torch.no_grad():
        logits = judge.eval()(test)
    return (logits[:, 1] - logits[:, 0]).numpy()


def images_run(source: str, seed: int) -> dict[str, dict]:
    data = datasets.load(source).at_most(8).with_levels(16)
    x, y, test, ill = (torch.from_numpy(part) for part in (*data.train, *data.held_out))
    x, test = x.flatten(1), test.flatten(1)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(x)))
    # As many ill as healthy ones, in every part of the order.
    order = torch.stack([order[y[order] == k][: max(SIZES)] for k in (0, 1)], dim=1).flatten()
    rows = {}
    knows_all = conditional_diffusion(x, y, IMAGE_DIFFUSION, seed=seed)
    for size in SIZES:
        own, more = order[:size], order[: 2 * size]
        vae = conditional_vae(x[own], y[own], IMAGE_VAE, seed=seed)
        diffusion = conditional_diffusion(x[own], y[own], IMAGE_DIFFUSION, seed=seed)
        made = {
            "VAE images": draw(vae.sample(size, y[own])),
            "diffusion images": diffusion.sample(size, y[own], steps=20),
            "four times as many": diffusion.sample(MANY * size, y[own].repeat(MANY), steps=20),
            "diffusion of all real": knows_all.sample(size, y[own], steps=20),
        }
        few = image_scores(x[own], y[own], test, seed)
        scores = {"real": few, "shifted": image_scores(x[own], y[own], test, seed, shift=0.5)}
        scores["twice the real"] = image_scores(x[more], y[more], test, seed)
        unseen = torch.cdist(test, x[own]).amin(dim=1).median()
        for name, invented in made.items():
            told = y[own].repeat(len(invented) // size)
            both = torch.cat([x[own], invented]), torch.cat([y[own], told])
            scores[name] = image_scores(*both, test, seed)
            near = torch.cdist(invented, x[own]).amin(dim=1).median()
            rows[f"{size}: {name}"] = {
                "seed": seed,
                "distance_over_unseen": float(near / unseen),
            }
        for name, score in scores.items():
            row = rows.setdefault(f"{size}: {name}", {"seed": seed})
            row["auc"] = float(roc_auc_score(ill, score))
    return rows


def images() -> None:
    with tempfile.TemporaryDirectory() as state:  # no earlier checkpoint, and none left
        os.environ["COURSE_STATE"] = state
        made_by = {"reader": READER, "vae": IMAGE_VAE, "diffusion": IMAGE_DIFFUSION}
        own = {"sizes": SIZES, "many": MANY, **made_by}
        run("images", ("lesions", "pneumonia_mnist_rebuilt"), images_run, **own)


def small_run(source: str, seed: int) -> dict[str, dict]:
    table = whole(source).sample(frac=1, random_state=seed, ignore_index=True)
    label = datasets.load(source).label
    cut = len(table) * 7 // 10
    train, test = table[:cut], table[cut:]
    middle = train[label].astype(float).mean()
    ill = (test[label].astype(float) > middle).to_numpy()
    how = {"steps": STEPS, "seed": seed}
    tables = {
        "real": train,
        "copula": GaussianCopula().fit(train).sample(10 * cut, seed=seed),
        "VAE": TabularVAE().fit(train, **how).sample(10 * cut, seed=seed),
        "diffusion": TabularDiffusion().fit(train, **how).sample(10 * cut, seed=seed),
    }
    rows = {}
    for name, made in tables.items():
        known = made.assign(**{label: made[label].astype(float) > middle})
        risk = RiskModel(known, label).risk(test)
        rows[name] = {
            "seed": seed,
            "auc": float(roc_auc_score(ill, risk)),
            "eo": float(risk.sum() / ill.sum()),
            "brier": float(np.mean((risk - ill) ** 2)),
        }
    return rows


def small() -> None:
    run("small", ("breast_cancer", "diabetes"), small_run)


def run(name: str, sources: tuple[str, ...], one_run, seeds=SEEDS, **further) -> None:
    results: dict[str, list[dict]] = {}
    for source in sources:
        for seed in seeds:
            for group, row in one_run(source, seed).items():
                results.setdefault(f"{source}: {group}", []).append(row)
                print(source, group, rounded(row), flush=True)
    settings = SimpleNamespace(
        rows=ROWS,
        test=TEST,
        drawn=DRAWN,
        steps=STEPS,
        local=LOCAL,
        threshold=THRESHOLD,
        delta=DELTA,
        **further,
    )
    write(f"healthcare_{name}", settings, {}, results)


RUNS = {each.__name__: each for each in (effect, risk, transport, private, images, small)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with threadpool_limits(1):
        RUNS[sys.argv[1]]()
