"""Two storages for every contract: a folder, and a bucket on a real S3 server on this machine (moto)."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from raycollapse.store import Store


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The `host:port` of an S3 server."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty storage."""
    if request.param == "local":
        return str(tmp_path / "storage")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where fetched files are kept
    options = {
        "endpoint_override": request.getfixturevalue("s3_server"),
        "scheme": "http",
        "region": "us-east-1",
        "allow_bucket_creation": "true",
        "allow_delayed_open": "true",
    }
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"s3://key:secret@bucket/{uuid.uuid4().hex}?{query}"


@pytest.fixture
def store(uri: str) -> Store:
    """An empty storage."""
    return Store(uri)
