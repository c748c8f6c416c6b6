"""Text fit to be stored, logged and sent: without passwords and tokens that an error's own words may hold."""

import re
from urllib.parse import unquote, urlsplit

from tasks.alerts.recipients import parse_recipients
from tasks.settings import get_settings

_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:[^\s@]*(?=@)")
_NAMED = re.compile(
    r"\b(pass(?:word|wd|phrase)?|pwd|secret|(?:access_|refresh_|auth_)?token|api_?key|crumb|authorization)"
    r"(\s*[=:]\s*|%3D)('[^']*'|\"[^\"]*\"|(?:(?:basic|bearer)\s+)?[^\s,;&'\"]+)",
    re.I,
)
_SHORTEST_KNOWN = 4  # a shorter one is in every other word


def redact(text: str) -> str:
    """The text with whatever is known for a secret, or written where one stands, replaced by ***."""
    settings = get_settings()
    urls = [] if settings.database_url is None else [settings.database_url.get_secret_value()]
    if settings.alert_urls is not None:
        urls += [each.url for each in parse_recipients(settings.alert_urls.get_secret_value())]
    for secret in sorted({part for url in urls for part in _secret_parts(url)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _NAMED.sub(r"\1\2***", _CREDENTIALS.sub("***", text))


def _secret_parts(url: str) -> set[str]:
    """The whole recipient, and its password as it is written and as it is meant."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        password = ""
    return {each for each in (url, password, unquote(password)) if len(each) >= _SHORTEST_KNOWN}
