"""An error model in words: what `check` prints and the report's table of assumptions holds."""

from __future__ import annotations

from engine.error_model import (
    AR1,
    PERTURBED,
    ByLabel,
    Component,
    Constant,
    DirichletShares,
    Empirical,
    ErrorModel,
    Errors,
    ErrorSize,
    FromFile,
    KnownTotals,
    Law,
    Method,
    Period,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
    provisional_in_words,
)

QUANTITIES = {
    Quantity.Z: "intermediate deliveries Z",
    Quantity.A: "technical coefficients A",
    Quantity.E: "emissions of industries E",
    Quantity.S: "emission intensities s",
    Quantity.Y: "final demand Y",
    Quantity.F_Y: "direct emissions of final consumers F_Y",
    Quantity.PURCHASES: "purchases of demand vectors",
}


def assumptions(scenario: ErrorModel, *, purchases: bool = False) -> tuple[dict[str, str], ...]:
    """One row an entry: quantity, size, correlation, source; what is taken as exact comes last.

    Args:
        purchases: whether the question has a demand vector, whose purchases can then be exact.
    """
    rows = [
        {
            "quantity": quantity(entry),
            "size": sized(entry) + law(entry),
            "correlation": correlation(entry),
            "source": entry.source,
        }
        for entry in scenario
    ]
    return (
        *rows,
        *([dict(_REBALANCED)] if scenario.rebalance is not None else []),
        *(_known_totals(entry) for entry in scenario.totals),
        *({"quantity": words, **_EXACT} for words in exact_in_words(scenario, purchases)),
    )


def _known_totals(entry: KnownTotals) -> dict[str, str]:
    return {
        "quantity": known_totals(entry),
        "size": sized(entry) + shares(entry) + scaled(entry),
        "correlation": "; ".join(component(one) for one in entry.components),
        "source": entry.source,
    }


REBALANCING = (
    "every draw's deliveries Z and final demand Y are balanced back (RAS; GRAS where cells are "
    "negative) to the published outputs, intermediate inputs and totals of final demand"
)
_REBALANCED = {
    "quantity": "outputs of industries, their intermediate inputs, totals of final demand",
    "size": "taken as known without error",
    "correlation": f"{REBALANCING}: errors of cells are what these margins leave of them",
    "source": "assumption: method.rebalance",
}
_EXACT = {"size": "taken as exact", "correlation": "none", "source": "no entry in the error model"}


def exact_in_words(scenario: ErrorModel, purchases: bool = False) -> list[str]:
    """What is taken as exact: the cells no `only` selects, then the quantities without an entry.

    Of cells with a known total that is what they have in the total, no more.
    """
    shared = {quantity for entry in scenario.totals for quantity in entry.quantities}

    def words(quantity: Quantity) -> str:
        return QUANTITIES[quantity] + (", but for known totals" if quantity in shared else "")

    rest = [f"{words(quantity)}, other cells" for quantity in _narrowed(scenario)]
    return rest + [words(quantity) for quantity in exact(scenario, purchases)]


def exact(scenario: ErrorModel, purchases: bool = False) -> list[Quantity]:
    """The quantities the method could perturb and the scenario does not.

    Args:
        purchases: whether the question has a demand vector; without one there are none to be exact.
    """
    given = {entry.quantity for entry in scenario}
    if not purchases:
        given.add(Quantity.PURCHASES)
    return [quantity for quantity in PERTURBED[Method(scenario.method)] if quantity not in given]


def _narrowed(scenario: ErrorModel) -> list[Quantity]:
    """The quantities of which every entry is limited to some of the cells."""
    whole = {entry.quantity for entry in scenario if not entry.only}
    return [q for q in dict.fromkeys(entry.quantity for entry in scenario) if q not in whole]


def quantity(entry: Errors) -> str:
    """What an entry is about, with the cells it is limited to."""
    only = "; ".join(f"{key} {', '.join(names)}" for key, names in entry.only.items())
    return QUANTITIES[entry.quantity] + (f" (only {only})" if only else "")


def known_totals(entry: KnownTotals) -> str:
    """What known totals are about: quantities, the groups that have one, and what limits them."""
    of = " and ".join(QUANTITIES[quantity] for quantity in entry.quantities)
    only = "; ".join(f"{key} {', '.join(names)}" for key, names in entry.only.items())
    limits = f" (only {only})" if only else ""
    return f"known totals of {of}, one for each {' and '.join(entry.by)}{limits}"


def scaled(entry: KnownTotals) -> str:
    """What the totals are, where that is not what the tables' cells add up to anyway."""
    if entry.stated is None:
        return ""
    return ", cells scaled to stated totals" if entry.rescale else ", stated totals agree"


def shares(entry: KnownTotals) -> str:
    """The law of Dirichlet shares, where that is what the totals have."""
    if entry.concentration is None:
        return ""
    return f", Dirichlet shares of concentration {entry.concentration:g}"


def sized(entry: Errors | KnownTotals) -> str:
    """An entry's size in words, with the years in which it is larger."""
    return size(entry.size) + provisional_in_words(entry.provisional)


def size(error: ErrorSize) -> str:
    """A relative standard deviation (rsd) in words."""
    match error:
        case Constant(rsd):
            return f"rsd {100 * rsd:g} %"
        case ByLabel(keys, rsds):
            low, high = min(rsds.values()), max(rsds.values())
            between = f"{100 * low:g}" if low == high else f"{100 * low:g} to {100 * high:g}"
            return f"rsd by {', '.join(keys)}, {between} %"
        case PowerLaw(a, b, floor, ceiling, currency):
            return (
                f"rsd {a:g} v^{b:g}, v in {currency}, between {100 * floor:g} "
                f"and {100 * ceiling:g} %"
            )
        case FromFile(path, sha256):
            hashes = f" (sha256 {sha256[:12]})" if isinstance(sha256, str) else ""
            return f"rsd of each cell from {path.name}{hashes}"
        case Empirical(path, _, realisations, rescale):
            scaled = ", each cell's divided by their mean" if rescale else ""
            return f"factors of {realisations} realisations from {path.name}{scaled}"
        case DirichletShares():
            return "Dirichlet shares of their known totals"


def law(entry: Errors) -> str:
    """The law of an entry's factors, where it is none of the lognormal ones all others have."""
    if isinstance(entry.size, Empirical):
        return ", their own law"
    return "" if entry.law is Law.LOGNORMAL else f", {entry.law}"


def correlation(entry: Errors) -> str:
    """What cells and years of an entry have in common."""
    if isinstance(entry.size, Empirical):
        return "the files' own: draw d of all cells and years is their realisation d"
    return "; ".join(component(one) for one in entry.components)


def component(part: Component) -> str:
    """A component's share, group and time key in words."""
    group = (
        "each cell its own"
        if part.group == ("cell",)
        else "shared by "
        + (
            "all cells"
            if part.group == ("all",)
            else f"the cells of one {' and '.join(part.group)}"
        )
    )
    shared = f", the errors of {'.'.join(part.shared_with)}" if part.shared_with else ""
    return (
        f"{part.name}: {100 * part.weight:g} % of the variance, {group}, {time(part.time)}{shared}"
    )


def time(key: TimeKey) -> str:
    """A time key in words."""
    match key:
        case Persistent():
            return "one error for all years"
        case Yearly():
            return "a new error every year"
        case Period(starts):
            return f"a new error in {', '.join(map(str, starts))}"
        case AR1(phi):
            return f"correlating {phi:g} from one year to the next (AR(1))"
