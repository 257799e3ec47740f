"""What all tests share: real tables, an object store, and that neither is skipped in silence."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from uuid import uuid4

import pytest

_LONGEST = "test_slurm.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != _LONGEST)  # begun first, it is not waited for
    if os.environ.get("FOOTFALL_DATA"):
        return
    missing = pytest.mark.skip(reason="FOOTFALL_DATA is not set: no real tables here")
    for item in items:
        if "realdata" in item.keywords:
            item.add_marker(missing)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Where kinds of test must run (FOOTFALL_MUST_RUN="realdata s3"), their skip is a failure."""
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


SECRET = "a secret that must be nowhere"


@pytest.fixture(scope="session")
def object_store() -> Iterator[str]:
    """The address of an S3-compatible server on loopback, started for the tests.

    Its puts are made one at a time: moto looks whether there is an object and puts it then, so that
    of two conditional puts at once both may succeed, which S3 rules out. That of many creators one
    wins is S3's promise, therefore; tests show that we ask for it and believe the answers.
    """
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patched:
        from moto.s3.responses import S3Response

        one_at_a_time, put = Lock(), S3Response.put_object

        def alone(self: object) -> object:
            with one_at_a_time:
                return put(self)

        patched.setattr(S3Response, "put_object", alone)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def bucket(object_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket; credentials and the server's address are in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": object_store,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "FOOTFALL_SCRATCH": str(tmp_path / "scratch"),
    }.items():
        monkeypatch.setenv(name, value)
    import boto3

    name = f"bucket-{uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
