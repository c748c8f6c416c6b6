"""The console, the progress display and the context in which a command runs a flow."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from flows.cli.runtime import prepare_prefect, require_prefect_server
from tasks.settings import get_settings

_WIDTH_WITHOUT_TERMINAL = 140


class ProgressScreen:
    """Progress display: one line per finished step and a bar for each running one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_progress(self, step: str, done: int, total: int) -> None:
        """Move the bar of a step."""
        if step not in self._bars:
            self._bars[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._bars[step], completed=done, total=total)

    def on_line(self, step: str, line: str) -> None:
        """Replace the bar of a step by its result line."""
        if step in self._bars:
            self._progress.remove_task(self._bars.pop(step))
        self._progress.console.print(f"  [bold]{step:<9}[/] {escape(line)}", highlight=False, soft_wrap=True)


def make_console() -> Console:
    """Make a console as wide as the terminal, or wide enough for all tables if there is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_WITHOUT_TERMINAL)


@contextmanager
def running_flow(console: Console, *, verbose: bool) -> Iterator[str]:
    """Start Prefect and Postgres and show progress while the block runs.

    Args:
        console: Where progress is shown.
        verbose: Show Prefect's log.

    Yields:
        The address of the database, without the password.

    Raises:
        HomeUnusableError: if the home is no directory or cannot be written.
        DatabaseUnavailableError: if Postgres does not respond.
        PrefectUnavailableError: if Prefect's server does not respond.
    """
    prepare_prefect(get_settings().home, log_level="INFO" if verbose else "CRITICAL")
    with console.status("Starting Prefect and Postgres …"):
        # Imported here because Prefect reads its environment on import.
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        from tasks.database import get_store
        from tasks.progress import listening

        address = get_store().address
        require_prefect_server()
    # A heartbeat delays the end of a flow by a second, and the user sees a manual run fail.
    without_heartbeat = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with without_heartbeat, ProgressScreen(console) as screen, listening(screen):
        yield address
