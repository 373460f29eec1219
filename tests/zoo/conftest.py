import pytest
from file_server import file_server


@pytest.fixture
def server(monkeypatch):
    """A server, reached without the proxies that this machine may have."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with file_server() as files:
        yield files
