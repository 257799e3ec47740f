"""Where the uncertainty of the change comes from, and what better data would buy: a section."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis import is_told, years_in_short
from engine.analysis.budget import (
    AVERAGES,
    MOST_YEARS,
    WHOLE,
    YEARLY,
    change_in_words,
    main_decline,
    other_scale,
    shown_entries,
)
from engine.budget import ALL_SECTORS, DIRECT, SEVERAL_REGIONS, TOTALS, By
from engine.error_model import Quantity
from engine.report.figures import budget as drawing
from engine.report.figures.budget import Bar, Panel
from engine.report.matter import Illustration, Matter, Section
from engine.report.naming import Names, listed
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, two_digits
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import miss
from engine.wording import QUANTITIES

TITLE = "What the uncertainty comes from, and what better data would buy"
_YEARS = "How long until a decline shows"
_SHOWN = 6
_SEEN = 0.02  # of the variance: less is not drawn by itself where halving it changes nothing
_KINDS = (By.QUANTITY, By.REGION, By.SECTOR)
_ERRORS = (By.COMPONENT, By.GROUP)
_OF = {By.QUANTITY: "kind of data", By.REGION: "region of the data", By.SECTOR: "sector"}


def budget_section(matter: Matter) -> Section:
    """Bars of shares of the variance, with what halving each error would leave to be seen."""
    yearly = [row for row in matter.rows if row["change"] in AVERAGES]
    if not yearly or not yearly[0]["sigma"]:
        return Section(TITLE, (_nothing(matter, yearly),))
    if yearly[0]["mdc"] is None:
        return Section(TITLE, (_rejected(yearly[0]),))
    return Section(
        TITLE,
        (
            f"{_most(yearly, matter.names)} {_better(yearly, matter)}",
            *_harm(yearly, matter.names),
            *_off(yearly[0]),
            *_some_rejected(yearly[0]),
            *_other_scale(yearly),
        ),
        (_illustration(yearly, matter),) if matter.drawn else (),
        folded=(
            *_whole(matter.rows, matter.names),
            *_checked(yearly),
            *_years_compared(yearly, matter),
            _table(yearly, matter.names, _KINDS, _CAPTION),
            _table(yearly, matter.names, _ERRORS, _COMPONENTS),
        ),
        summary="Every entry, and the components of the error model",
        notes=_notes(yearly),
    )


def _nothing(matter: Matter, yearly: Sequence[Row]) -> str:
    about = f"For {matter.subject},"
    if not yearly:
        return (
            f"{about} some changes are relative and others are not, so that they have no average."
        )
    change = change_in_words(yearly[0])
    return f"{about} the error model leaves no error of {change} that could be divided."


# --- sentences ----------------------------------------------------------------------------------


def _most(yearly: Sequence[Row], names: Names) -> str:
    first = yearly[0]
    span = f"{first['from_year']}{EN_DASH}{first['to_year']}"
    parts = []
    for by in _KINDS:
        largest = _largest(yearly, by)
        parts.append(f"by {_OF[by]}, {_called(largest, names)} ({_percent(largest['share'])})")
    return (
        f"Of the variance of {change_in_words(first)}, on average over {span}, the largest "
        f"shares are, {'; '.join(parts)}."
    )


def _largest(rows: Sequence[Row], by: By) -> Row:
    """The largest entry of a kind; known totals, which are a kind of data, are of no sector."""
    own = _of_kind(rows, by)
    of_sectors = [row for row in own if row["entry"] != ALL_SECTORS]
    chosen, _ = shown_entries(of_sectors or own, 1)
    return chosen[0]


def _better(yearly: Sequence[Row], matter: Matter) -> str:
    """The entry whose halving helps most, of a region's or a kind of data."""
    best = _helping_most(yearly)
    unit = "year" if best["change"] == YEARLY else "case"
    least = f"{_smallest(best)} (missed {miss(matter.rule, unit)})"
    called = _called(best, matter.names)
    return (
        f"Halving the error of {called} would take {least} from {_least(best)} to "
        f"{_least(best, '_halved')}; if its errors were the same in all years instead, it would be "
        f"{_least(best, '_lasting')}."
    )


def _helping_most(yearly: Sequence[Row]) -> Row:
    """Of what is no whole kind of data, unless it helps more than that."""
    listed = [row for row in yearly if row["by"] in _KINDS and row["sigma_halved"] is not None]
    return min(listed, key=lambda row: row["sigma_halved"])


def _harm(yearly: Sequence[Row], names: Names) -> tuple[str, ...]:
    """What offsets other errors makes the change less certain when it alone is better known."""
    worse = [
        row
        for row in yearly
        if row["by"] in _KINDS
        and row["sigma_halved"] is not None
        and row["sigma_halved"] > 1.005 * row["sigma"]
    ]
    if not worse:
        return ()
    called = ", ".join(_called(row, names) for row in worse[:3])
    return (
        f"Halving the error of {called} alone would make changes harder to see, because it offsets "
        "the errors of other data.",
    )


def _whole(rows: Sequence[Row], names: Names) -> tuple[str, ...]:
    whole = [row for row in rows if row["change"] == WHOLE]
    if not whole or not whole[0]["sigma"]:
        return ()
    years = f"{whole[0]['from_year']}{EN_DASH}{whole[0]['to_year']}"
    largest = [_largest(whole, by) for by in _KINDS]
    named = [f"{_called(row, names)} ({_percent(row['share'])})" for row in largest]
    return (f"Over the whole span {years} the largest are {listed(named)}.",)


def _checked(yearly: Sequence[Row]) -> tuple[str, ...]:
    """First order against the draws."""
    first = yearly[0]
    if first["sigma_drawn"] is None:
        return ()
    error = first["sigma_drawn_mcse"] or 0.0
    return (
        f"To first order {change_in_words(first)} has a standard uncertainty of "
        f"{_sigma(first, first['sigma'])}, among the draws {_sigma(first, first['sigma_drawn'])} "
        f"(Monte Carlo standard error {_sigma(first, error, own=True)}).",
    )


def _notes(yearly: Sequence[Row]) -> tuple[str, ...]:
    ahead = main_decline(yearly) is not None
    return (
        "Shares of the variance, and what halving an error would leave, are to first order, "
        "without draws. A cell belongs to the region and sector that sell, or that emit; direct "
        "emissions to the consumer's region. Shares can be negative where errors offset each "
        "other. What becomes the same in all years is shared with other data only where it was so "
        "before.",
        *([_OF_TOTALS] if any(row["entry"] == TOTALS for row in yearly) else []),
        *([_AHEAD] if ahead else []),
    )


def _off(row: Row) -> tuple[str, ...]:
    """That first order is not what was drawn."""
    if not row["first_order_off"]:
        return ()
    apart = f"{100 * abs(row['first_order_ratio'] - 1):.0f}{NBSP}%"
    return (
        f"Warning: first order is off by {apart} of the draws’ standard uncertainty, more than "
        "chance among the draws explains. Shares, and what better data would buy, may be off as "
        "far; the draws are the ones to believe.",
    )


def _some_rejected(row: Row) -> tuple[str, ...]:
    if row["acceptance"] is None or row["acceptance"] == 1:
        return ()
    return (
        f"Warning: {100 * (1 - row['acceptance']):.2g}{NBSP}% of the draws were rejected, of which "
        "first order knows nothing. The shares are those of the error model without rejection; "
        "minimum detectable falls and years count the rejected draws against detection, as many of "
        "them with better data as now.",
    )


def _rejected(row: Row) -> str:
    return (
        f"{100 * (1 - row['acceptance']):.2g}{NBSP}% of the draws were rejected. First order knows "
        "nothing of them, and as they might lie in either tail no change could be detected, "
        "whatever its size: no budget is told."
    )


def _smallest(row: Row) -> str:
    if row["change"] == YEARLY:
        return "the minimum detectable yearly fall"
    return "the minimum detectable fall from one year of the run to the next"


def _other_scale(yearly: Sequence[Row]) -> tuple[str, ...]:
    first = yearly[0]
    if not other_scale(first):
        return ()
    return (
        "Some draws are not positive, so that verdicts are about differences in "
        f"{first['unit']}; this budget, to first order, is about relative changes, and its "
        "minimum detectable falls are not those beside the verdicts.",
    )


def _years_compared(yearly: Sequence[Row], matter: Matter) -> tuple[str, ...]:
    """Where the years here are not those of the topic that asks the draws."""
    column = main_decline(yearly)
    if column is None:
        return ()
    percent, now = column.split("_")[1], yearly[0][column]
    told = [
        row
        for row in matter.beside.get("years_to_detect", ())
        if row["own"] and row["part"] == "total" and is_told(row) and not row["real_sd"]
        if f"{row['decline_percent']:g}" == percent and not row["reason"]
    ]
    if not told or any(_within(now, row) for row in told):
        return ()
    here = f"more than{NBSP}{MOST_YEARS}" if now is None else str(now)
    there = " or ".join(
        dict.fromkeys(years_in_short(row).replace("> ", f"more than{NBSP}") for row in told)
    )
    return (
        f"A fall of {percent}{NBSP}% a year takes {here} years here, and {there} under “{_YEARS}”. "
        "The two differ where the last year's errors are not of "
        "the usual size, where errors that last move with the structure of the economy, or where "
        "first order falls short; the draws are the ones to believe.",
    )


def _within(now: int | None, row: Row) -> bool:
    """Whether the years here are among those that the draws leave open."""
    beyond = row["most_years"] + 1
    years = MOST_YEARS + 1 if now is None else now
    low, high = (beyond if row[end] is None else row[end] for end in ("years_low", "years_high"))
    return bool(low <= years and (years <= high or high == beyond))


_OF_TOTALS = (
    "Where cells are shares of a known total, theirs is what moves emissions between them; the "
    "known total's own error stands apart, with its region and sector where it is of one."
)
_AHEAD = (
    "Years in the tables of the budget are to first order: errors to come are of the last year's "
    "size, those of each component as alike from year to year as the error model states, and those "
    f"that last count as changing no slope. Under “{_YEARS}” size and correlation are those of "
    "the draws over all years of the run."
)


# --- figure and tables --------------------------------------------------------------------------


def _illustration(yearly: Sequence[Row], matter: Matter) -> Illustration:
    panels, data = [], []
    for by in _KINDS:
        drawn = _drawn(_of_kind(yearly, by))
        data += drawn
        panels.append(Panel(f"by {_OF[by]}", tuple(_bar(row, matter.names) for row in drawn)))
    spoken = "; ".join(
        f"{panel.title}: " + ", ".join(f"{bar.name} {bar.shown}" for bar in panel.bars)
        for panel in panels
    )
    best = _helping_most(yearly)
    key = f"{matter.stem}-budget"
    message = (
        f"Halving the error of {_called(best, matter.names)} would lower {_smallest(best)} "
        f"from {_least(best)} to {_least(best, '_halved')}."
    )
    alt = (
        f"Where the uncertainty of {change_in_words(yearly[0])} comes from: {matter.subject} "
        f"({matter.data}). {spoken}. {message}"
    )
    picture = drawing.budget(
        panels, _number(yearly[0]), _least(yearly[0]), key=key, data=matter.data, alt=alt
    )
    caption = (
        f"{message} Bars: share of the variance of {change_in_words(best)}; dots: the minimum "
        "detectable fall if that error alone were halved, shown where it differs from now."
    )
    return Illustration(picture, caption, ((key, data),))


def _drawn(rows: Sequence[Row]) -> list[Row]:
    """The entries of one kind that a figure shows, and all others together as one row more."""
    largest, _ = shown_entries(rows, _SHOWN)
    chosen = [
        row for row in largest if abs(row["share"]) >= _SEEN or _halving_shows(row)
    ] or largest[:1]
    others = sum(row["share"] or 0.0 for row in rows) - sum(row["share"] for row in chosen)
    if abs(others) < 0.005:
        return chosen
    numbers = ("share", "_halved", "_lasting", "_without", "years_")
    rest = {
        name: None if any(part in name for part in numbers) else value
        for name, value in rows[0].items()
    }
    return [*chosen, rest | {"entry": f"other {_PLURAL[By(rows[0]['by'])]}", "share": others}]


def _halving_shows(row: Row) -> bool:
    """Whether the minimum detectable fall, as printed, is another with the error halved."""
    return row["sigma_halved"] is not None and _least(row, "_halved") != _least(row)


def _bar(row: Row, names: Names) -> Bar:
    rest = row["sigma_halved"] is None
    better = _halving_shows(row)
    return Bar(
        str(row["entry"]) if rest else _called(row, names, short=True),
        row["share"],
        _percent(row["share"]),
        _number(row, "_halved") if better else None,
        _least(row, "_halved") if better else "",
        rest=rest,
    )


_CAPTION = (
    "What the uncertainty of {change} comes from, and the minimum detectable fall if that error "
    "were half as large, or the same in all years."
)
_COMPONENTS = (
    "The same by component of the error model, then by groups of cells that share an error; these "
    "are independent of each other."
)


def _table(yearly: Sequence[Row], names: Names, kinds: Sequence[By], caption: str) -> Table:
    years, caption = main_decline(yearly), caption.format(change=change_in_words(yearly[0]))
    head: tuple[str, ...] = ("From", "Share of the variance", "Halved", "The same in all years")
    if years:
        percent = years.split("_")[1]
        now = yearly[0][years]
        caption += (
            f" Years: until a steady fall of {percent}{NBSP}% a year shows, from measurement error "
            f"alone; now {NOTHING if now is None else now}."
        )
        head = (*head, "Years, halved", "Years, the same in all")
    lines = []
    for by in kinds:
        chosen, others = shown_entries(_of_kind(yearly, by), _SHOWN)
        lines += [_line(row, years, names) for row in chosen]
        if abs(others) >= 0.005:
            empty = (NOTHING,) * (len(head) - 2)
            lines.append(Line((f"other {_PLURAL[by]}", _percent(others), *empty)))
    return Table(f"{caption} Now: {_least(yearly[0])}.", head, tuple(lines))


_PLURAL = {
    By.QUANTITY: "kinds of data",
    By.REGION: "regions",
    By.SECTOR: "sectors",
    By.COMPONENT: "components",
    By.GROUP: "groups",
}


def _line(row: Row, years: str | None, names: Names) -> Line:
    cells = [
        _called(row, names),
        _percent(row["share"]),
        _least(row, "_halved"),
        _least(row, "_lasting"),
    ]
    if years:
        for end in ("_halved", "_lasting"):
            value = row[f"{years}{end}"]
            cells.append(NOTHING if value is None else str(value))
    return Line(tuple(cells))


# --- words and numbers --------------------------------------------------------------------------


def _of_kind(rows: Sequence[Row], by: By) -> list[Row]:
    return [row for row in rows if row["by"] == by]


def _called(row: Row, names: Names, *, short: bool = False) -> str:
    """An entry of the budget in words; `short` where what it is of stands above it."""
    entry, by = str(row["entry"]), row["by"]
    if by == By.QUANTITY and entry != TOTALS:
        words = QUANTITIES[Quantity(entry)]
        return words.replace("of final consumers ", "") if short else words
    if by == By.GROUP and ": " in entry:
        component, cells = entry.split(": ", 1)
        return f"{component}: {names.each(cells)}"
    if entry in (TOTALS, ALL_SECTORS):  # these are the same, as a kind of data and as no sector
        return TOTALS if short else f"{TOTALS} of emissions"
    if short or by not in (By.REGION, By.SECTOR) or entry == DIRECT:
        return names.of(entry)
    if by == By.SECTOR:
        return f"sector {names.in_full(entry)}"
    return f"totals of {entry}" if entry == SEVERAL_REGIONS else f"data of {names.within(entry)}"


def _percent(share: float) -> str:
    return f"{number(100 * share, 0)}{NBSP}%"


def _number(row: Row, suffix: str = "") -> float:
    name = "mdc_decrease_percent" if row["scale"] == "log" else "mdc"
    return float(row[f"{name}{suffix}"])


def _least(row: Row, suffix: str = "") -> str:
    unit = "%" if row["scale"] == "log" else row["unit"]
    return f"{number(_number(row, suffix), places(_number(row)))}{NBSP}{unit}"


def _sigma(row: Row, value: float, *, own: bool = False) -> str:
    scale, unit = (100.0, "%") if row["scale"] == "log" else (1.0, row["unit"])
    if own:
        return f"{two_digits(scale * value)}{NBSP}{unit}"
    return f"{number(scale * value, places(scale * row['sigma']))}{NBSP}{unit}"
