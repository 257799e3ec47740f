"""Names for the array types that the kernels pass around."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


def readonly(array: Any) -> Any:
    """The array, no longer writeable: as from a file, so that kernels are compiled for one type."""
    array.flags.writeable = False
    return array
