"""The labels of rows and columns, and the hashes by which they address random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from engine.error_model import KEYS, Quantity, kind
from engine.kernels.arrays import I32, U32
from engine.kernels.streams import label_hashes
from engine.mrio import MRIO, Labels
from engine.question import Question

Label = tuple[str, ...]

# A kind of label ("region", or "region sector" for industries) -> label -> hash.
Addresses = Mapping[str, Mapping[Label, np.uint32]]


def addresses(tables: Iterable[Labels], question: Question) -> Addresses:
    """Hashes of every label of all years, so that a year's own labels never change them."""
    tables = tuple(tables)
    names: dict[str, list[Label]] = {"": [()]}
    names["region"] = [(region,) for labels in tables for region in labels.regions]
    names["sector"] = [(sector,) for labels in tables for sector in labels.sectors]
    names["region sector"] = [pair for labels in tables for pair in labels.industries]
    names["stressor"] = [(stressor,) for labels in tables for stressor in labels.stressors]
    names["vector"] = [(consumer.name,) for consumer in question.consumers]
    return {kinds: label_hashes(labels) for kinds, labels in names.items()}


def axis_labels(
    quantity: Quantity, table: MRIO, question: Question
) -> tuple[list[Label], list[Label]]:
    """The labels of a quantity's rows and columns, one string a key."""
    labels = table.labels
    industries: list[Label] = list(labels.industries)
    stressors: list[Label] = [(name,) for name in labels.stressors]
    regions: list[Label] = [(name,) for name in labels.regions]
    vectors: list[Label] = [(consumer.name,) for consumer in question.consumers]
    match quantity:
        case Quantity.Z | Quantity.A:
            return industries, industries
        case Quantity.E | Quantity.S:
            return stressors, industries
        case Quantity.Y:
            return industries, regions
        case Quantity.F_Y:
            return stressors, regions
        case Quantity.PURCHASES:
            return industries, vectors


def hashes_of(
    quantity: Quantity, labels: tuple[list[Label], list[Label]], hashes: Addresses
) -> tuple[U32, U32]:
    """Hashes of the labels of every row and of every column."""
    rows, columns = (addressed(("cell",), quantity, a, labels[a], hashes)[0] for a in (0, 1))
    return rows, columns


def addressed(
    group: tuple[str, ...], quantity: Quantity, axis: int, labels: list[Label], hashes: Addresses
) -> tuple[U32, I32]:
    """The distinct hashes along one axis, and which one each position has."""
    keys = KEYS[quantity][axis]
    used = keys if group == ("cell",) else tuple(key for key in keys if key in group)
    if quantity is Quantity.PURCHASES and used == ("consumer",):
        kinds = "vector"
    else:
        kinds = " ".join(kind(key) for key in used)
    parts = [keys.index(key) for key in used]
    words = [hashes[kinds][tuple(label[part] for part in parts)] for label in labels]
    if group == ("cell",):  # all distinct: keep their order
        return np.array(words, dtype=np.uint32), np.arange(len(words), dtype=np.int32)
    distinct, position = np.unique(np.array(words, dtype=np.uint32), return_inverse=True)
    return distinct, position.astype(np.int32)
