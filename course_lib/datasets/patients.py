"""Simulated patients with a planted truth: a cohort and four hospitals; NHEFS and Heart Disease.

In the cohort some people quit smoking. What quitting does to their weight is known, and who quits is not
drawn by lot. In the hospitals the same disease is met with another mix of patients and another rate of
referral. data/cohort.md and data/hospitals.md say the equations.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import expit

from course_lib.datasets.fetch import fetch
from course_lib.datasets.splits import TableDataset, parted
from course_lib.syllabus import unknown

EFFECT = 3.4  # kilograms that quitting adds, for everyone
EXERCISE = ("much", "some", "little")
# hospital: mean age, share of men, shift of the log odds that no column explains
HOSPITALS = {
    "north": (54.0, 0.65, 0.0),
    "east": (48.0, 0.70, -0.8),
    "south": (60.0, 0.90, 0.9),
    "west": (56.0, 0.90, 2.2),
}
PAINS = ("typical", "atypical", "other", "none")
HEART_COLUMNS = (
    *("age", "sex", "chest_pain", "resting_pressure", "cholesterol", "high_fasting_sugar"),
    *("resting_ecg", "max_heart_rate", "exercise_angina", "st_depression", "st_slope"),
    *("vessels", "thallium", "disease"),
)
HEART_HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
NHEFS_COLUMNS = {
    "sex": "sex",
    "age": "age",
    "race": "race",
    "education": "education",
    "smokeintensity": "cigarettes",
    "smokeyrs": "years_smoked",
    "exercise": "exercise",
    "active": "active",
    "wt71": "weight",
    "qsmk": "quit",
    "wt82_71": "weight_change",
    "death": "died",
}


def smokers(n: int, *, seed: int = 0) -> pd.DataFrame:
    """`n` simulated smokers: six covariates, whether they quit, kilograms gained, and whether they died.

    Raises:
        ValueError: for fewer than one person.

    >>> table = smokers(20_000)
    >>> gained = table.groupby("quit")["weight_change"].mean()
    >>> round(float(gained[True] - gained[False]), 1)  # and not EFFECT: who quits differs from who does not
    1.5
    """
    if n < 1:
        raise ValueError(f"At least one person is needed; got n = {n}.")
    rng = np.random.default_rng(seed)
    male = rng.random(n) < 0.49
    age = np.floor(25 + 50 * rng.beta(1.5, 2.0, n))
    started = np.clip(17 + 3 * rng.standard_normal(n), 10, 24)
    years = np.maximum(np.round(age - started), 1)
    cigarettes = np.clip(np.round(rng.gamma(3.0, (6 + male) * 1.0)), 1, 60)
    # the older, the less exercise
    level = 0.03 * (age - 45) + rng.logistic(size=n)
    exercise = np.digitize(level, [-1.0, 0.7])
    weight = 64 + 13 * male + 0.05 * (age - 45) + 11 * rng.standard_normal(n)
    a = (age - 45) / 10
    quits = -1.55 + 0.45 * a + 0.15 * a**2 - 0.03 * (cigarettes - 20) + 0.02 * (weight - 70)
    quit_smoking = rng.random(n) < expit(quits - 0.2 * exercise)
    gain = 2.6 - 1.3 * a - 0.6 * a**2 - 0.10 * (weight - 70) + 0.03 * (cigarettes - 20)
    change = gain - 0.3 * exercise + EFFECT * quit_smoking + 7 * rng.standard_normal(n)
    risk = -2.6 + 0.9 * a + 0.5 * male + 0.02 * (cigarettes - 20) + 0.25 * exercise
    died = rng.random(n) < expit(risk)
    return pd.DataFrame(
        {
            "sex": np.where(male, "male", "female").astype(object),
            "age": age.astype(int),
            "cigarettes": cigarettes.astype(int),
            "years_smoked": years.astype(int),
            "exercise": np.array(EXERCISE, object)[exercise],
            "weight": weight.round(1),
            "quit": quit_smoking,
            "weight_change": change.round(1),
            "died": died,
        }
    )


def cohort() -> TableDataset:
    """5,600 simulated smokers, of whom about a fifth quit: 1,600 to train, 4,000 held out.

    >>> print(cohort())
    cohort: 1,600 rows to train, 4,000 held out, 9 columns, label died
    """
    people = smokers(5600, seed=0)
    train, held_out = people[:1600], people[1600:].reset_index(drop=True)
    return TableDataset("cohort", train, held_out, "died", ("sex",))


def hospital_patients(n: int, hospital: str, *, seed: int = 0) -> pd.DataFrame:
    """`n` simulated patients with chest pain in one of `HOSPITALS`, and whether the heart is diseased.

    Raises:
        ValueError: for fewer than one patient, or an unknown hospital.

    >>> rates = [hospital_patients(5000, name)["disease"].mean() for name in HOSPITALS]
    >>> [round(float(rate), 2) for rate in rates]
    [0.43, 0.23, 0.75, 0.89]
    """
    if n < 1:
        raise ValueError(f"At least one patient is needed; got n = {n}.")
    if hospital not in HOSPITALS:
        raise ValueError(unknown("hospital", hospital, HOSPITALS))
    rng = np.random.default_rng([seed, list(HOSPITALS).index(hospital)])
    middle, men, shift = HOSPITALS[hospital]
    male = rng.random(n) < men
    age = np.clip(np.round(middle + 9 * rng.standard_normal(n)), 28, 80)
    disease = rng.random(n) < expit(-1.0 + 0.05 * (age - 54) + 1.1 * male + shift)
    # the symptoms follow from the disease, and in the same way everywhere
    shares = np.where(disease[:, None], [0.06, 0.14, 0.22, 0.58], [0.09, 0.21, 0.35, 0.35])
    pain = (rng.random(n)[:, None] > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
    rate = 158 - 0.8 * (age - 54) - 11 * disease + 18 * rng.standard_normal(n)
    angina = rng.random(n) < np.where(disease, 0.42, 0.20)
    depression = np.maximum(-0.2 + 0.8 * disease + 0.9 * rng.standard_normal(n), 0)
    pressure = 130 + 0.5 * (age - 54) + 3 * disease + 17 * rng.standard_normal(n)
    return pd.DataFrame(
        {
            "hospital": np.full(n, hospital, object),
            "age": age.astype(int),
            "sex": np.where(male, "male", "female").astype(object),
            "chest_pain": np.array(PAINS, object)[pain],
            "resting_pressure": np.round(pressure).astype(int),
            "max_heart_rate": np.round(np.clip(rate, 60, 210)).astype(int),
            "exercise_angina": np.where(angina, "yes", "no").astype(object),
            "st_depression": depression.round(1),
            "disease": disease,
        }
    )


def hospitals() -> TableDataset:
    """Simulated patients with chest pain of four hospitals, 400 to train and 400 held out of each.

    >>> print(hospitals())
    hospitals: 1,600 rows to train, 1,600 held out, 9 columns, label disease
    """
    train, held_out = (
        pd.concat(
            [hospital_patients(400, name, seed=seed) for name in HOSPITALS], ignore_index=True
        )
        for seed in (0, 1)
    )
    return TableDataset("hospitals", train, held_out, "disease", ("sex",))


def nhefs() -> TableDataset:
    """1,566 real smokers of the NHANES I follow-up study, and whether they quit, gained weight and died.

    Raises:
        DataError: when the file cannot be fetched.

    >>> table = nhefs()
    >>> len(table.train) + len(table.held_out)
    1566
    """
    file = pd.read_stata(fetch("nhefs", "nhefs.dta"))
    table = file[list(NHEFS_COLUMNS)].rename(columns=NHEFS_COLUMNS)
    unknown_weight = table["weight_change"].isna()
    table = table[~unknown_weight].reset_index(drop=True)
    whole = dict.fromkeys(["age", "cigarettes", "years_smoked"], int)
    codes = table[["sex", "race", "education", "active", "exercise"]].astype(str).astype(object)
    table = table.astype(whole | {"quit": bool, "died": bool}).assign(
        sex=codes["sex"].map({"0": "male", "1": "female"}),
        race=codes["race"].map({"0": "white", "1": "other"}),
        education=codes["education"],
        active=codes["active"],
        exercise=codes["exercise"].map(dict(zip("012", EXERCISE, strict=True))),
        weight=table["weight"].round(2),
        weight_change=table["weight_change"].round(2),
    )
    notes = (
        f"{unknown_weight.sum()} people without a weight in 1982 are left out.",
        f"{len(NHEFS_COLUMNS)} of {file.shape[1]} columns are kept: the nine covariates of Hernán and "
        "Robins, the treatment, the outcome and death. Codes are named; see the card.",
    )
    return parted(
        "nhefs",
        table,
        "died",
        ("sex", "race"),
        held_out=500,
        stratify=table["died"],
        notes=notes,
    )


def heart_disease() -> TableDataset:
    """920 real patients with chest pain of four hospitals, and whether a coronary vessel is narrowed.

    Raises:
        DataError: when a file cannot be fetched.

    >>> table = heart_disease()
    >>> len(table.train) + len(table.held_out)
    920
    """
    parts = []
    for name in HEART_HOSPITALS:
        file = fetch("heart_disease", f"processed.{name}.data")
        part = pd.read_csv(file, names=HEART_COLUMNS, na_values="?")
        parts.append(part.assign(hospital=name))
    table = pd.concat(parts, ignore_index=True)
    zeros = int((table["cholesterol"] == 0).sum())
    kept = ["hospital", *("age", "sex", "chest_pain", "resting_pressure", "max_heart_rate")]
    table = table[[*kept, "exercise_angina", "st_depression", "disease"]]
    gaps = int(table.isna().any(axis=1).sum())
    pains = dict(enumerate(PAINS, start=1))
    table = table.assign(
        hospital=table["hospital"].astype(object),
        age=table["age"].astype(int),
        sex=table["sex"].astype(int).map({0: "female", 1: "male"}).astype(object),
        chest_pain=table["chest_pain"].astype(int).map(pains).astype(object),
        exercise_angina=table["exercise_angina"].map({0: "no", 1: "yes"}).astype(object),
        disease=table["disease"] > 0,
    )
    notes = (
        f'"?" stands for an unknown value in the files; {gaps} rows have one in the columns kept, '
        "read as missing.",
        "Five columns are left out that some hospitals hardly recorded (sugar, resting ECG, slope, "
        f"vessels, thallium), and cholesterol, which is 0 in {zeros} rows.",
        "The files grade the disease 0 to 4; 1 and more count as disease.",
    )
    data = parted(
        "heart_disease",
        table,
        "disease",
        ("sex",),
        held_out=460,
        stratify=table["hospital"] + table["disease"].astype(str),
        notes=notes,
    )
    train, held_out = (
        part.sort_values("hospital", kind="stable", ignore_index=True)
        for part in (data.train, data.held_out)
    )
    return replace(data, train=train, held_out=held_out)
