"""The cards of a notifier.

Layer: testing.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import trio

from tallyio.hooks.contract import Kind
from tallyio.hooks.interfaces import Notice
from tallyio.testing.cards import Cards, card

SERVICE: Final = "service"
SECRET: Final = "k3y-0f-a-service"  # noqa: S105 - it opens nothing
"""A word that settings of `refusing` may hold where a real credential would be, and nobody may show."""
_BURST: Final = 300
_MOST_OF_A_BURST: Final = 100
_MOST_S: Final = 20.0
_TICKS: Final = 3
_TICK_S: Final = 0.01
_SECRETS: Final = (
    ("a provider's key in a URL", "see wss://node.example/v3/0123456789abcdef0123", "0123456789abcdef0123"),
    ("a credential in a URL", "at https://user:hunter22@node.example lost", "hunter22"),
    ("a query", "GET https://node.example/?auth=zzzz9999zzzz failed", "zzzz9999zzzz"),
    ("a password", "password=correct-horse", "correct-horse"),
)
"""What it is, a text with it, and what must not be in the message."""


class Mailbox(NamedTuple):
    """Where a notifier delivers, as a card sees it."""

    settings: Mapping[str, object]
    """The plugin's settings to deliver there."""
    received: Callable[[], list[str]]
    """Returns what arrived so far, as text, one entry a message."""


class NotifierCards(Cards):
    """The cards of a plugin that builds a `Notifier`.

    Capabilities: "service" delivers to something outside this process, which may fail or hang.

    ```python
    @contextmanager
    def service(self, folder):
        with open_http_service() as http:
            yield Mailbox({"url": f"http://127.0.0.1:{http.port}/"}, lambda: list(http.bodies))
    ```
    """

    kind: ClassVar[Kind] = "notifier"

    def service(self, folder: Path) -> AbstractContextManager[Mailbox]:
        """Open a service that receives; `folder` is empty, for files that settings name.

        `tallyio.testing.services.open_http_service` is one for whatever speaks HTTP.
        """
        raise NotImplementedError

    def refusing(self, folder: Path) -> AbstractContextManager[Mapping[str, object]]:
        """Open a service that fails at once; settings for it, with `SECRET` in them. For "service"."""
        raise NotImplementedError

    def hanging(self, folder: Path) -> AbstractContextManager[Mapping[str, object]]:
        """Open a service that never answers; settings with a deadline below a second. For "service"."""
        raise NotImplementedError

    # --- the cards -----------------------------------------------------------------------------

    @card()
    def test_n01_a_warning_is_delivered(self) -> None:
        """A warning and an error arrive, each once, with title and body."""
        notices = [
            Notice(level=level, title=f"{level} of a card", body=f"body of {level}", key=level)
            for level in ("warning", "error")
        ]
        received = self._received(*notices)
        for notice in notices:
            found = [text for text in received if notice.title in text and notice.body in text]
            self.require(
                len(found) == 1,
                f"{notice.title!r} arrived {len(found)} times in {received}",
                fix="deliver each once",
            )

    @card()
    def test_n02_secrets_do_not_leave(self) -> None:
        """What looks like a credential, in title or body, is not delivered."""
        for what, text, secret in _SECRETS:
            for notice in (
                Notice(level="error", title="of a card", body=text, key="body"),
                Notice(level="error", title=text, body="of a card", key="title"),
            ):
                received = self._received(notice)
                self.require(
                    received, f"a notice with {what} did not arrive", fix="redact it, do not drop it"
                )
                self.require(
                    not any(secret in each for each in received),
                    f"{what} arrived: {received}",
                    fix="pass title and body through `tallyio.hooks.notices.redact`",
                )

    @card()
    def test_n03_a_repeated_fact_is_told_once(self) -> None:
        """Notices with one key, one after the other, arrive as one."""
        received = self._received(*[Notice(level="error", title="lost", body="", key="same")] * 5)
        self.require(
            len(received) == 1, f"5 notices of one key arrived {len(received)} times", fix="use `Gatekeeper`"
        )

    @card()
    def test_n04_a_burst_is_bounded(self) -> None:
        """Of hundreds of different notices at once no more than a bounded number arrives."""
        burst = [Notice(level="error", title=f"no. {k}", body="", key=str(k)) for k in range(_BURST)]
        received = self._received(*burst)
        self.require(
            0 < len(received) <= _MOST_OF_A_BURST,
            f"{len(received)} of {_BURST} arrived",
            fix=f"let at most {_MOST_OF_A_BURST} a minute pass; `Gatekeeper` does",
        )

    @card(needs=SERVICE)
    def test_n05_a_failing_service_is_not_the_engines_problem(self) -> None:
        """When the service fails, `notify` returns, and no log shows a secret of the settings."""
        with self._folder() as folder, self.refusing(folder) as settings, _logged() as lines:
            try:
                self._notify(settings, Notice(level="error", title="lost", body="", key="lost"))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the card tells
                self.fail(
                    f"`notify` raised {type(error).__name__}", fix="catch it, count it, and log its type"
                )
        shown = [line for line in lines if SECRET in line]
        self.require(not shown, f"the log says {shown}", fix="log what failed, never where it was sent to")

    @card(needs=SERVICE)
    def test_n06_a_hanging_service_never_blocks(self) -> None:
        """While the service does not answer, other tasks run, and `notify` gives up at its deadline."""
        with self._folder() as folder, self.hanging(folder) as settings:
            try:
                ticks = self._notify(settings, Notice(level="error", title="lost", body="", key="lost"))
            except* trio.TooSlowError:
                self.fail(f"`notify` took more than {_MOST_S:.0f} s", fix="use `trio.move_on_after`")
        self.require(
            ticks >= _TICKS, f"the loop came round {ticks} times meanwhile", fix="deliver in `trio.to_thread`"
        )

    # --- how they are run ----------------------------------------------------------------------

    def _received(self, *notices: Notice) -> list[str]:
        """Return what arrives at a fresh service of these notices."""
        with self._folder() as folder, self.service(folder) as mailbox:
            self._notify(mailbox.settings, *notices)
            return mailbox.received()

    def _notify(self, settings: Mapping[str, object], *notices: Notice) -> int:
        """Give notices to a fresh notifier; return how often another task ran meanwhile."""
        notifier = self.host.notifier(self.plugin, settings)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await trio.sleep(_TICK_S)
                ticks += 1

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick)
                with trio.fail_after(_MOST_S):
                    for notice in notices:
                        await notifier.notify(notice)
                nursery.cancel_scope.cancel()

        self.run(run)
        return ticks

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="tallyio-cards-") as name:
            yield Path(name)


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what is logged, by whomever."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, handler = logging.getLogger(), Collect()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
