"""Who dies in a car crash, by surveys that draw severe crashes more often: a simulated one, and NASS CDS.

Each row stands for as many people as its weight says. data/crashes.md says the equations.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from course_lib.datasets.fetch import fetch
from course_lib.datasets.splits import TableDataset, parted

SPEEDS = ("1-9", "10-24", "25-39", "40-54", "55+")  # km/h
SHARES = (0.06, 0.67, 0.22, 0.04, 0.01)  # of all people, by speed
RISK = (-7.6, -6.6, -4.5, -3.0, -1.2)  # log odds of death, by speed
DRAWN = (0.02, 0.03, 0.05, 0.12, 0.25)  # the chance to be in the survey, by speed
DRAWN_DEAD = 4  # times as likely, at most with certainty
PEOPLE = 400_000
NASS_COLUMNS = {
    "dvcat": "speed",
    "ageOFocc": "age",
    "sex": "sex",
    "occRole": "seat",
    "seatbelt": "belted",
    "airbag": "airbag",
    "frontal": "frontal",
    "weight": "weight",
    "dead": "died",
}


def people_in_crashes(n: int, *, seed: int = 0) -> pd.DataFrame:
    """All `n` simulated people in a car that crashed, with the chance of each to be in the survey, `drawn`.

    Raises:
        ValueError: for fewer than one person.

    >>> people = people_in_crashes(100_000)
    >>> round(float(people["died"].mean()), 4)
    0.0048
    """
    if n < 1:
        raise ValueError(f"At least one person is needed; got n = {n}.")
    rng = np.random.default_rng(seed)
    speed = rng.choice(len(SPEEDS), n, p=SHARES)
    age = np.floor(16 + 75 * rng.beta(1.2, 3.0, n))
    male = rng.random(n) < 0.53
    driver = rng.random(n) < 0.78
    belted = rng.random(n) < expit(1.3 - 0.5 * male - 0.25 * speed)
    airbag = rng.random(n) < 0.55
    frontal = rng.random(n) < 0.64
    risk = np.array(RISK)[speed] + 0.03 * (age - 37) - 1.0 * belted - 0.4 * airbag * frontal
    died = rng.random(n) < expit(risk)
    drawn = np.minimum(np.array(DRAWN)[speed] * np.where(died, DRAWN_DEAD, 1), 1.0)
    return pd.DataFrame(
        {
            "speed": np.array(SPEEDS, object)[speed],
            "age": age.astype(int),
            "sex": np.where(male, "male", "female").astype(object),
            "seat": np.where(driver, "driver", "passenger").astype(object),
            "belted": belted,
            "airbag": airbag,
            "frontal": frontal,
            "died": died,
            "drawn": drawn,
        }
    )


def surveyed(people: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Those of the people that the survey draws; `weight` says for how many people each row stands.

    >>> table = surveyed(people_in_crashes(100_000))
    >>> round(float(table["died"].mean()), 2)  # and not .005: the dead are drawn more often
    0.08
    """
    chosen = np.random.default_rng(seed).random(len(people)) < people["drawn"]
    table = people[chosen].reset_index(drop=True)
    table.insert(len(NASS_COLUMNS) - 2, "weight", (1 / table.pop("drawn")).round(2))
    return table


def crashes() -> TableDataset:
    """A survey of 400,000 simulated people in crashes, drawn with unequal chances; a third is held out.

    >>> crashes().label
    'died'
    """
    table = surveyed(people_in_crashes(PEOPLE, seed=0), seed=1)
    train, held_out = table[:10_000], table[10_000:].reset_index(drop=True)
    return TableDataset("crashes", train, held_out, "died", ("sex",))


def nass_cds() -> TableDataset:
    """26,217 real people in the front seats of crashed cars, US 1997 to 2002, and whether they died.

    Raises:
        DataError: when the file cannot be fetched.

    >>> table = nass_cds()
    >>> len(table.train) + len(table.held_out)
    26005
    """
    file = pd.read_csv(fetch("nass_cds", "nassCDS.csv.gz"))
    weightless = file["weight"] == 0
    table = file[~weightless][list(NASS_COLUMNS)].rename(columns=NASS_COLUMNS)
    words = {"m": "male", "f": "female", "pass": "passenger", "1-9km/h": "1-9"}
    table = table.replace(dict.fromkeys(("sex", "seat", "speed"), words)).assign(
        belted=table["belted"] == "belted",
        airbag=table["airbag"] == "airbag",
        frontal=table["frontal"] == 1,
        died=table["died"] == "dead",
        weight=table["weight"].round(2),
    )
    table = table.astype(dict.fromkeys(["speed", "sex", "seat"], object)).reset_index(drop=True)
    notes = (
        f"{weightless.sum()} people have the weight 0 and are left out: they stand for nobody.",
        f"{len(NASS_COLUMNS)} of {file.shape[1]} columns are kept.",
    )
    return parted(
        "nass_cds",
        table,
        "died",
        ("sex",),
        held_out=8000,
        stratify=table["died"],
        notes=notes,
    )
