"""Which errors may be shared: between quantities, where labels meet, and never one error twice."""

from __future__ import annotations

from engine.error_model.entries import Component, Errors
from engine.error_model.quantities import KEYS, Quantity, kind
from engine.errors import ConfigError


def check_shared(
    component: Component, entry: Errors, owner: Component, of: Errors, where: str
) -> None:
    """Refuse a sharing of which no error would ever be shared."""
    if component.group == ("cell",):
        raise ConfigError(
            "no other cell has this cell's address, so `cell` errors cannot be shared",
            where=where,
            remedy="share a group of labels, such as the region, or leave `shared_with` out",
        )
    if owner.time != component.time or _address(owner.group, of.quantity) != _address(
        component.group, entry.quantity
    ):
        raise ConfigError(
            "shares its errors with a component of another group or time key",
            where=where,
            remedy="give both the same time key, and groups of the same kinds",
        )
    own, others = _limits(component, entry), _limits(owner, of)
    for place in own.keys() & others.keys():
        if own[place].isdisjoint(others[place]):
            raise ConfigError(
                f"shares its errors with {of.quantity}.{owner.name}, but `only` leaves them no "
                f"{place[1]} in common",
                where=where,
                remedy="leave `shared_with` out, or let `only` overlap",
            )


def refuse_one_error_twice(entry: Errors, where: str) -> None:
    """Independent components add up to variance one; one error twice adds up to more."""
    users: dict[tuple[Quantity, str], str] = {}
    for component in entry.components:
        owner = component.shared_with or (entry.quantity, component.name)
        if owner in users:
            raise ConfigError(
                f"the components `{users[owner]}` and `{component.name}` are the same error, "
                f"{'.'.join(owner)}, so the variances of the two do not add up",
                where=where,
                remedy="make them one component with the sum of their weights",
            )
        users[owner] = component.name


def _address(group: tuple[str, ...], quantity: Quantity) -> tuple[frozenset[str], ...]:
    """What a group's rows and columns are addressed by, in kinds of labels."""
    if group in (("cell",), ("all",)):
        return (frozenset(group), frozenset(group))
    rows, columns = KEYS[quantity]
    return (
        frozenset(_kind_in(quantity, key) for key in group if key in rows),
        frozenset(_kind_in(quantity, key) for key in group if key in columns),
    )


def _kind_in(quantity: Quantity, key: str) -> str:
    """`kind`, but for the consumers of purchases, which are demand vectors and no regions."""
    vector = quantity is Quantity.PURCHASES and key == "consumer"
    return "vector" if vector else kind(key)


def _limits(component: Component, entry: Errors) -> dict[tuple[int, str], frozenset[str]]:
    """The labels `only` leaves to a component's groups, by axis and kind; unlimited ones absent."""
    return {
        (axis, _kind_in(entry.quantity, key)): frozenset(entry.only[key])
        for axis, keys in enumerate(KEYS[entry.quantity])
        for key in keys
        if key in component.group and key in entry.only
    }
