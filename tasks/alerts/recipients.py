"""Recipients of alerts: the URLs of `BELLWETHER_ALERT_URLS`, each with a fingerprint and a name without secrets.

A URL has the format of `apprise`. Tokens and passwords can be in any part of it: the user name (mail), the host
(Slack), the path (webhooks) or the query. The name therefore consists of the parts that are known to be harmless;
removing known secrets would not be safe.
"""

import functools
import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Schemes whose URLs have a host name, and nothing else, between the last @ and the next slash.
_HOST_SCHEMES = frozenset({"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"})
_SEPARATOR = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}(?=://)")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
_RANDOM_LABEL = re.compile(r"(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{12,}")  # some services have a token in the host
_ROUNDS = 100_000
# Part of every stored fingerprint: a change would make every recipient a new one.
_SALT = b"bellwether alert address"


@dataclass(frozen=True)
class Recipient:
    """A recipient of alerts. Its printed form shows no secret."""

    url: str = field(repr=False)
    """URL with its secrets, for the sender only."""
    recipient_id: str
    """Fingerprint of the URL, see `fingerprint`."""
    name: str
    """Form to show and to store, without secrets."""

    def __str__(self) -> str:
        return self.name


def parse_recipients(text: str) -> list[Recipient]:
    """Parse the recipients of a setting, without duplicates.

    Args:
        text: URLs, separated by spaces, line ends, commas or semicolons.
    """
    urls = [url for url in _SEPARATOR.split(text.strip()) if url]
    return [Recipient(url, fingerprint(url), mask(url)) for url in dict.fromkeys(urls)]


@functools.cache
def fingerprint(url: str) -> str:
    """Compute the identifier of a recipient in the database: a slow hash of the URL, 16 hexadecimal digits.

    A fast hash would let a reader of the database guess a short password in an otherwise known URL.
    """
    return hashlib.pbkdf2_hmac("sha256", url.encode(), _SALT, _ROUNDS).hex()[:16]


def mask(url: str) -> str:
    """Return a URL without secrets: its scheme, its host where that is certain, and four digits of its fingerprint."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return f"(invalid URL) #{fingerprint(url)[:4]}"
    name = scheme.group().lower()
    return f"{name}://{_host(url) if name in _HOST_SCHEMES else '…'} #{fingerprint(url)[:4]}"


def _host(url: str) -> str:
    """Return host and port of a URL; … if they may contain a part of a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "…"
    # An @ after the host means that the password contains a slash, and the apparent host is the user name. The query of
    # a mail URL may contain an @.
    rest = parts.path if parts.scheme.lower().startswith("mailto") else f"{parts.path}?{parts.query}#{parts.fragment}"
    if not _HOST.fullmatch(host) or "@" in rest or "@" in parts.netloc.rpartition("@")[0]:
        return "…"
    host = _RANDOM_LABEL.sub("…", host)
    return host if port is None else f"{host}:{port}"
