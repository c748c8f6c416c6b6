"""One message to one recipient, by `apprise`, in a process of its own.

Of its own, because nothing else bounds it: a server may drip a byte a second, a name may never be resolved, and no
thread can be stopped. And because what libraries print and log holds the recipient, whose every part may be a secret: of
it all, only a verdict in words of ours comes back. The recipient goes in through a pipe; arguments are for every user of
the machine to read.
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
"""After which an attempt counts as failed, whatever it is doing; the recipient's own time limits are shorter."""
_NOTIFY_TYPES = {"critical": "failure", "warning": "warning", "info": "info", "cleared": "success"}


@dataclass(frozen=True)
class SendResult:
    """What became of an attempt."""

    is_delivered: bool
    is_unreachable: bool = False
    """Nobody answered: another message would wait as long for nothing."""
    reason: str | None = None
    """Why not, in words of ours."""


def send(url: str, title: str, body: str, severity: Severity, *, seconds: float | None = None) -> SendResult:
    """Send one message and wait for the verdict, no longer than `seconds` (default: DEADLINE_SECONDS).

    A message may have arrived although the verdict is that it has not: when the answer is lost, or comes too late.
    """
    limit = DEADLINE_SECONDS if seconds is None else seconds
    task = json.dumps({"url": url, "title": title, "body": body, "notify_type": _NOTIFY_TYPES[severity]})
    try:
        # By its path, and `-P`: what lies in the working directory is nobody's library. A session of its own: Ctrl-C
        # is for the caller, who still waits for the verdict.
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__))],
            input=task.encode(),
            capture_output=True,
            timeout=limit,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return SendResult(False, is_unreachable=True, reason=f"no answer within {limit:g} s")
    except OSError:
        return SendResult(False, reason="the process that sends could not be started")
    try:
        return SendResult(**json.loads(done.stdout))
    except (ValueError, TypeError):
        return SendResult(False, reason="the process that sends ended without a verdict")


def deliver(url: str, title: str, body: str, notify_type: str) -> SendResult:
    """Have `apprise` send it, in this process; used by the process of its own."""
    import apprise  # only here: the other side needs none of it

    log = _Log()
    logger = logging.getLogger("apprise")
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    # Nothing in files, and no theme or link of anybody's in the message.
    asset = apprise.AppriseAsset(async_mode=False, storage_mode="memory", app_id="Bellwether", app_desc="Bellwether")
    recipients = apprise.Apprise(asset=asset)
    if not recipients.add(url):
        return SendResult(False, reason="it is not an recipient that apprise knows, see its list of services")
    if recipients.notify(body, title, notify_type, body_format=apprise.NotifyFormat.TEXT):
        return SendResult(True)
    return read_log(log.lines)


def read_log(lines: list[str]) -> SendResult:
    """What apprise's log says about a failed attempt, in words of ours; of the log's own text only numbers are."""
    text = "\n".join(lines)
    if status := re.search(r"\berror=([1-5]\d\d)\b", text):
        return SendResult(False, reason=f"it answered with HTTP status {status[1]}")
    if code := re.search(r"\(([45]\d\d), b['\"]", text):
        return SendResult(False, reason=f"the mail server answered with code {code[1]}")
    if re.search(r"timed out", text, re.I):
        return SendResult(False, is_unreachable=True, reason="no answer in time")
    if re.search(r"refused", text, re.I):
        return SendResult(False, is_unreachable=True, reason="nobody listens there: the connection was refused")
    if re.search(r"resol|name or service|getaddrinfo|nodename", text, re.I):
        return SendResult(False, is_unreachable=True, reason="the name of its machine is not known here")
    if re.search(r"certificate|ssl", text, re.I):
        return SendResult(False, is_unreachable=True, reason="the encrypted connection could not be made")
    if re.search(r"no .*recipients", text, re.I):
        return SendResult(False, reason="it names nobody to write to")
    if re.search(r"connection|socket exception", text, re.I):
        return SendResult(False, is_unreachable=True, reason="the connection failed")
    return SendResult(False, reason="it did not accept the message")


class _Log(logging.Handler):
    """Keeps what is logged, for `read_log`."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _main() -> None:
    task: dict[str, Any] = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is not the verdict
    json.dump(vars(deliver(**task)), answers)
    answers.flush()


if __name__ == "__main__":
    _main()
