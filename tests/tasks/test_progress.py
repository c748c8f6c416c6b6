"""Progress and log lines: sent to the listeners of a block."""

from tasks.progress import listening, log_line, show_progress


class Recorder:
    """A listener that keeps its events."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def on_progress(self, step: str, done: int, total: int) -> None:
        self.events.append((step, done, total))

    def on_line(self, step: str, line: str) -> None:
        self.events.append((step, line))


def test_listeners_receive_events_while_the_block_runs() -> None:
    first, second = Recorder(), Recorder()
    with listening(first):
        show_progress("train", 1, 3)
        with listening(second):
            log_line("train", "3 networks")
    show_progress("train", 3, 3)
    assert first.events == [("train", 1, 3), ("train", "3 networks")]
    assert second.events == [("train", "3 networks")]
