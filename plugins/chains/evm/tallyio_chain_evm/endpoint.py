"""Where the node is: a URL taken apart once, whose secrets never leave it.

A provider's key sits in the path, the query or the user part of its URL, and error texts travel
far (logs, notifications, screenshots). So every message names an endpoint by `str(endpoint)`, and
every text that a node sent goes through `clean`.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SHOWN_CHARACTERS = 400
"""A node's error text is cut here."""
SECRET_CHARACTERS = 6
"""Shorter parts of a path are words such as "v3" or "eth"; hiding them would garble messages."""
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f]*:[0-9a-f:.]+(%[!-~]+)?")
"""A name by RFC 1035, in small letters and with the "_" that container networks use, or an address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One WebSocket address; printing it shows scheme and host only."""

    tls: bool
    host: str
    port: int
    target: str = field(repr=False)
    authorization: str = field(repr=False)
    """Value of the Authorization header, or nothing."""
    shown: str
    secrets: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.shown

    @property
    def loopback(self) -> bool:
        """Whether the address never leaves this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def host_header(self) -> str:
        """The Host header: an IPv6 address in brackets, the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(tls=self.tls) else f"{host}:{self.port}"

    def clean(self, text: str) -> str:
        """Return a node's `text` for display: no secrets of the URL, no control characters, not long."""
        for secret in self.secrets:
            text = text.replace(secret, "…")
        text = "".join(character if character.isprintable() else " " for character in text)
        return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def redact(url: str) -> str:
    """Return `url` with scheme, host and port only; anything after them may be a key."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not a URL)"
    host = parts.hostname or ""
    if not parts.scheme or not _HOST.fullmatch(host):
        return "(not a URL)"
    host = f"[{host}]" if ":" in host else host
    rest = "/…" if parts.path not in ("", "/") or parts.query else ""
    return f"{parts.scheme}://{host}{port}{rest}"


def parse_endpoint(url: str) -> Endpoint:
    """Take `url` apart. Raises: ValueError: it is not a ws:// or wss:// URL (the text hides secrets).

    A request holds printable ASCII only, so a host's other letters are written in Punycode, and those of
    the rest as %XX.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError(f"{redact(url)} holds a blank, or another character than printable ASCII")
    rule = f"{redact(url)} is not a WebSocket URL such as ws://127.0.0.1:8545 or wss://host/path"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(rule) from None
    host = parts.hostname or ""
    if parts.scheme not in ("ws", "wss") or not _HOST.fullmatch(host) or port == 0:
        raise ValueError(rule)
    tls = parts.scheme == "wss"
    return Endpoint(
        tls=tls,
        host=host,
        port=port or _default_port(tls=tls),
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        authorization=_authorization(parts),
        shown=redact(url),
        secrets=_secrets(parts),
    )


def _default_port(*, tls: bool) -> int:
    return 443 if tls else 80


def _authorization(parts: SplitResult) -> str:
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _secrets(parts: SplitResult) -> tuple[str, ...]:
    candidates = {parts.username or "", parts.password or "", parts.query, *parts.path.split("/")}
    candidates.update(value for _, value in parse_qsl(parts.query))
    candidates.update([unquote(text) for text in candidates])
    # Longest first, so that no secret survives as the rest of a longer one.
    return tuple(sorted((c for c in candidates if len(c) >= SECRET_CHARACTERS), key=lambda c: (-len(c), c)))
