"""The conformance cards, on a service that Apprise reaches by HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tallyio.testing import SECRET, Mailbox, NotifierCards
from tallyio.testing.services import open_hanging_service, open_http_service


class TestConformance(NotifierCards):
    """Apprise's plain JSON."""

    plugin = "apprise"

    @contextmanager
    def service(self, folder: Path) -> Iterator[Mailbox]:
        """Take whatever is posted."""
        with open_http_service() as service:
            yield Mailbox(_settings(folder, service.port), lambda: list(service.bodies))

    @contextmanager
    def refusing(self, folder: Path) -> Iterator[Mapping[str, object]]:
        """Answer with an error."""
        with open_http_service(status=500) as service:
            yield _settings(folder, service.port)

    @contextmanager
    def hanging(self, folder: Path) -> Iterator[Mapping[str, object]]:
        """Answer never."""
        with open_hanging_service() as service:
            yield {**_settings(folder, service.port), "deadline_s": 0.2}


def _settings(folder: Path, port: int) -> dict[str, object]:
    urls = folder / "urls"
    urls.touch(mode=0o600)
    urls.write_text(f"json://127.0.0.1:{port}/{SECRET}\n")
    return {"urls_file": str(urls)}
