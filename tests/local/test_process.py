"""Child processes: their start, their end, and what an error says."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from deploy.local.process import PORTS, ChildProcess, StartError, free_port, require_free_port

Eventually = Callable[[Callable[[], bool]], None]


@contextmanager
def python(script: str) -> Iterator[ChildProcess]:
    process = ChildProcess("The helper", [sys.executable, "-u", "-c", script])
    try:
        yield process
    finally:
        process.stop(5)


def test_a_line_of_the_output_is_waited_for() -> None:
    with python("import time; print('ready at 42'); time.sleep(60)") as process:
        assert process.wait_for_line(r"ready at (\d+)", 10)[1] == "42"
        assert process.running


def test_a_program_that_ends_before_it_is_ready_is_an_error_with_its_last_words() -> None:
    with (
        python("import sys; sys.exit('no space left')") as process,
        pytest.raises(StartError, match=r"The helper ended \(exit code 1\).*\nno space left"),
    ):
        process.wait_for_line("ready", 10)


def test_a_program_that_does_not_get_ready_in_time_is_an_error_and_is_ended() -> None:
    with python("import time; print('waiting'); time.sleep(60)") as process:
        process.wait_for_line("waiting", 10)
        with pytest.raises(StartError, match=r"did not get ready in 0.1 s.*\nwaiting"):
            process.wait_until(lambda: False, 0.1)
        assert not process.running


def test_a_missing_program_is_an_error() -> None:
    process = ChildProcess("The helper", ["/no/such/program"])
    with pytest.raises(StartError, match="No such file"):
        process.wait_for_line("ready", 10)


def test_only_the_last_lines_are_kept() -> None:
    with python("[print(n) for n in range(10_000)]; print('done'); import time; time.sleep(60)") as process:
        process.wait_for_line("done", 10)
        assert process.tail().splitlines()[-2:] == ["9999", "done"]
        assert len(process.tail().splitlines()) < 100


def test_a_program_that_ignores_sigterm_is_killed(eventually: Eventually) -> None:
    ignore = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    with python(f"{ignore}; print('pid', os.getpid()); time.sleep(60)") as process:
        pid = int(process.wait_for_line(r"pid (\d+)", 10)[1])
        process.stop(0.1)
        assert not process.running
        eventually(lambda: not _exists(pid))


def test_a_stop_can_be_repeated() -> None:
    with python("pass") as process:
        process.stop()
        process.stop()
        assert not process.running


def test_a_program_is_in_a_group_of_its_own() -> None:
    """So that Ctrl-C in the terminal reaches the parent only, which stops its children in order."""
    with python("import os, time; print('group', os.getpgid(0)); time.sleep(60)") as process:
        assert int(process.wait_for_line(r"group (\d+)", 10)[1]) == process.pid != os.getpgid(0)


def test_a_program_gets_the_signal_and_may_finish() -> None:
    script = (
        "import signal, time; signal.signal(15, lambda *_: exit(print('finished'))); print('ready'); time.sleep(60)"
    )
    with python(script) as process:
        process.wait_for_line("ready", 10)
        start = time.monotonic()
        process.stop()
        assert process.tail().endswith("finished")
        assert time.monotonic() - start < 10


def test_a_free_port_can_be_bound_and_a_taken_one_is_refused() -> None:
    port = free_port()
    require_free_port("The server", "127.0.0.1", port, "choose another")
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(StartError, match=f"The server cannot listen on 127.0.0.1:{port}.*Fix: choose another"),
    ):
        require_free_port("The server", "127.0.0.1", port, "choose another")


def test_a_free_port_is_given_once_and_is_none_that_an_outgoing_connection_may_get() -> None:
    given = [free_port() for _ in range(200)]
    assert len(set(given)) == len(given)
    assert set(given) <= set(PORTS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(20):
            with socket.create_connection(server.getsockname()) as connection:
                assert connection.getsockname()[1] not in PORTS


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match="Cannot assign requested address"):
        require_free_port("The server", "192.0.2.1", 1, "use 127.0.0.1")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    return True
