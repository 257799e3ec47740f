"""What `check` says of one table: whether it can be believed, on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from engine.kernels.arrays import F64
from engine.kernels.leontief import multipliers, per_unit_output
from engine.mrio import MRIO, UNBALANCED, findings
from engine.question import Consumer, Question
from engine.readers import Official, rests

WORST = 5  # differences named
LARGE = 0.01  # a difference that is warned of: of a row, or of a footprint
_ROUNDING, _DAMAGE = 1e-6, 1e-3  # of all output that row sums miss, together
_EXACT = 1e-12  # of a row: what adding it up in another order may change
_AGREE = 5e-4  # footprints that differ by less are not listed
_DIGITS = 16
_WIDTH = 96
OUT_OF_BALANCE = "that is more than rounding"


def head(table: MRIO, traps: Sequence[str]) -> Iterator[str]:
    """What all years have in common: labels, units, and what is known to mislead."""
    labels = table.labels
    yield (
        f"{len(labels.industries)} industries, {len(labels.regions)} regions, "
        f"{', '.join(labels.stressors)}; {labels.currency}"
    )
    yield f"regions: {_listed(labels.regions)}"
    yield f"sectors: {_listed(labels.sectors)}"
    if left := rests(labels.regions):
        yield f"beware: no country, but what is left of the world: {_listed(left)}"
    for words in traps:
        yield f"beware: {words}"


def page(table: MRIO, question: Question, published: Sequence[Official]) -> Iterator[str]:
    """One year's files, balance, emissions, footprints beside published ones, and oddities."""
    provenance = table.provenance
    name, *notes = provenance.source.split("; ")
    unsaid = provenance.synthetic and "SYNTHETIC" not in provenance.source
    mark, version = "SYNTHETIC: " if unsaid else "", provenance.version or "no version"
    yield f"{table.year}: {mark}{name}, {version}"
    yield f"  licence: {provenance.licence}"
    for note in notes:
        yield f"  {note}"
    yield f"  table: sha256 {table.sha256[:_DIGITS]}"
    for name, digest in provenance.files:
        yield f"  file {name}: sha256 {digest[:_DIGITS]}"
    yield from _balance(table)
    yield from _emissions(table, question)
    if published:
        found = _footprints(table)
        for one in published:
            row = found[table.labels.stressors.index(one.stressor)]
            ours = dict(zip(table.labels.regions, map(float, row), strict=True))
            yield from _beside(ours, one, question.consumers)
    for finding in findings(table):
        if finding.kind != UNBALANCED:
            yield f"  {finding.kind}: {finding.count} ({finding.detail})"


def _listed(names: Sequence[str]) -> str:
    """Names in a row, told apart whatever is in them."""
    between = "; " if any("," in name for name in names) else ", "
    return between.join(names)


def _balance(table: MRIO) -> Iterator[str]:
    """Row sums beside the published output."""
    stated, money = table.published_output, table.labels.currency.partition(",")[0]
    total = f"{_amount(table.x.sum())} {money}"
    if stated is None:
        yield f"  output: {total}; the files hold none of their own to compare with"
        return
    gap = np.abs(table.x - stated)
    gap[gap < _EXACT * np.abs(stated)] = 0
    worst = [at for at in np.argsort(-gap, kind="stable")[:WORST] if gap[at]]
    if gap.sum() <= _ROUNDING * np.abs(stated).sum():
        most = f", by {_amount(gap[worst[0]])} at {_industry(table, worst[0])}" if worst else ""
        yield f"  output: {total}; row sums are the published output but for rounding{most}"
        return
    far = int((gap > LARGE * np.abs(stated)).sum())
    yield (
        f"  output: row sums {total}, published {_amount(stated.sum())} "
        f"({_percent(table.x.sum(), stated.sum())}); {far} of {len(gap)} rows differ by more than "
        f"{LARGE:.0%}; the largest differences:"
    )
    for at in worst:
        yield (
            f"    {_industry(table, at)}: row sum {_amount(table.x[at])}, published "
            f"{_amount(stated[at])} ({_percent(table.x[at], stated[at])})"
        )
    if gap.sum() > _DAMAGE * np.abs(stated).sum():
        yield (
            f"    warning: {OUT_OF_BALANCE}: the publisher's own imbalance, or a damaged file; "
            "compare with another download"
        )


def _industry(table: MRIO, at: int) -> str:
    return " ".join(table.labels.industries[at])


def _emissions(table: MRIO, question: Question) -> Iterator[str]:
    """The whole table's, of the stressors that are asked for."""
    for k, name in enumerate(table.labels.stressors):
        if any(name in indicator.weights for indicator in question.indicators):
            direct = table.F_Y[k].sum()
            total = table.E[k].sum() + direct
            share = f"{direct / total:.1%} by final consumers" if total else "none anywhere"
            yield f"  emissions: {_amount(total)} {table.labels.stressor_units[k]} {name}, {share}"


def _footprints(table: MRIO) -> F64:
    """Footprints of all regions, (k,r), to first principles."""
    A = per_unit_output(table.Z, table.x, table.active)
    s = per_unit_output(table.E, table.x, table.active)
    found: F64 = multipliers(A, s) @ table.Y + table.F_Y
    return found


def _beside(
    ours: Mapping[str, float], published: Official, consumers: Sequence[Consumer]
) -> Iterator[str]:
    """Our footprints against those that were published, region by region."""
    theirs = published.footprints
    known = [region for region in ours if theirs.get(region)]
    apart = {region: ours[region] / theirs[region] - 1 for region in known}
    missing = [region for region in ours if region not in known]
    title = f"footprints of {published.stressor} against those published in {published.file}"
    most = max(map(abs, apart.values()), default=0.0)
    if published.folded:
        title += ", of more regions or sectors: differences hold the aggregation error"
    if known and most < _AGREE:
        yield f"  {title}: all {len(known)} agree to {most:.1g} of their size"
    else:
        yield f"  {title}, {len(known)} of {len(ours)} regions, in percent:"
        yield from _in_columns([f"{name} {100 * gap:+.1f}" for name, gap in apart.items()])
    for consumer in consumers:
        members = consumer.members
        if consumer.purchases is None and len(members) > 1 and all(m in apart for m in members):
            own, other = (sum(of[member] for member in members) for of in (ours, theirs))
            yield f"    {consumer.name}: {_percent(own, other)}"
    if missing:
        yield f"    not published, or not whole: {' '.join(missing)}"
    far = [region for region, gap in apart.items() if abs(gap) > LARGE]
    if far and published.folded:
        yield (
            f"    more than {LARGE:.0%} apart: {' '.join(far)}; hold that against "
            "the aggregation error"
        )
    elif far:
        yield (
            f"    warning: more than {LARGE:.0%} apart: {' '.join(far)}; a few per cent in single "
            "areas occur, many areas mean that tables and footprints are of different editions"
        )


def _in_columns(cells: Sequence[str]) -> Iterator[str]:
    wide = max(map(len, cells), default=1) + 2
    across = max(1, _WIDTH // wide)
    for start in range(0, len(cells), across):
        yield "    " + "".join(f"{cell:<{wide}}" for cell in cells[start : start + across]).rstrip()


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _percent(value: float, base: float) -> str:
    return f"{round(100 * (value / base - 1), 2) + 0.0:+.2f} %" if base else "published as 0"
