"""Small pictures for the page, as SVG that follows its colours: columns, and how they go together."""

from collections.abc import Sequence
from itertools import chain, combinations, product

from markupsafe import Markup, escape

from course_lib.audit.figure import shortened
from course_lib.audit.finding import Finding
from course_lib.audit.profile import Associations, Joint, Profile, Reliability

WIDTH, HEIGHT = 240, 84  # of a column's picture, in its own units
SQUARE = 160  # of the reliability curves
SIDE = 12  # of a cell of a matrix
LONGEST = 14  # characters of a name beside a matrix, each at most NARROW wide
NARROW = 5.5
LARGEST = 1.7  # times its own units that a matrix is drawn
LEVELS = 5  # of a picture's side that are told one by one


def column_picture(profile: Profile) -> Markup:
    """A column's shares: bars for the real rows, a line of steps for the synthetic ones.

    >>> one = Profile("sex", "category", ("f", "m"), (0.5, 0.5), (0.2, 0.8))
    >>> column_picture(one).startswith("<svg")
    True
    """
    most = max(*profile.real, *profile.synthetic, 1e-9)
    step = WIDTH / len(profile.cells)
    bars, line = [], []
    for i, (real, made) in enumerate(zip(profile.real, profile.synthetic, strict=True)):
        left, right = round(i * step, 1), round((i + 1) * step, 1)
        top, at = (round(HEIGHT * (1 - share / most), 1) for share in (real, made))
        bars.append(f"M{left} {HEIGHT}V{top}H{right}V{HEIGHT}")
        line.append(f"{'M' if not i else 'L'}{left} {at}H{right}")
    return Markup(
        f'<svg viewBox="0 -2 {WIDTH} {HEIGHT + 4}" role="img" aria-label="{escape(in_words(profile))}">'
        f'<path class="real" d="{"".join(bars)}"/><path class="made" d="{"".join(line)}"/></svg>'
    )


def in_words(profile: Profile) -> str:
    """What a column's picture shows: where the shares differ most.

    >>> in_words(Profile("sex", "category", ("f", "m"), (0.5, 0.5), (0.25, 0.75)))
    'sex: the shares differ most at f: 50% of the real rows, 25% of the synthetic ones.'
    """
    gaps = [abs(a - b) for a, b in zip(profile.real, profile.synthetic, strict=True)]
    at = gaps.index(max(gaps))
    return (
        f"{profile.name}: the shares differ most at {profile.cells[at]}: {profile.real[at]:.0%} of the "
        f"real rows, {profile.synthetic[at]:.0%} of the synthetic ones."
    )


def matrices(found: Associations) -> list[tuple[str, Markup]]:
    """Three pictures with their titles: real pairs, synthetic pairs, and the difference.

    >>> [title for title, _ in matrices(Associations(("x", "y"), (0.5,), (0.1,)))]
    ['Real', 'Synthetic', 'Synthetic less real']
    """
    gaps = [made - real for real, made in zip(found.real, found.synthetic, strict=True)]
    return [
        ("Real", _matrix(found.names, list(found.real), "Real pairs")),
        ("Synthetic", _matrix(found.names, list(found.synthetic), "Synthetic pairs")),
        ("Synthetic less real", _matrix(found.names, gaps, "Differences")),
    ]


def _matrix(names: tuple[str, ...], values: list[float], title: str) -> Markup:
    """The pairs below the diagonal; what is more than 0 in one colour, what is less in another.

    A column's name stands where its row ends and its column begins, in the half that is empty.
    """
    size = len(names) * SIDE
    number = {name: i for i, name in enumerate(names)}
    cells = []
    for (one, two), value in zip(combinations(names, 2), values, strict=True):
        x, y = number[one] * SIDE, number[two] * SIDE
        cells.append(
            f'<rect class="{"more" if value >= 0 else "less"}" x="{x}" y="{y}" width="{SIDE}" '
            f'height="{SIDE}" fill-opacity="{min(abs(value), 1):.2f}"><title>{escape(one)} &amp; '
            f"{escape(two)}: {value:.2f}</title></rect>"
        )
    for k, name in enumerate(names):
        cells.append(
            f'<text x="{k * SIDE + 2}" y="{k * SIDE + 9}">{escape(shortened(name, LONGEST))}</text>'
        )
    far = max(range(len(values)), key=lambda k: abs(values[k]))
    pair = " & ".join(list(combinations(names, 2))[far])
    told = escape(f"{title}: largest at {pair}, {values[far]:.2f}.")
    width = round(size + LONGEST * NARROW)
    return Markup(
        f'<svg viewBox="0 0 {width} {size}" style="max-width: {LARGEST * width:.0f}px" role="img" '
        f'aria-label="{told}">'
        f"{''.join(cells)}</svg>"
    )


def reliability_picture(curves: Reliability) -> Markup:
    """What models expect (to the right) and what comes (upwards): the line of the real rows' and the other.

    >>> reliability_picture(Reliability("paid", ((0.1, 0.2), (0.9, 0.8)), ((0.5, 0.1),))).count("<path")
    4
    """

    def at(point: tuple[float, float]) -> str:
        return f"{SQUARE * point[0]:.1f} {SQUARE * (1 - point[1]):.1f}"

    lines, dots = [], []
    for name, points in (("real", curves.real), ("made", curves.synthetic)):
        lines.append(f'<path class="{name} line" d="M{"L".join(map(at, points))}"/>')
        dots.append(
            f'<path class="{name} dots" d="{"".join(f"M{at(point)}h0" for point in points)}"/>'
        )
    told = "; ".join(
        f"the model of {name} rows expects {expected:.0%} on average, and is {gap:.0%} away from what comes"
        for name, points in (("real", curves.real), ("synthetic", curves.synthetic))
        for expected, gap in [
            (
                sum(x for x, _ in points) / len(points),
                sum(abs(x - y) for x, y in points) / len(points),
            )
        ]
    )
    return Markup(
        f'<svg viewBox="-3 -3 {SQUARE + 6} {SQUARE + 6}" role="img" aria-label="{escape(told)}">'
        f'<line class="even" x1="0" y1="{SQUARE}" x2="{SQUARE}" y2="0"/>{"".join([*lines, *dots])}</svg>'
    )


def joint_pictures(pair: Joint) -> list[tuple[str, Markup]]:
    """Two pictures with their titles, real and synthetic: the more rows in a cell, the fuller its colour.

    >>> pair = Joint(("x", "y"), ("1",), ("a", "b"), ((0.5, 0.5),), ((0.1, 0.9),))
    >>> [title for title, _ in joint_pictures(pair)]
    ['Real', 'Synthetic']
    """
    most = max(*chain(*pair.real, *pair.synthetic), 1e-9)
    cells = list(product(range(len(pair.rows)), range(len(pair.columns))))
    i, j = max(cells, key=lambda at: abs(pair.real[at[0]][at[1]] - pair.synthetic[at[0]][at[1]]))
    told = (
        f"{' & '.join(pair.names)}: the shares differ most at {pair.rows[i]} & {pair.columns[j]}: "
    )
    told += (
        f"{pair.real[i][j]:.1%} of the real rows, {pair.synthetic[i][j]:.1%} of the synthetic ones."
    )
    pictures = []
    for title, shares in (("Real", pair.real), ("Synthetic", pair.synthetic)):
        drawn = [
            f'<rect class="more" x="{SIDE * j}" y="{SIDE * i}" width="{SIDE}" height="{SIDE}" '
            f'fill-opacity="{(shares[i][j] / most) ** 0.5:.2f}"><title>{escape(pair.rows[i])} &amp; '
            f"{escape(pair.columns[j])}: {shares[i][j]:.1%}</title></rect>"
            for i, j in cells
            if shares[i][j]
        ]
        size = f"{SIDE * len(pair.columns)} {SIDE * len(pair.rows)}"
        words = escape(f"{title} rows of {told}")
        svg = (
            f'<svg viewBox="0 0 {size}" preserveAspectRatio="none" role="img" aria-label="{words}">'
        )
        svg += "".join(drawn) + "</svg>"
        pictures.append((title, Markup(svg)))
    return pictures


def ends(cells: Sequence[str]) -> str:
    """What the cells along one side of a picture hold: all of a few, else the first and the last.

    >>> ends(["f", "m"]), ends(["below 1", "1 to 2", "2 to 3", "3 to 4", "4 and above", "missing"])
    ('f, m', 'below 1 … 4 and above, missing')
    """
    if len(cells) <= LEVELS:
        return ", ".join(shortened(cell, 24) for cell in cells)
    *rest, last = cells
    if last == "missing":
        return f"{shortened(rest[0], 24)} … {shortened(rest[-1], 24)}, missing"
    return f"{shortened(rest[0], 24)} … {shortened(last, 24)}"


def drawn_first(profiles: tuple[Profile, ...], findings: tuple[Finding, ...]) -> list[Profile]:
    """The columns with the gravest findings first.

    >>> drawn_first((Profile("x", "number", (), (), ()),), ())[0].name
    'x'
    """
    at = {name: k for k, f in reversed(list(enumerate(findings))) for name in f.columns}
    return sorted(profiles, key=lambda each: at.get(each.name.split(": ")[0], len(findings)))
