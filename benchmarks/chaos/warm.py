"""What the process imports from which all others are forked; it has faults and no threads."""

from __future__ import annotations

import logging

from distributed.utils import get_mp_context

import engine.blockwork
import engine.cli  # noqa: F401
from benchmarks.chaos import faults
from engine.kernels.perturb import fingerprint

faults.install()
fingerprint()  # loads the compiled kernels that take longest
get_mp_context()  # looks for packages to import, which would otherwise take every process a while
logging.getLogger("distributed.preloading").setLevel(logging.WARNING)
