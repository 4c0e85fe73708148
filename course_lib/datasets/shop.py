"""Customers and what they order, as two linked tables: a shop of our own, and Online Retail II.

Our shop's tastes, pairs and seasons are planted, so that what a recommender finds and what a generator
loses can be held against the truth. data/shop.md says each equation.
"""

import numpy as np
import pandas as pd

from course_lib.datasets.fetch import DataError, fetch
from course_lib.datasets.splits import LinkedDataset

ITEMS, AISLES = 600, 10
CUSTOMERS = 1200
MONTHS, FIRST_HELD_OUT = 12, 9  # months 0 to 8 to train, 9 to 11 held out
TOGETHER = 0.35  # the chance that one item of a pair brings the other into the order
SEASONAL = 0.15  # of the items
IN_SEASON, OFF_SEASON = 4.0, 0.4  # what their weight is multiplied by in months 9 to 11, and before
HABIT = 0.35  # the chance that a line of an order repeats what the customer has ordered before
TRADE, ABROAD = 0.12, 0.1  # shares of the customers
FOREIGN = 0.1  # of the items: those that customers abroad prefer
FAR, NEAR = 5.0, 0.5  # what their weight is multiplied by abroad, and at home
KINDS, REGIONS = ("household", "trade"), ("home", "abroad")


def catalogue(*, seed: int = 0) -> pd.DataFrame:
    """The shop's items, one row each: aisle, weight, whether seasonal or foreign, partner, price.

    Every item has one partner in its own aisle: the two are a pair.

    >>> items = catalogue()
    >>> len(items), bool((items["partner"][items["partner"]] == items.index).all())
    (600, True)
    """
    rng = np.random.default_rng((seed, 1))
    aisle = rng.permutation(np.arange(ITEMS) % AISLES)
    # w_j = rank^-0.7, ranks in a random order
    weight = (1.0 + rng.permutation(ITEMS)) ** -0.7
    partner = np.zeros(ITEMS, int)
    for k in range(AISLES):
        own = rng.permutation(np.flatnonzero(aisle == k))
        partner[own[::2]], partner[own[1::2]] = own[1::2], own[::2]
    return pd.DataFrame(
        {
            "aisle": aisle,
            "weight": weight,
            "seasonal": rng.random(ITEMS) < SEASONAL,
            "foreign": rng.random(ITEMS) < FOREIGN,
            "partner": partner,
            "price": rng.lognormal(0.8, 0.7, ITEMS).round(2),
        }
    )


def linked_tables(customers: int, *, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers and their order lines, drawn together; every line's `customer` is a row of the first.

    Returns:
        The customers: `customer`, `kind`, `region`. The lines: `customer`, `order`, `month` (0 to 11),
        `item` (0 to 599), `quantity`, `price` of one piece. An item stands once in an order.

    Raises:
        ValueError: for fewer than one customer.

    >>> people, lines = linked_tables(20)
    >>> len(people), bool(lines["customer"].isin(people["customer"]).all())
    (20, True)
    """
    if customers < 1:
        raise ValueError(f"At least one customer is needed; got {customers}.")
    rng = np.random.default_rng((seed, 2))
    items = catalogue()
    aisle, partner = items["aisle"].to_numpy(), items["partner"].to_numpy()
    season = np.stack([np.where(items["seasonal"], x, 1.0) for x in (OFF_SEASON, IN_SEASON)])
    place = np.stack([np.where(items["foreign"], x, 1.0) for x in (NEAR, FAR)])
    weight = items["weight"].to_numpy() * season[:, None] * place  # (season, region, items)
    trade, abroad = rng.random(customers) < TRADE, rng.random(customers) < ABROAD
    drawn: list[tuple[int, int, np.ndarray]] = []  # of each order: customer, month, items
    for i in range(customers):
        # theta ~ Dirichlet: most households care for one or two aisles, trade for more
        taste = rng.dirichlet(np.full(AISLES, 0.6 if trade[i] else 0.25))
        score = np.log((taste[aisle] + 0.003) * weight[:, int(abroad[i])])
        rate = rng.gamma(1.5, 0.25) * (2.0 if trade[i] else 1.0)  # orders a month
        known = np.zeros(ITEMS, int)
        for month in np.repeat(np.arange(MONTHS), rng.poisson(rate, MONTHS)):
            wanted = 1 + rng.poisson(12.0 if trade[i] else 6.0)
            chosen = _order(rng, score[int(month >= FIRST_HELD_OUT)], known, wanted, partner)
            known[chosen] += 1
            drawn.append((i, int(month), chosen))
    sizes = [len(chosen) for *_, chosen in drawn]
    orders = pd.DataFrame([order[:2] for order in drawn], columns=["customer", "month"])
    orders.insert(1, "order", np.arange(len(orders)))
    lines = orders.loc[orders.index.repeat(sizes)].reset_index(drop=True)
    lines["item"] = np.concatenate([np.zeros(0, int), *(order[2] for order in drawn)])
    many = trade[lines["customer"]]
    lines["quantity"] = 1 + rng.poisson(np.where(many, 5.0, 1.0))
    lines["price"] = items["price"].to_numpy()[lines["item"]]
    people = pd.DataFrame(
        {
            "customer": np.arange(customers),
            "kind": np.array(KINDS, object)[trade.astype(int)],
            "region": np.array(REGIONS, object)[abroad.astype(int)],
        }
    )
    return people, lines


def _order(
    rng: np.random.Generator, score: np.ndarray, known: np.ndarray, wanted: int, partner: np.ndarray
) -> np.ndarray:
    """The items of one order, ascending: habits, new wishes by Gumbel top-k, and partners of both."""
    habits = min(rng.binomial(wanted, HABIT), int((known > 0).sum()))
    noise = rng.gumbel(size=(2, ITEMS))
    with np.errstate(divide="ignore"):
        old = np.argsort(-(np.log(known) + noise[0]))[:habits]
    new = np.argsort(-(score + noise[1]))[: wanted - habits]
    chosen = np.union1d(old, new)
    brings = chosen[rng.random(len(chosen)) < TOGETHER]
    return np.union1d(chosen, partner[brings])


def simulated_shop() -> LinkedDataset:
    """1,200 simulated customers: months 0 to 8 to train, months 9 to 11 held out.

    >>> shop = simulated_shop()
    >>> len(shop.parents), shop.key, list(shop.train)
    (1200, 'customer', ['customer', 'order', 'month', 'item', 'quantity', 'price'])
    """
    people, lines = linked_tables(CUSTOMERS, seed=0)
    return by_month("shop", people, lines, FIRST_HELD_OUT)


def by_month(
    name: str,
    people: pd.DataFrame,
    lines: pd.DataFrame,
    first: int,
    notes: tuple[str, ...] = (),
) -> LinkedDataset:
    """Order lines before the month `first` to train, those from then on held out.

    >>> data = by_month("small", *linked_tables(50), 9)
    >>> int(data.train["month"].max()), int(data.held_out["month"].min())
    (8, 9)
    """
    late = lines["month"] >= first
    parts = (lines[~late].reset_index(drop=True), lines[late].reset_index(drop=True))
    return LinkedDataset(name, *parts, "item", ("kind", "region"), notes, people, "customer")


def coupon_trial(orders: np.ndarray, trade: np.ndarray, *, seed: int = 0) -> pd.DataFrame:
    """A trial of a coupon: half of the customers get it by lot, and who orders in the next month is noted.

    Args:
        orders: how many orders each customer made before, (n,).
        trade: whether each is a trade customer, (n,) bool.

    Returns:
        The columns `orders`, `trade`, `coupon`, `bought`, and the true chances `without` and `with`.

    >>> trial = coupon_trial(np.array([1, 6, 30]), np.array([False, False, False]))
    >>> (trial["with"] - trial["without"]).round(2).tolist()
    [0.08, 0.2, 0.02]
    """
    rng = np.random.default_rng((seed, 3))
    # Who orders often orders anyway, and who hardly orders does not look. The coupon puts trade off.
    without = 0.05 + 0.85 * (1 - np.exp(-orders / 8))
    moved = np.where(trade, -0.1, 0.2 * orders / 6 * np.exp(1 - orders / 6))
    coupon = rng.random(len(orders)) < 0.5
    chance = np.clip(without + moved, 0, 1)
    return pd.DataFrame(
        {
            "orders": orders,
            "trade": trade,
            "coupon": coupon,
            "bought": rng.random(len(orders)) < np.where(coupon, chance, without),
            "without": without,
            "with": chance,
        }
    )


ONLINE_ITEMS = 800
ONLINE_FILE = "online_retail_2009_2010.parquet"
TRADE_QUANTITY = 12  # pieces a line, half of a customer's lines or more


def online_retail() -> LinkedDataset:
    """Customers of a British online shop from December 2009 to December 2010, and what they ordered.

    Raises:
        DataError: when the file cannot be fetched, or pyarrow, which reads it, is missing.

    >>> online_retail().key
    'customer'
    """
    path = fetch("online_retail", ONLINE_FILE)
    try:
        table = pd.read_parquet(path)
    except ImportError as error:
        raise DataError(
            "Online Retail II is a Parquet file here, which pyarrow reads: `pip install pyarrow`."
        ) from error
    given, repeated = len(table), int(table.duplicated().sum())
    table = table.drop_duplicates()
    nobody = int(table["Customer ID"].isna().sum())
    table = table[table["Customer ID"].notna()]
    kept = ~table["Invoice"].str.startswith("C") & (table["Quantity"] > 0) & (table["Price"] > 0)
    # Five digits and a letter or two are products; POST, BANK CHARGES and the like are not.
    kept &= table["StockCode"].str.fullmatch(r"\d{5}[A-Za-z]*")
    table, left_out = table[kept], int((~kept).sum())
    day = pd.to_datetime(table["InvoiceDate"])
    lines = pd.DataFrame(
        {
            "customer": table["Customer ID"].astype(int),
            "order": table["Invoice"],
            "month": 12 * (day.dt.year - 2009) + day.dt.month - 12,
            "item": table["StockCode"],
            "quantity": table["Quantity"],
            "price": table["Price"],
        }
    )
    early = lines["month"] < FIRST_HELD_OUT
    buyers = lines[early].groupby("item")["customer"].nunique()
    items = buyers.sort_index().sort_values(ascending=False, kind="stable").index[:ONLINE_ITEMS]
    lines = lines[lines["item"].isin(items)]
    # An item that stands in one invoice several times is one line.
    by = ["customer", "order", "month", "item"]
    lines = lines.groupby(by, as_index=False).agg({"quantity": "sum", "price": "median"})
    country = table.groupby(table["Customer ID"].astype(int))["Country"].first()
    size = lines[lines["month"] < FIRST_HELD_OUT].groupby("customer")["quantity"].median()
    names = np.sort(lines["customer"].unique())
    people = pd.DataFrame(
        {
            "customer": np.arange(len(names)),
            "kind": np.array(KINDS, object)[
                (size.reindex(names).fillna(0) >= TRADE_QUANTITY).to_numpy(int)
            ],
            "region": np.array(REGIONS, object)[
                (country.reindex(names) != "United Kingdom").to_numpy(int)
            ],
        }
    )
    lines["customer"] = np.searchsorted(names, lines["customer"])
    lines["order"] = pd.factorize(lines["order"])[0]
    lines["item"] = items.get_indexer(pd.Index(lines["item"]))
    notes = (
        f"Of {given:,} lines, {repeated:,} repeat another one, {nobody:,} more name no customer, and "
        f"{left_out:,} more are cancelled, without a price, or no product: all are left out.",
        f"Only the {ONLINE_ITEMS} items with the most customers in the training months are kept.",
        "`kind` is not in the file: it is read off the quantities, as the card says.",
    )
    return by_month("online_retail", people, lines, FIRST_HELD_OUT, notes)
