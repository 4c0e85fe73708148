"""Real card payments from a file of the learner's: the public format of `creditcard.csv`.

284,807 payments of two days of September 2013, 492 of them fraud, from the Université Libre de Bruxelles (
Dal Pozzolo et al. 2015, "Calibrating probability with undersampling for unbalanced classification", doi
10.1109/SSCI.2015.33). The platform that holds the file asks for an account, so it cannot be fetched here.
"""

from pathlib import Path

import pandas as pd

from course_lib.datasets.fetch import DataError
from course_lib.datasets.splits import TableDataset

HIDDEN = tuple(f"V{k}" for k in range(1, 29))
COLUMNS = ("Time", *HIDDEN, "Amount", "Class")


def card_fraud(file: str | Path) -> TableDataset:
    """Payments of the first day to train on, and all later ones to judge with; label `fraud`.

    Columns: `time` in seconds since the first payment, `v1` to `v28` (principal components without a
    published meaning), `amount` in euros, and `fraud`. There are no accounts, so there is no history.

    Raises:
        DataError: when there is no such file, or it has other columns.

    >>> card_fraud("creditcard.csv")
    Traceback (most recent call last):
    course_lib.datasets.fetch.DataError: There is no file creditcard.csv ...
    """
    if not Path(file).is_file():
        raise DataError(
            f"There is no file {file}. Get creditcard.csv from its publisher (data/payments.md says "
            'where), or use datasets.load("payments").'
        )
    table = pd.read_csv(file)
    if set(table) != set(COLUMNS):
        raise DataError(
            f"{file} has other columns than Time, V1 to V28, Amount and Class: it is not creditcard.csv."
        )
    table = table[list(COLUMNS)].rename(columns=str.lower).rename(columns={"class": "fraud"})
    table["fraud"] = table["fraud"].astype(int) == 1
    first = table["time"] < 24 * 3600
    train, rest = (table[part].reset_index(drop=True) for part in (first, ~first))
    again = int(table.duplicated().sum())
    notes = (f"{again:,} payments repeat another one to the last digit; they are kept.",)
    return TableDataset("card_fraud", train, rest, "fraud", notes=notes)
