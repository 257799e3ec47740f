"""Groups of countries whose membership is a matter of record, each with its vintage."""

from __future__ import annotations

# ISO 3166 alpha-3 and alpha-2 codes; tables write Greece GR or, like Eurostat, EL.
_EU27_2007 = (
    "AUT:AT BEL:BE BGR:BG CYP:CY CZE:CZ DEU:DE DNK:DK ESP:ES EST:EE FIN:FI FRA:FR GBR:GB "
    "GRC:GR HUN:HU IRL:IE ITA:IT LTU:LT LUX:LU LVA:LV MLT:MT NLD:NL POL:PL PRT:PT ROU:RO "
    "SVK:SK SVN:SI SWE:SE"
)
_EU27_2020 = _EU27_2007.replace("GBR:GB ", "HRV:HR ")


def _codes(pairs: str, column: int) -> tuple[str, ...]:
    return tuple(pair.split(":")[column] for pair in pairs.split())


STANDARD_GROUPS = {
    "iso3": {
        "EU27_2007": _codes(_EU27_2007, 0),  # members from 2007 to 2013: with the UK, not Croatia
        "EU27_2020": _codes(_EU27_2020, 0),  # members since February 2020: Croatia, not the UK
    },
    "iso2": {
        "EU27_2007": _codes(_EU27_2007, 1),
        "EU27_2020": _codes(_EU27_2020, 1),
    },
}
