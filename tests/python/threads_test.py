"""Several threads at one object; the interpreter's lock is free while one waits."""

from __future__ import annotations

import threading
import time

import pytest
from conftest import PATIENCE, World, eventually

import peermq


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_messages_of_many_threads_reach_many_threads_once(world: World) -> None:
    producers, consumers, count = 4, 4, 2000
    push = world.producer.push("jobs")
    jobs = world.worker().pull("jobs", prefetch=1000)
    seen: list[tuple[int, int]] = []

    def produce(who: int) -> None:
        for n in range(count):
            push.post([who, n])

    def consume() -> None:
        for m in jobs:
            who, n = m.data
            seen.append((who, n))
            m.ack()

    readers = [threading.Thread(target=consume) for _ in range(consumers)]
    for reader in readers:
        reader.start()
    run_all([threading.Thread(target=produce, args=(i,)) for i in range(producers)])
    assert push.flush(PATIENCE, until="acked")
    jobs.stop()
    for reader in readers:
        reader.join(PATIENCE)
    assert sorted(seen) == [(who, n) for who in range(producers) for n in range(count)]


def test_senders_share_a_sync(tmp_path_factory: pytest.TempPathFactory) -> None:
    with peermq.Peer(spool=tmp_path_factory.mktemp("spool")) as peer:
        push = peer.push("jobs")
        before = peer.stats()["spool"]["syncs"]
        run_all(
            [
                threading.Thread(target=lambda: [push.send(b"x") for _ in range(50)])
                for _ in range(8)
            ]
        )
        assert push.stats()["depth"] == 400
        assert peer.stats()["spool"]["syncs"] - before < 400


@pytest.mark.timeout(60)
@pytest.mark.parametrize("waiting", ["receive", "receipt", "settlement"])
def test_other_threads_run_while_one_waits(memory_world: World, waiting: str) -> None:
    push = memory_world.producer.push("jobs")
    worker = memory_world.worker()
    jobs = worker.pull("jobs")
    calls = {
        "receive": lambda: jobs.receive(0.2),
        "receipt": lambda: push.post(b"x").wait(PATIENCE, until="acked"),
        "settlement": lambda: None,
    }
    if waiting == "settlement":
        push.post(b"x")
        m = jobs.receive(PATIENCE)
        assert m is not None
        settlement = m.ack()
        calls["settlement"] = lambda: settlement.wait(PATIENCE)
    thread = threading.Thread(target=calls[waiting])
    thread.start()
    while thread.is_alive():
        if waiting == "receipt" and (m := jobs.receive(0)) is not None:
            m.ack()  # which the other thread waits for
        time.sleep(0)
    thread.join()


def test_stop_ends_who_waits(memory_world: World) -> None:
    jobs = memory_world.worker().pull("jobs")
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(jobs.receive())) for _ in range(4)]
    threads += [threading.Thread(target=lambda: results.append(list(jobs))) for _ in range(4)]
    for thread in threads:
        thread.start()
    jobs.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(results) == 8 and all(not result for result in results)
    assert jobs.stopped


def test_closing_ends_who_waits(memory_world: World) -> None:
    worker = memory_world.worker()
    jobs = worker.pull("jobs")
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(jobs.receive()))
    thread.start()
    worker.close()
    thread.join(PATIENCE)
    assert results == [None]


def test_run_uses_as_many_threads_as_asked_for(world: World) -> None:
    push = world.producer.push("jobs")
    jobs = world.worker().pull("jobs", prefetch=8)
    together = threading.Barrier(4)
    names: set[str] = set()

    def handler(m: peermq.Delivery) -> None:
        names.add(threading.current_thread().name)
        together.wait(PATIENCE)

    runner = threading.Thread(target=lambda: jobs.run(handler, concurrency=4))
    runner.start()
    push.send_many([b"x"] * 8)
    assert push.flush(PATIENCE, until="acked")
    jobs.stop()
    runner.join(PATIENCE)
    assert len(names) == 4


def test_run_nacks_what_a_handler_raised_and_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    push = world.producer.push("jobs", max_attempts=1)
    worker = world.worker()
    jobs = worker.pull("jobs")

    def handler(m: peermq.Delivery) -> None:
        if m.data == "bad":
            raise ValueError("no good")
        if m.data == "last":
            jobs.stop()

    push.send_many(["bad", "good", "last"])
    jobs.run(handler)
    dead = worker.pull("jobs.dead").receive(PATIENCE)
    assert dead is not None
    assert dead.headers["peermq-dead-error"] == "ValueError: no good"
    dead.ack()
    assert "the handler failed" in caplog.text and "no good" in caplog.text


def test_run_ends_with_what_is_no_failure_of_the_message(world: World) -> None:
    push = world.producer.push("jobs", max_attempts=1)
    jobs = world.worker().pull("jobs")
    push.send(b"x")

    def handler(m: peermq.Delivery) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        jobs.run(handler, concurrency=2)
    jobs = world.worker().pull("jobs")
    m = jobs.receive(PATIENCE)
    assert m is not None
    assert m.attempt == 1
    m.ack()


def test_run_refuses_coroutine_functions(memory_world: World) -> None:
    async def handler(m: peermq.Delivery) -> None:
        pass

    with pytest.raises(peermq.InvalidArgument, match="peermq.aio"):
        memory_world.worker().pull("jobs").run(handler)


def test_on_event_may_call_the_api(memory_world: World) -> None:
    numbers: list[int] = []
    peer = memory_world.peer(on_event=lambda event: numbers.append(len(peer.stats()["links"])))
    peer.connect(memory_world.endpoint)
    assert eventually(lambda: numbers)


def test_what_a_callback_raises_is_shown_and_counted(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: shown.append(str(what.exc_value)))

    def on_event(event: peermq.Event) -> None:
        raise RuntimeError("of the callback")

    peer = memory_world.peer(on_event=on_event)
    peer.connect(memory_world.endpoint)
    assert eventually(lambda: peer.stats()["callback_failures"])
    assert shown[0] == "of the callback"


def test_lines_go_to_the_logger(memory_world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="peermq")
    memory_world.worker()
    assert eventually(lambda: "peer_up" in caplog.text)
    assert caplog.records[0].name == "peermq"


def test_lines_go_where_they_are_told_to(memory_world: World) -> None:
    lines: list[tuple[int, str]] = []
    memory_world.worker(log=lambda level, line: lines.append((level, line)))
    assert eventually(lambda: [line for line in lines if line[0] == 20 and "peer_up" in line[1]])
