"""Texts without secrets, fit to be stored, logged and sent: error messages may contain passwords and tokens."""

import re
from urllib.parse import unquote, urlsplit

from tasks.alerts.recipients import parse_recipients
from tasks.errors import BellwetherError
from tasks.settings import get_settings

_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:[^\s@]*(?=@)")
_NAMED_SECRET = re.compile(
    r"\b(pass(?:word|wd|phrase)?|pwd|secret|(?:access_|refresh_|auth_)?token|api_?key|crumb|authorization)"
    r"(\s*[=:]\s*|%3D)('[^']*'|\"[^\"]*\"|(?:(?:basic|bearer)\s+)?[^\s,;&'\"]+)",
    re.I,
)
_MIN_SECRET_LENGTH = 4  # shorter secrets are parts of ordinary words


def describe_error(error: BaseException) -> str:
    """Describe an error in one line for the ledger and for alerts, without secrets."""
    if isinstance(error, BellwetherError):
        return redact(str(error))
    if isinstance(error, Exception):
        return redact(" ".join(f"{type(error).__name__}: {error}".split()))
    return "The run was interrupted."


def redact(text: str) -> str:
    """Replace secrets in a text by ***.

    A secret is a part of a configured URL, the credentials in any URL, or a value with a name such as `token=`.
    """
    settings = get_settings()
    urls = [] if settings.database_url is None else [settings.database_url.get_secret_value()]
    if settings.alert_urls is not None:
        urls += [recipient.url for recipient in parse_recipients(settings.alert_urls.get_secret_value())]
    for secret in sorted({secret for url in urls for secret in _secrets_of(url)}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _NAMED_SECRET.sub(r"\1\2***", _CREDENTIALS.sub("***", text))


def _secrets_of(url: str) -> set[str]:
    """Return the whole URL, and its password in encoded and decoded form."""
    try:
        password = urlsplit(url).password or ""
    except ValueError:
        password = ""
    return {secret for secret in (url, password, unquote(password)) if len(secret) >= _MIN_SECRET_LENGTH}
