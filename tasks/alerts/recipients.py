"""Where alerts go: the recipients of `BELLWETHER_ALERT_URLS`, each known by a fingerprint and a form without secrets.

An recipient is a URL as `apprise` reads it, and its tokens and passwords stand anywhere in it: in the user's place
(mail), in the host's (Slack), in the path (webhooks), behind the question mark. So the form that is shown keeps only
what is certain to be harmless, instead of hiding what is known to be secret.
"""

import functools
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Schemes in which what stands between the last @ and the next slash is a machine's name, and nothing else.
_HOST_SCHEMES = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"})
_SEPARATOR = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}(?=://)")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
_RANDOM_LABEL = re.compile(
    r"(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{12,}"
)  # some services make the token a machine's name
_ROUNDS = 100_000


@dataclass(frozen=True)
class Recipient:
    """One recipient alerts go to; printing it shows no secret."""

    url: str = field(repr=False)
    """All of it, secrets included: for the sender alone."""
    recipient_id: str
    """Fingerprint: the same for the same recipient, and slow to guess an recipient from."""
    name: str
    """What is shown and stored of it."""

    def __str__(self) -> str:
        return self.name


def parse_recipients(text: str) -> list[Recipient]:
    """The recipients in a setting's text, each once: separated by spaces, line ends, commas or semicolons."""
    urls = [each for each in _SEPARATOR.split(text.strip()) if each]
    return [Recipient(url, fingerprint(url), mask(url)) for url in dict.fromkeys(urls)]


@functools.cache
def fingerprint(url: str) -> str:
    """What an recipient is known by in the database, where it must not be read from: a slow hash of it, 16 digits.

    Slow, since a short password in an otherwise known recipient could be guessed from a quick one.
    """
    return hashlib.pbkdf2_hmac("sha256", url.encode(), b"bellwether alert recipient", _ROUNDS).hex()[:16]


def mask(url: str) -> str:
    """The recipient without anything secret: its scheme, the machine where that is certain, four digits to tell it by."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return f"(no recipient) #{fingerprint(url)[:4]}"
    name = scheme.group().lower()
    return f"{name}://{_machine(url) if name in _HOST_SCHEMES else '…'} #{fingerprint(url)[:4]}"


def _machine(url: str) -> str:
    """Host and port; … where anything about them is unusual, for then they may be part of a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "…"
    # An @ further on: the password held a slash, and what looks like a host is the user's name. In a mail recipient
    # it may also stand in the query.
    behind = parts.path if parts.scheme.lower().startswith("mailto") else f"{parts.path}?{parts.query}#{parts.fragment}"
    if not _HOST.fullmatch(host) or "@" in behind or "@" in parts.netloc.rpartition("@")[0]:
        return "…"
    host = _RANDOM_LABEL.sub("…", host)
    return host if port is None else f"{host}:{port}"
