"""A webhook and a mail server on loopback, which accept messages or fail in several ways."""

import email
import json
import socket
import threading
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Mood = int | Literal["hang", "drip", "no answer"]
"""An HTTP status; or no response until the server is closed, one byte at a time, or a closed connection."""


PASSWORD = "t0psecret"


def free_port() -> int:
    """Find a port without a listener."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Webhook:
    """A server for `json://`; `received` has all messages received, `accepted` those with a successful response."""

    def __init__(self, port: int | None = None, mood: Mood = 200) -> None:
        self.port = port or free_port()
        self.mood = mood
        self.accepted: list[dict[str, Any]] = []
        self.received: list[dict[str, Any]] = []
        self._closing = threading.Event()

    def url(self, secret: str = PASSWORD) -> str:
        """Return its URL for apprise, with a token and short time limits."""
        return f"json://operator:{secret}@127.0.0.1:{self.port}/hook/{secret}?cto=10&rto=3"

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.accepted]

    def __enter__(self) -> Self:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.received.append(body)
                mood = webhook.mood
                if mood == "no answer":
                    self.close_connection = True
                elif mood == "hang":
                    webhook._closing.wait(30)
                    self.close_connection = True
                elif mood == "drip":
                    # Each byte is in time, the response never ends: a limit between two bytes does not detect it.
                    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200:
                        if webhook._closing.wait(0.4):
                            break
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                    self.close_connection = True
                else:
                    if mood == 200:
                        webhook.accepted.append(body)
                    self.send_response(mood)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                return

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the client closed the connection
                    return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._closing.clear()
        self._server = Server(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MailServer:
    """A server for `mailto://`; `accepted` has the messages received, unless `refusal` is set as the response."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.refusal: str | None = None
        self.password = PASSWORD
        self.accepted: list[EmailMessage] = []

    def url(self, secret: str = PASSWORD) -> str:
        """Return its URL for apprise, with the password that the server requires."""
        return (
            f"mailto://operator:{secret}@127.0.0.1:{self.port}?smtp=127.0.0.1&from=bellwether@example.com"
            "&to=operator@example.com&mode=insecure&cto=10"
        )

    @property
    def titles(self) -> list[str]:
        return [str(each["Subject"]) for each in self.accepted]

    def __enter__(self) -> Self:
        mail = self

        class Handler:
            async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
                if mail.refusal is not None:
                    return mail.refusal
                content = envelope.content
                assert isinstance(content, bytes)
                message = email.message_from_bytes(content, policy=default)
                assert isinstance(message, EmailMessage)
                mail.accepted.append(message)
                return "250 OK"

        def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object) -> AuthResult:
            is_right = isinstance(given, LoginPassword) and given.password == mail.password.encode()
            return AuthResult(success=is_right, handled=False)

        self._controller = Controller(
            Handler(),
            hostname="127.0.0.1",
            port=self.port,
            authenticator=authenticate,
            auth_require_tls=False,
        )
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()
