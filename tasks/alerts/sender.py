"""Sender of one message to one recipient, by `apprise` in a separate process.

A separate process is the only way to bound the time: a server may send a byte a second, a name lookup may never end,
and a thread cannot be stopped. It also keeps secrets in: libraries print and log URLs, and only a result with a reason
written here comes back. The URL goes in through a pipe, because all users of the machine can read arguments.
"""

import json
import logging
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Severity = Literal["critical", "warning", "info", "cleared"]

DEADLINE_SECONDS = 30.0
"""Limit of one attempt; the time limits within a URL are shorter."""
_NOTIFY_TYPES = {"critical": "failure", "warning": "warning", "info": "info", "cleared": "success"}


@dataclass(frozen=True)
class SendResult:
    """Result of an attempt."""

    is_delivered: bool
    is_unreachable: bool = False
    """The server did not respond, so another message now would fail after the same wait."""
    reason: str | None = None
    """Reason of a failure, without text from the server or from libraries."""


def send(url: str, title: str, body: str, severity: Severity, *, seconds: float | None = None) -> SendResult:
    """Send one message and wait for the result.

    A failed message may have arrived nevertheless, if the response was lost or came after the limit.

    Args:
        url: URL of the recipient, with its secrets.
        title: One line.
        body: Plain text.
        severity: Severity of the alert.
        seconds: Limit of the attempt; default: DEADLINE_SECONDS.
    """
    limit = DEADLINE_SECONDS if seconds is None else seconds
    message = json.dumps({"url": url, "title": title, "body": body, "notify_type": _NOTIFY_TYPES[severity]})
    try:
        # By path and with `-P`, so that no file of the working directory is imported. In a new session, because Ctrl-C
        # must not end the process while its result is awaited.
        process = subprocess.run(
            [sys.executable, "-P", str(Path(__file__))],
            input=message.encode(),
            capture_output=True,
            timeout=limit,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return SendResult(False, is_unreachable=True, reason=f"no response within {limit:g} s")
    except OSError:
        return SendResult(False, reason="the sending process could not be started")
    try:
        return SendResult(**json.loads(process.stdout))
    except (ValueError, TypeError):
        return SendResult(False, reason="the sending process ended without a result")


def send_in_this_process(url: str, title: str, body: str, notify_type: str) -> SendResult:
    """Send one message by `apprise`, without a time limit."""
    import apprise  # only the sending process needs it

    log = _Log()
    logger = logging.getLogger("apprise")
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    # No files, and no logo or link of apprise in the message.
    asset = apprise.AppriseAsset(async_mode=False, storage_mode="memory", app_id="Bellwether", app_desc="Bellwether")
    recipients = apprise.Apprise(asset=asset)
    if not recipients.add(url):
        return SendResult(False, reason="apprise does not support the URL, see its list of services")
    if recipients.notify(body, title, notify_type, body_format=apprise.NotifyFormat.TEXT):
        return SendResult(True)
    return read_log(log.lines)


def read_log(lines: list[str]) -> SendResult:
    """Derive the result of a failed attempt from apprise's log; of the log's text only status codes are kept."""
    text = "\n".join(lines)
    if status := re.search(r"\berror=([1-5]\d\d)\b", text):
        return SendResult(False, reason=f"HTTP status {status[1]}")
    if code := re.search(r"\(([45]\d\d), b['\"]", text):
        return SendResult(False, reason=f"code {code[1]} from the mail server")
    if re.search(r"timed out", text, re.I):
        return SendResult(False, is_unreachable=True, reason="no response in time")
    if re.search(r"refused", text, re.I):
        return SendResult(False, is_unreachable=True, reason="connection refused")
    if re.search(r"resol|name or service|getaddrinfo|nodename", text, re.I):
        return SendResult(False, is_unreachable=True, reason="unknown host name")
    if re.search(r"certificate|ssl", text, re.I):
        return SendResult(False, is_unreachable=True, reason="TLS connection failed")
    if re.search(r"no .*recipients", text, re.I):
        return SendResult(False, reason="the URL has no mail address to send to")
    if re.search(r"connection|socket exception", text, re.I):
        return SendResult(False, is_unreachable=True, reason="connection failed")
    return SendResult(False, reason="message not accepted")


class _Log(logging.Handler):
    """Log handler that keeps lines for `read_log`."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _main() -> None:
    message: dict[str, Any] = json.load(sys.stdin)
    output, sys.stdout = sys.stdout, sys.stderr  # prints of libraries must not mix with the result
    json.dump(vars(send_in_this_process(**message)), output)
    output.flush()


if __name__ == "__main__":
    _main()
