"""A TOML file to frozen, typed specs. Nothing else in footfall knows what a configuration is.

Unknown keys are refused with the nearest known one named; values are never coerced ("0.3" is not
a number); paths are relative to the file that names them, and `${NAME}` in a path is an
environment variable.
"""

from __future__ import annotations

from engine.config.building import Config
from engine.config.profiles import with_workers
from engine.config.reading import load_config, load_names, load_profile

__all__ = ["Config", "load_config", "load_names", "load_profile", "with_workers"]
