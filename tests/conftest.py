"""What all tests share: where the real tables are, and that they are not skipped in silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("FOOTFALL_DATA"):
        return
    missing = pytest.mark.skip(reason="FOOTFALL_DATA is not set: no real tables here")
    for item in items:
        if "realdata" in item.keywords:
            item.add_marker(missing)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Where a kind of test must run (FOOTFALL_MUST_RUN="slurm"), its skip is a failure."""
    must_run = os.environ.get("FOOTFALL_MUST_RUN", "").split()
    skipped = call.excinfo is not None and call.excinfo.errisinstance(pytest.skip.Exception)
    if skipped and any(kind in item.keywords for kind in must_run):
        reason = str(call.excinfo.value) if call.excinfo else ""
        call.excinfo = pytest.ExceptionInfo.from_exception(
            AssertionError(f"skipped where it must run: {reason}")
        )


@pytest.fixture
def data() -> Path:
    """The folder of the real tables."""
    return Path(os.environ["FOOTFALL_DATA"])
