"""What a licence says, in full, where its text is plain text that can be had now."""

from __future__ import annotations

import requests

from engine.errors import FetchError
from engine.fetch.downloads import asked, resolved
from engine.fetch.registry import Database, Release

_LONGEST = 200_000  # characters of a text that is shown


def licence_text(database: Database, chosen: Release) -> str | None:
    """The licence of a release, None where its text must be read at its address."""
    address = chosen.licence_text or database.licence_text
    try:
        url = resolved(address, "", "the licence").url
        response = requests.get(url, headers=asked(), timeout=10)
        response.raise_for_status()
    except (requests.RequestException, FetchError):
        return None
    kind = response.headers.get("Content-Type", "")
    if not kind.startswith(("text/plain", "application/octet-stream")):
        return None
    text = response.content.decode("utf-8", errors="replace")
    page = text.lstrip().lower().startswith(("<!doctype", "<html"))
    return None if page or not text.strip() or len(text) > _LONGEST else text
