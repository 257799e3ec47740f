"""Publishers' files, downloaded where that takes no login: what `footfall fetch` does.

licences    what a licence says
registry    which databases there are, where their files lie, under which licence
downloads   one file: resumed, checked, renamed into place
sums        the checksums beside the files, trusted from the first download on
"""

from __future__ import annotations

from engine.fetch.downloads import Progress
from engine.fetch.fetching import fetch
from engine.fetch.licences import licence_text
from engine.fetch.registry import (
    Database,
    Release,
    Wanted,
    databases,
    listing,
    release,
    terms,
    wanted,
)

__all__ = [
    "Database",
    "Progress",
    "Release",
    "Wanted",
    "databases",
    "fetch",
    "licence_text",
    "listing",
    "release",
    "terms",
    "wanted",
]
