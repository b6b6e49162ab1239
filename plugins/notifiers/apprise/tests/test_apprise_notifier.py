"""Apprise deliveries happen in a thread; failures and secrets stay out of the engine."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tallyio_notifier_apprise.notifier import AppriseNotifier, AppriseSettings

from tallyio.hooks.interfaces import Notice
from tallyio.model.errors import ConfigError

BAD = Notice(level="error", title="trading halted", body="see wss://n.example/v3/key", key="halt")


@pytest.fixture
def service() -> Iterator[tuple[int, list[bytes]]]:
    """A real HTTP service on loopback that keeps what it is sent."""
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1], got
        server.shutdown()
        thread.join()


async def test_a_notice_reaches_the_service_redacted_and_once(
    service: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, got = service
    urls = tmp_path / "urls"
    urls.touch(mode=0o600)
    urls.write_text(f"# where to\njson://127.0.0.1:{port}/hook\n")
    notifier = AppriseNotifier.from_settings({"urls_file": str(urls)})
    await notifier.notify(BAD)
    await notifier.notify(BAD)
    (body,) = got
    assert b"trading halted" in body
    assert b"v3/key" not in body
    assert notifier.failed == 0


async def test_a_service_that_raises_is_counted_not_raised() -> None:
    def deliver(_notice: Notice, _body: str) -> bool:
        raise RuntimeError("down")

    notifier = AppriseNotifier(AppriseSettings(urls_file=""), deliver)
    await notifier.notify(BAD)
    assert notifier.failed == 1


async def test_a_service_that_hangs_is_given_up_at_the_deadline() -> None:
    release = threading.Event()
    notifier = AppriseNotifier(
        AppriseSettings(urls_file="", deadline_s=0.05), lambda _notice, _body: release.wait(10)
    )
    await notifier.notify(BAD)
    release.set()
    assert notifier.failed == 1


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("json://x", 0o644, "is open to others; chmod 600"),
        ("", 0o600, "holds no URL"),
        ("nonsense://x", 0o600, "URL 1 is none that Apprise knows"),
    ],
)
def test_a_bad_url_file_is_explained_without_the_url(
    tmp_path: Path, content: str, mode: int, says: str
) -> None:
    urls = tmp_path / "urls"
    urls.write_text(content)
    urls.chmod(mode)
    with pytest.raises(ConfigError, match=says) as caught:
        AppriseNotifier.from_settings({"urls_file": str(urls)})
    assert "nonsense" not in str(caught.value)


def test_a_deadline_that_is_no_time_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[notifiers.deadline_s\] expected `float` > 0"):
        AppriseNotifier.from_settings({"urls_file": "urls", "deadline_s": -1.0})
