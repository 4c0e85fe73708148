"""Fetched tables: Adult, German Credit and AI4I 2020, with the faults of their files told."""

import pandas as pd

from course_lib.datasets.fetch import fetch
from course_lib.datasets.splits import TableDataset, parted

ADULT_COLUMNS = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation"),
    *("relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week"),
    *("native_country", "income_over_50k"),
)
GERMAN_COLUMNS = (
    *("checking_account", "duration", "credit_history", "purpose", "amount", "savings"),
    *("employed_since", "installment_rate", "personal_status", "other_debtors", "resident_since"),
    *("property", "age", "other_installments", "housing", "credits", "job", "dependants"),
    *("telephone", "foreign_worker", "good_credit"),
)
AI4I_COLUMNS = {
    "Type": "quality",
    "Air temperature [K]": "air_temperature",
    "Process temperature [K]": "process_temperature",
    "Rotational speed [rpm]": "rotational_speed",
    "Torque [Nm]": "torque",
    "Tool wear [min]": "tool_wear",
    "Machine failure": "machine_failure",
    "TWF": "tool_wear_failure",
    "HDF": "heat_dissipation_failure",
    "PWF": "power_failure",
    "OSF": "overstrain_failure",
    "RNF": "random_failure",
}
AI4I_MODES = [name for name in AI4I_COLUMNS.values() if name.endswith("_failure")][1:]


def adult() -> TableDataset:
    """48,842 people of the US census of 1994, and whether they earned over 50,000 dollars a year.

    Raises:
        DataError: when a file cannot be fetched.

    >>> round(float(adult().train["income_over_50k"].mean()), 3)
    0.241
    """
    train, held_out = (
        pd.read_csv(
            fetch("adult", file),
            names=ADULT_COLUMNS,
            skipinitialspace=True,
            na_values="?",
            comment="|",
        )
        for file in ("adult.data", "adult.test")
    )
    train, held_out = (
        table.assign(income_over_50k=table["income_over_50k"].str.rstrip(".") == ">50K")
        for table in (train, held_out)
    )
    unknown = [int(part.isna().any(axis=1).sum()) for part in (train, held_out)]
    notes = (
        f'"?" stands for an unknown value in the files; {unknown[0]:,} rows to train and '
        f"{unknown[1]:,} held out have one, read as missing.",
        'adult.test opens with a comment and ends its labels with a full stop (">50K."): the '
        "comment is skipped, the stop dropped.",
        f"{train.duplicated().sum()} rows to train repeat another one, and "
        f"{held_out.duplicated().sum()} held out do: they are kept, for two people can be alike.",
    )
    return TableDataset("adult", train, held_out, "income_over_50k", ("sex", "race"), notes)


def german_credit() -> TableDataset:
    """1,000 credits of a German bank, and whether they were paid back.

    Raises:
        DataError: when the file cannot be fetched.

    >>> german_credit().label
    'good_credit'
    """
    table = pd.read_csv(fetch("german_credit", "german.data"), sep=" ", names=GERMAN_COLUMNS)
    sex = table["personal_status"].isin(["A92", "A95"]).map({True: "female", False: "male"})
    table.insert(list(table).index("personal_status") + 1, "sex", sex)
    table["good_credit"] = table["good_credit"] == 1  # 2 is bad
    notes = (
        "`sex` is not a column of the file: it is read off `personal_status` as its description says "
        "(A92 and A95 women, the others men), and that description is disputed: see the card.",
        "The columns of codes (A11, A34, ...) are kept as they are; the card says what each means.",
    )
    return parted(
        "german_credit",
        table,
        "good_credit",
        ("sex", "age"),
        held_out=300,
        stratify=table["good_credit"],
        notes=notes,
    )


def ai4i2020() -> TableDataset:
    """10,000 simulated states of a milling machine, and whether it failed.

    Raises:
        DataError: when the file cannot be fetched.

    >>> int(ai4i2020().train["machine_failure"].sum())
    271
    """
    # The file opens with a byte-order mark, which would become part of the first column's name.
    table = pd.read_csv(fetch("ai4i2020", "ai4i2020.csv"), encoding="utf-8-sig")
    table = table[list(AI4I_COLUMNS)].rename(columns=AI4I_COLUMNS)
    table = table.astype(dict.fromkeys(["machine_failure", *AI4I_MODES], bool))
    failed, any_mode = table["machine_failure"], table[AI4I_MODES].any(axis=1)
    notes = (
        "The file opens with a byte-order mark and ends its lines with CRLF: both are dropped, and "
        "so are `UDI` and `Product ID`, which number the rows.",
        f"{(failed & ~any_mode).sum()} failures have no mode.",
        f"{(~failed & table['random_failure']).sum()} rows have a random failure and "
        "yet no machine failure; they are kept.",
    )
    return parted("ai4i2020", table, "machine_failure", held_out=2000, stratify=failed, notes=notes)
