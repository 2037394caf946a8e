"""Workers as functions, in this process and as processes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Optional, TypedDict

import pytest
from conftest import PATIENCE, Programs, eventually

import peermq
import peermq.testing


@dataclasses.dataclass
class Line:
    name: str
    count: int = 1


class Customer(TypedDict):
    id: int


@pytest.fixture
def app(tmp_path: Path) -> peermq.App:
    return peermq.App("test", bind=f"ipc://{tmp_path}/app.sock")


def test_calls_are_made_with_what_their_annotations_ask_for(app: peermq.App) -> None:
    done: list[Any] = []

    @app.worker("orders", retries=5, timeout=30, concurrency=8)
    def order(
        customer: Customer, lines: list[Line], note: Optional[str] = None, *, rate: float = 1.0
    ) -> int:
        done.append((customer, lines, note, rate))
        return len(lines)

    assert order({"id": 1}, [Line("direct")]) == 1  # stays callable
    done.clear()
    with peermq.testing.memory(app) as running:
        assert order.send({"id": 1}, [Line("a"), Line("b", 2)], note="n", rate=2)
        running.drain()
        assert done == [({"id": 1}, [Line("a"), Line("b", 2)], "n", 2.0)]
        with pytest.raises(peermq.InvalidArgument, match="missing"):
            order.send()  # type: ignore[call-arg]


def test_pydantic_models_are_built_and_checked(app: peermq.App) -> None:
    pydantic = pytest.importorskip("pydantic")
    model: Any = pydantic.create_model("Model", n=(int, ...))
    done: list[Any] = []

    def take(one) -> None:  # type: ignore[no-untyped-def]
        done.append(one)

    take.__annotations__["one"] = model
    worker = app.worker("models")(take)
    with peermq.testing.memory(app) as running:
        worker.send(model(n=3))
        worker.send({"n": "no number"})
        running.drain()
        assert done == [model(n=3)]
        assert running.dead("models") == 1


def test_coroutines_run_at_the_same_time(app: peermq.App) -> None:
    import asyncio

    inside = most = 0

    @app.worker("async", concurrency=4)
    async def slow(n: int) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1

    with peermq.testing.memory(app) as running:
        for n in range(12):
            slow.post(n)
        running.drain()
    assert most == 4


def test_a_failed_call_comes_again_until_its_retries_are_used_up(app: peermq.App) -> None:
    attempts: list[int] = []

    @app.worker("jobs", retries=2, retry_wait_min=0)
    def job(n: int) -> None:
        attempts.append(n)
        raise ValueError("no good")

    with peermq.testing.memory(app) as running:
        job.send(1)
        running.drain()
        assert attempts == [1, 1, 1]
        assert running.dead("jobs") == 1


def test_arguments_that_do_not_fit_are_rejected_at_once(app: peermq.App) -> None:
    @app.worker("jobs", retries=5)
    def job(n: int) -> None:
        raise AssertionError("was called")

    with peermq.testing.memory(app) as running:
        job.send("text")  # type: ignore[arg-type]
        app.peer.push("jobs", max_attempts=6).send({"from": "elsewhere"})
        running.drain()
        assert running.dead("jobs") == 2


def test_messages_of_others_are_the_argument(app: peermq.App) -> None:
    done: list[Any] = []

    @app.worker("jobs")
    def job(data: dict[str, int]) -> None:
        done.append(data)

    with peermq.testing.memory(app) as running:
        app.peer.push("jobs", max_attempts=10).send({"n": 1})
        running.drain()
    assert done == [{"n": 1}]


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_a_call_that_takes_too_long_has_failed_and_is_interrupted(
    app: peermq.App, kind: str
) -> None:
    ended = threading.Event()
    if kind == "function":

        @app.worker("slow", retries=0, timeout=0.1)
        def slow() -> None:
            try:
                while True:
                    time.sleep(0.01)
            finally:
                ended.set()

        worker: Any = slow
    else:

        @app.worker("slow", retries=0, timeout=0.1)
        async def slow_too() -> None:
            import asyncio

            try:
                await asyncio.sleep(PATIENCE)
            finally:
                ended.set()

        worker = slow_too
    with peermq.testing.memory(app) as running:
        worker.send()
        running.drain()
        assert running.dead("slow") == 1
        assert ended.wait(PATIENCE)


def test_wrong_declarations_are_refused(app: peermq.App) -> None:
    app.worker("jobs")(print)
    for wrong in ({"retries": -1}, {"concurrency": 0}, {"timeout": 0}):
        with pytest.raises(peermq.InvalidArgument):
            app.worker("other", **wrong)  # type: ignore[arg-type]
    with pytest.raises(peermq.InvalidArgument, match="already"):
        app.worker("jobs")


MODULE = """
import os, time, peermq
app = peermq.App("shop", bind={endpoint!r}, spool={spool!r})

@app.worker("jobs", retries=1, retry_wait_min=0, concurrency=2)
def job(n: int) -> None:
    with open({log!r}, "a") as log:
        log.write(f"{{os.getpid()}} {{n}} {version}\\n")
"""


class Shop:
    """A module with an app, and processes that work for it."""

    def __init__(self, directory: Path, programs: Programs) -> None:
        self.directory = directory
        self.programs = programs
        self.log = directory / "log"
        self.log.touch()
        self.write(1)

    def write(self, version: int) -> None:
        text = MODULE.format(
            endpoint=f"ipc://{self.directory}/shop.sock",
            spool=str(self.directory / "spool"),
            log=str(self.log),
            version=version,
        )
        (self.directory / "tasks.py").write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "peermq", "worker", *arguments],
            cwd=self.directory,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.programs.running.append(process)
        return process

    def send(self, first: int, count: int) -> None:
        self.programs.run(
            f"""
import sys; sys.path.insert(0, ".")
import tasks
for n in range({first}, {first + count}): tasks.job.post(n)
tasks.app.workers["jobs"]._sender().flush({PATIENCE}, until="acked")
tasks.app.close()
"""
        )

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()]


@pytest.fixture
def shop(tmp_path: Path, programs: Programs) -> Shop:
    return Shop(tmp_path, programs)


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_works_and_ends_in_order(shop: Shop, processes: int, number: int) -> None:
    process = shop.start("tasks:app", "--processes", str(processes))
    shop.send(0, 200)
    code, err = end(process, number)
    assert code == 0, err
    assert sorted(int(n) for _, n, _ in shop.lines()) == list(range(200))


def test_a_worker_that_is_killed_is_replaced(shop: Shop) -> None:
    process = shop.start("tasks:app", "--processes", "2")
    shop.send(0, 50)
    victim = int(shop.lines()[0][0])
    os.kill(victim, signal.SIGKILL)
    shop.send(50, 50)
    code, err = end(process)
    assert code == 0, err
    assert "SIGKILL" in err
    assert len({n for _, n, _ in shop.lines()}) == 100


def test_changed_files_start_the_workers_anew(shop: Shop) -> None:
    process = shop.start("tasks:app", "--reload")
    shop.send(0, 1)
    shop.write(2)
    assert process.stderr is not None
    while "anew" not in process.stderr.readline():
        assert process.poll() is None
    shop.send(1, 1)
    assert shop.lines()[-1][1:] == ["1", "2"]
    code, err = end(process)
    assert code == 0, err


@pytest.mark.parametrize("processes", ["1", "2"])
def test_an_app_that_cannot_be_loaded_ends_the_command_with_the_reason(
    shop: Shop, processes: str
) -> None:
    (shop.directory / "tasks.py").write_text("raise RuntimeError('broken module')")
    process = shop.start("tasks:app", "--processes", processes)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "broken module" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nothing"], "module:app is wanted"),
        (["nothing:app"], "no module 'nothing'"),
        (["tasks:os"], "is no peermq.App"),
        (["tasks:app", "--queue", "x"], "no worker for"),
        (["tasks:app", "--processes", "0"], "at least 1"),
        (["tasks:app", "--log-level", "loud"], "DEBUG, INFO"),
    ],
)
def test_wrong_command_lines_get_one_line(shop: Shop, arguments: list[str], text: str) -> None:
    process = shop.start(*arguments)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert text in err.splitlines()[-1]


def test_the_default_endpoint_is_this_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    app = peermq.App("mine")
    assert app.endpoint == f"ipc://{tmp_path}/peermq-mine.sock" == app.endpoints[0]
    assert eventually(lambda: app.peer.id)
    assert app.close()
