"""Is the target met? The section of one consumer and stressor, from the topic's rows alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.kernels.targets import Conformity
from engine.report.figures.fan import Limit
from engine.report.figures.targets import Lane, targets
from engine.report.matter import Illustration, Matter, Section
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, probability, two_digits
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import cardinal

_TRUE_BASE = "true base"
_LANES = 12  # of one figure
_NAMED = 4  # targets told one by one in a caption


def target_section(matter: Matter) -> Section:
    """Each target in a sentence, the figure, and the table of both rules."""
    rows = matter.rows
    said = [_sentence(*_both(rows, name)) for name in _names(rows)]
    drawable = [row for row in rows if _drawable(row)]
    figures = (_figure(matter, drawable[:_LANES]),) if matter.drawn and drawable else ()
    return Section(
        "Is the target met?",
        (*said, *_risks(rows)),
        figures,
        (_table(rows),),
        notes=_notes(rows),
    )


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["target"] for row in rows))


def _both(rows: Sequence[Row], name: str) -> tuple[Row, Row]:
    """The row of the true base and that of the fixed base."""
    own = sorted(
        (row for row in rows if row["target"] == name), key=lambda row: row["rule"] != _TRUE_BASE
    )
    return own[0], own[1]


def limits(rows: Sequence[Row]) -> tuple[Limit, ...]:
    """What the targets allow, for the figure of the footprint over time."""
    own = [_both(rows, name)[0] for name in _names(rows)]
    return tuple(Limit(row["target"], _last_year(row), row["year"], row["limit"]) for row in own)


def _last_year(row: Row) -> int:
    """The last year of the base."""
    return int(str(row["base"])[-4:])


# --- sentences ------------------------------------------------------------------------------------


def _sentence(row: Row, fixed: Row) -> str:
    base = base_years(row)
    opening = (
        f"Target {row['target']}: at most {_plain(100 * row['share'])}{NBSP}% of {base} in "
        f"{row['year']}. {_estimated(row)}"
    )
    judged = _judged(row)
    needed = _needed(row, fixed)
    return " ".join(part for part in (opening, judged, needed) if part)


def base_years(row: Row) -> str:
    """`2010`, or the mean of several years."""
    years = str(row["base"]).replace("-", EN_DASH)
    return years if years.isdigit() else f"the mean of {years}"


def _plain(value: float) -> str:
    return number(value, 0 if math.isclose(value, round(value), abs_tol=1e-9) else 1)


def _estimated(row: Row) -> str:
    if row["estimate_share"] is None:
        return "The base is not positive, so that no share of it can be told."
    below = row["overshoot_percent"]
    decimals = places(_spread(row))
    away = f"{number(abs(below), max(decimals, 1))}{NBSP}%"
    return (
        f"The estimate is {number(100 * row['estimate_share'], decimals)}{NBSP}%, {away} "
        f"{'below' if below > 0 else 'above'} the target."
    )


def _judged(row: Row) -> str:
    verdict, p = row["verdict"], _p_conforms(row)
    likely = f"The probability that the target is met is {p}"
    level = f"{100 * row['confidence']:.4g}{NBSP}%"
    return {
        Conformity.CONFORMS: f"{likely}: it is met, at a confidence of {level}.",
        Conformity.FAILS: f"{likely}: it is missed, at a confidence of {level}.",
        Conformity.NEITHER: (
            f"{likely}: neither that it is met nor that it is missed is shown at a confidence of "
            f"{level}."
        ),
        Conformity.NEEDS_MORE_DRAWS: f"{likely}; more draws are needed to judge it.",
        Conformity.BORDERLINE: f"{likely}, at the limit; it is treated as neither shown.",
        Conformity.NOT_ASSESSED: (
            "It is not assessed: the error model allows the comparison no error."
        ),
    }[Conformity(verdict)]


def _needed(row: Row, fixed: Row) -> str:
    """What an estimate and a true value would have to be, and what a fixed base would say."""
    if row["verdict"] == Conformity.NOT_ASSESSED:
        return ""
    if row["acceptance_limit"] is None and row["acceptance"] <= row["confidence"]:
        return "Too many draws were rejected for any estimate to be shown to conform."
    if row["acceptance_limit_share"] is None:
        return ""
    sentence = (
        f"An estimate conforms up to {_share(row, 'acceptance_limit_share')}, "
        f"{two_digits(row['required_overshoot_percent'])}{NBSP}% below the target, and a true "
        f"value has to be {_share(row, 'accepted_truth_share')} or less to be found to conform "
        f"with a probability of {100 * row['power']:.4g}{NBSP}%."
    )
    if fixed["verdict"] == Conformity.NOT_ASSESSED:
        return sentence
    p = _p_conforms(fixed)
    return (
        f"{sentence} With the fixed base the probability is {p}, and an estimate conforms up to "
        f"{_share(fixed, 'acceptance_limit_share')} ({fixed['verdict']})."
    )


def _share(row: Row, name: str) -> str:
    value = row[name]
    return NOTHING if value is None else f"{number(100 * value, places(_spread(row)))}{NBSP}%"


def _spread(row: Row) -> float:
    """Standard uncertainty of the estimate, in percent of the base."""
    if row["scale"] != "log" or row["estimate_share"] is None or row["sigma"] is None:
        return math.nan
    return float(100 * row["sigma"] * row["estimate_share"])


def _p_conforms(row: Row) -> str:
    return probability(_or_nan(row["p_conforms"]), row["draws"], 1 - row["confidence"])


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _risks(rows: Sequence[Row]) -> list[str]:
    """One sentence for each target with a prior."""
    both = [_both(rows, name) for name in _names(rows)]
    return [
        f"Target {row['target']}: if the true share was believed to be "
        f"{_plain(100 * row['prior_mean'])}{NBSP}% with a standard deviation of "
        f"{two_digits(100 * row['prior_sd'])}{NBSP}% before the estimate (source: "
        f"{row['prior_source']}), the probability that the target is missed and nevertheless "
        f"found to conform (consumer's risk) is {_risk(row, 'consumers')} with the true base and "
        f"{_risk(fixed, 'consumers')} with the fixed base; the probability that it is met and "
        f"nevertheless not found to conform (producer's risk), {_risk(row, 'producers')} and "
        f"{_risk(fixed, 'producers')}."
        for row, fixed in both
        if row["consumers_risk"] is not None
    ]


def _risk(row: Row, whose: str) -> str:
    """A risk to two digits, and no smaller than draws can tell; a dash where there is none."""
    value = row[f"{whose}_risk"]
    if value is None or value < 0.0005:
        return probability(_or_nan(value), row["draws"])
    return f"{two_digits(100 * value)}{NBSP}%"


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    met = {row["verdict"] for row in rows}
    words = [f"{verdict}: {verdict.meaning}" for verdict in Conformity if str(verdict) in met]
    sources = {row["target"]: row["source"] for row in rows}
    return (
        "True base: the true footprint of the base is what counts, as uncertain as any other; "
        "errors that the years share cancel. Fixed base: the published estimate of the base counts "
        "as it stands, and they do not. Guard band: estimates below the target, but not by enough "
        "to show at the confidence asked that it is met.",
        *(f"{word[:1].upper()}{word[1:]}." for word in words),
        *(f"Target {name}, source: {source}." for name, source in sources.items()),
    )


# --- figure and table -----------------------------------------------------------------------------


def _drawable(row: Row) -> bool:
    names = ("ratio_q025", "acceptance_limit_share", "estimate_share")
    return row["verdict"] != Conformity.NOT_ASSESSED and all(
        row[name] is not None for name in names
    )


def _figure(matter: Matter, rows: Sequence[Row]) -> Illustration:
    key = f"{matter.stem}-target"
    spoken = "; ".join(
        f"{row['target']}, {row['rule']}: estimate {_share(row, 'estimate_share')}, target "
        f"{_plain(100 * row['share'])}{NBSP}%, probability that it is met "
        f"{_p_conforms(row)}, {row['verdict']}"
        for row in rows
    )
    about = f"Targets and estimates: {matter.subject} ({matter.data})"
    drawn = targets(
        [_lane(row) for row in rows], key=key, data=matter.data, alt=f"{about}. {spoken}."
    )
    return Illustration(drawn, _caption(rows), ((key, list(rows)),))


def _lane(row: Row) -> Lane:
    low, lower, upper, high = (
        100 * row[f"ratio_{name}"] for name in ("q025", "q250", "q750", "q975")
    )
    return Lane(
        title=str(row["target"]),
        subtitle=f"{row['year']}, {row['rule']}",
        verdict=str(row["verdict"]),
        probability=f"{_p_conforms(row)} met",
        estimate=100 * row["estimate_share"],
        target=100 * row["share"],
        acceptance=100 * row["acceptance_limit_share"],
        ends=(low, lower, upper, high),
    )


def _caption(rows: Sequence[Row]) -> str:
    return (
        f"{_message(rows)} An estimate (dot) shows that a target (red line) is met when it lies at "
        "the dashed line or left of it; in the shaded guard band it lies below the target, and not "
        f"by enough. The bands hold the true ratio with a probability of 50 and 95{NBSP}%."
    )


def _message(rows: Sequence[Row]) -> str:
    """What is shown of each target, by one rule or by both; counted where they are many."""
    names = _names(rows)
    if len(names) > _NAMED:
        met = sum(
            all(row["verdict"] == Conformity.CONFORMS for row in rows if row["target"] == name)
            for name in names
        )
        many = f"{cardinal(met).capitalize()} of {len(names)} targets"
        return f"{many} {'is' if met == 1 else 'are'} shown to be met by both rules."
    return " ".join(f"{name[:1].upper()}{name[1:]}: {_shown(name, rows)}." for name in names)


def _shown(name: str, rows: Sequence[Row]) -> str:
    own = [row for row in rows if row["target"] == name]
    words = {Conformity.CONFORMS: "shown to be met", Conformity.FAILS: "shown to be missed"}
    said = []
    for verdict, word in words.items():
        rules = [str(row["rule"]) for row in own if row["verdict"] == verdict]
        if rules:
            each = "both rules" if len(rules) == 2 else f"the rule of the {rules[0]}"
            said.append(f"{word} by {each}")
    return " and ".join(said) or "neither shown to be met nor to be missed"


def _table(rows: Sequence[Row]) -> Table:
    level = f"{100 * rows[0]['confidence']:.4g}{NBSP}%"
    return Table(
        f"In percent of the base's estimate; one-sided confidence {level}.",
        (
            "Target",
            "Rule",
            "Estimate",
            "Target",
            "Conforms up to",
            "P(met)",
            "Verdict",
        ),
        tuple(_line(row) for row in rows),
    )


def _line(row: Row) -> Line:
    assessed = row["verdict"] != Conformity.NOT_ASSESSED
    note = ""
    if row["asymmetric"]:
        mirrored = probability(_or_nan(row["p_conforms_reflected"]), row["draws"])
        note = f"mirrored, P(met) is {mirrored}: the two ways of counting disagree"
    return Line(
        (
            str(row["target"]),
            str(row["rule"]),
            _share(row, "estimate_share"),
            f"{_plain(100 * row['share'])}{NBSP}%",
            _share(row, "acceptance_limit_share") if assessed else NOTHING,
            _p_conforms(row) if assessed else NOTHING,
        ),
        str(row["verdict"]),
        note,
    )
