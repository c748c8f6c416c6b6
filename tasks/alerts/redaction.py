"""Texts without secrets, fit to be stored, logged and sent: error messages may contain passwords and tokens."""

import contextlib
import os
import re
import traceback
from urllib.parse import unquote

from tasks.alerts.recipients import parse_recipients
from tasks.errors import BellwetherError, InterruptedByUserError
from tasks.failures.error_logs import write_error_log
from tasks.failures.expected import expected_error, shorten
from tasks.settings import Settings, find_settings

# Up to the last @: a password may contain one.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:\S*(?=@)")
_DELIMITER = re.compile(r"[@/?#:]")
_NAMED_SECRET = re.compile(
    r"\b(pass(?:word|wd|phrase)?|pwd|secret|(?:access_|refresh_|auth_)?token|api_?key|crumb|authorization)"
    r"(\s*[=:]\s*|%3D)('[^']*'|\"[^\"]*\"|(?:(?:basic|bearer)\s+)?[^\s,;&'\"]+)",
    re.I,
)
_SECRET_VARIABLES = ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PGPASSWORD")
_DESCRIPTION = "bellwether_description"  # attribute of an error whose traceback was written
_MIN_SECRET_LENGTH = 4  # shorter secrets are parts of ordinary words


def describe_error(error: BaseException) -> str:
    """Describe an error in one sentence for the screen, the ledger and alerts, without secrets.

    The traceback of an unexpected error is written to a log file, once, and the sentence names the file. The sentence
    has no text of other libraries: they quote the contents of files and of requests.
    """
    settings = find_settings()
    expected = expected_error(error, settings)
    if isinstance(expected, BellwetherError) and not isinstance(expected, InterruptedByUserError):
        return shorten(redact(str(expected)))
    if isinstance(error, Exception):
        return _describe_unexpected(error, settings)
    return "The run was interrupted."


def format_traceback(error: BaseException) -> str:
    """Return the traceback of an error, without secrets."""
    return redact("".join(traceback.format_exception(error)))


def _describe_unexpected(error: Exception, settings: Settings | None) -> str:
    if not hasattr(error, _DESCRIPTION):
        name = type(error).__name__
        path = None if settings is None else write_error_log(settings.home, format_traceback(error))
        where = f"is in {path}" if path else "could not be stored (`--verbose` shows it)"
        sentence = f"An unexpected error ({name}) ended the run; its traceback {where}."
        with contextlib.suppress(AttributeError):
            setattr(error, _DESCRIPTION, sentence)
        return sentence
    return str(getattr(error, _DESCRIPTION))


def redact(text: str) -> str:
    """Replace secrets in a text by ***.

    A secret is a part of a configured URL, the credentials in any URL, or a value with a name such as `token=`.
    """
    secrets = {secret for url in _configured_urls() for secret in _secrets_of(url)}
    secrets |= {value for name in _SECRET_VARIABLES if len(value := os.environ.get(name, "")) >= _MIN_SECRET_LENGTH}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _NAMED_SECRET.sub(r"\1\2***", _CREDENTIALS.sub("***", text))


def _configured_urls() -> list[str]:
    settings = find_settings()
    if settings is None:  # a variable is invalid, perhaps the one with the secret
        database, recipients = os.environ.get("DATABASE_URL", ""), os.environ.get("BELLWETHER_ALERT_URLS", "")
    else:
        database, recipients = (
            "" if value is None else value.get_secret_value() for value in (settings.database_url, settings.alert_urls)
        )
    urls = [database, *(recipient.url for recipient in parse_recipients(recipients)), os.environ.get("PREFECT_API_URL")]
    return [url for url in urls if url]


def _secrets_of(url: str) -> set[str]:
    """Return the whole URL, and its password in encoded and decoded form; also every part of an ambiguous one.

    A password with an unencoded @, /, ? or # is cut by every parser at another place.
    """
    password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    secrets = {password, unquote(password)}
    if not password:
        return set() if url.startswith("http") else {url}
    if _DELIMITER.search(password):
        secrets.update(_DELIMITER.split(password), _DELIMITER.split(unquote(password)))
    return {secret for secret in (url, *secrets) if len(secret) >= _MIN_SECRET_LENGTH}
