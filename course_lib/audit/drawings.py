"""Small pictures for the page, as SVG that follows its colours: columns, and how they go together."""

from itertools import combinations

from markupsafe import Markup, escape

from course_lib.audit.finding import Finding
from course_lib.audit.profile import Associations, Profile

WIDTH, HEIGHT = 240, 84  # of a column's picture, in its own units
SIDE = 12  # of a cell of a matrix


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
    """The pairs below the diagonal; what is more than 0 in one colour, what is less in another."""
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
    far = max(range(len(values)), key=lambda k: abs(values[k]))
    pair = " & ".join(list(combinations(names, 2))[far])
    told = escape(f"{title}: largest at {pair}, {values[far]:.2f}.")
    return Markup(
        f'<svg viewBox="0 0 {size} {size}" role="img" aria-label="{told}">{"".join(cells)}</svg>'
    )


def drawn_first(profiles: tuple[Profile, ...], findings: tuple[Finding, ...]) -> list[Profile]:
    """The columns with the gravest findings first.

    >>> drawn_first((Profile("x", "number", (), (), ()),), ())[0].name
    'x'
    """
    at = {name: k for k, f in reversed(list(enumerate(findings))) for name in f.columns}
    return sorted(profiles, key=lambda each: at.get(each.name.split(": ")[0], len(findings)))
