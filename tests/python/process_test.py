"""Ctrl-C, SIGTERM, forks, the end of the interpreter, and a kill in the middle of work."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from conftest import PATIENCE, Programs, World

BLOCKED = {
    "receive": "peer.pull('jobs').receive()",
    "iteration": "next(iter(peer.pull('jobs')))",
    "post": "q = peer.push('full', memory_bytes_max=1024)\nwhile True: q.post(b'x' * 600)",
    "receipt": "peer.push('q').post(b'x').wait(until='acked')",
    "flush": "q = peer.push('q'); q.post(b'x'); q.flush(until='acked')",
    "close": "q = peer.push('q'); q.post(b'x'); peer.close(timeout=1000)",
}

WAITER = """
import sys, threading, time, peermq
peer = peermq.Peer(close_timeout=0)
def ready():
    sys.stdout.write("ready\\n"); sys.stdout.flush()
threading.Timer(0.1, ready).start()
try:
    {call}
except KeyboardInterrupt:
    print("interrupted")
    sys.stdout.flush()
    import os; os._exit(0)
"""


@pytest.mark.parametrize("call", BLOCKED)
def test_a_blocked_call_is_interrupted_by_ctrl_c(programs: Programs, call: str) -> None:
    code = WAITER.replace("{call}", BLOCKED[call].replace("\n", "\n    "))
    process = programs.start(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)


RUNNER = """
import sys, threading, peermq
peer = peermq.Peer(); peer.connect(sys.argv[1])
jobs = peer.pull("jobs", prefetch=16)
def handler(m):
    print("handling", m.data["n"], flush=True)
    if m.data["n"] == 0:
        sys.stdin.readline()
    print("handled", m.data["n"], flush=True)
jobs.run(handler, concurrency=int(sys.argv[2]))
print("returned", jobs.stopped, flush=True)
peer.close()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("concurrency", [1, 2])
def test_run_drains_on_a_signal_and_returns(
    programs: Programs, world: World, number: signal.Signals, concurrency: int
) -> None:
    push = world.producer.push("jobs")
    push.post({"n": 0})
    process = programs.start(RUNNER, world.endpoint, concurrency)
    assert process.stdout is not None
    assert process.stdout.readline() == "handling 0\n"
    process.send_signal(number)
    time.sleep(0.05)
    push.post({"n": 1})  # goes to nobody
    out, err = process.communicate("go on\n", timeout=PATIENCE)
    assert process.returncode == 0 and err == ""
    lines = out.splitlines()
    assert "handled 0" in lines and lines[-1] == "returned True"
    stats = push.stats()
    assert (stats["acked"], stats["nacked"]) == (1 + ("handled 1" in lines), 0)


def test_a_second_ctrl_c_acts_as_it_did_before_run(programs: Programs, world: World) -> None:
    world.producer.push("jobs").post({"n": 0})
    process = programs.start(RUNNER, world.endpoint, 1)
    assert process.stdout is not None
    assert process.stdout.readline() == "handling 0\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0 and "KeyboardInterrupt" in err


def test_a_forked_child_is_refused_and_leaves_its_parent_alone(programs: Programs) -> None:
    out = programs.run(
        """
import os, peermq
producer = peermq.Peer(); worker = peermq.Peer()
worker.connect(producer.bind("inproc://fork"))
q = producer.push("jobs"); jobs = worker.pull("jobs")
q.post(b"before"); m = jobs.receive(5)
child = os.fork()
if child == 0:
    codes = []
    for call in (lambda: q.post(b"x"), lambda: jobs.receive(0), lambda: producer.push("other"),
                 lambda: producer.close(), m.ack):
        try:
            call(); codes.append(None)
        except peermq.Error as error:
            codes.append(error.code.value)
    del m, q, jobs, producer, worker
    with peermq.Peer() as mine:          # a new one works
        mine.push("q").post(b"x")
        mine.push("q").purge()
    print(codes, flush=True)
    raise SystemExit(0)                  # through atexit, which must not touch the parent's
assert os.waitpid(child, 0)[1] == 0
m.ack(); q.post(b"after")
m = jobs.receive(5); print(m.data); m.ack()
"""
    )
    first, second = out.splitlines()
    assert first == str(["invalid_state"] * 5)
    assert second == "b'after'"


EXITS = {
    "nothing was closed": "",
    "a daemon thread waits": """
threading.Thread(target=lambda: [m.ack() for m in jobs], daemon=True).start()
""",
    "many daemon threads work": """
def work():
    while True:
        q.post(b"x")
        m = jobs.receive(0.01)
        if m: m.ack()
for _ in range(8): threading.Thread(target=work, daemon=True).start()
import time; time.sleep(0.2)
""",
    "an exception ends it": "raise SystemExit(0)",
    "a message is in hand": "q.post(b'x'); m = jobs.receive(5)",
    "callbacks are under way": """
peers = [peermq.Peer(on_event=lambda event: None, close_timeout=0.2) for _ in range(4)]
for p in peers: p.connect(endpoint)
""",
    "a cycle holds it": "class C: pass\nc = C(); c.me = c; c.peer = producer; del producer",
}


@pytest.mark.parametrize("how", EXITS)
def test_the_interpreter_ends_in_silence_when(programs: Programs, how: str, tmp_path: Path) -> None:
    programs.run(
        """
import sys, threading, peermq
producer = peermq.Peer(spool=sys.argv[1], close_timeout=0.5); worker = peermq.Peer(close_timeout=0.5)
endpoint = producer.bind("tcp://127.0.0.1:*")
worker.connect(endpoint)
q = producer.push("jobs"); jobs = worker.pull("jobs")
"""
        + EXITS[how],
        tmp_path / "spool",
    )


def test_what_a_killed_worker_had_goes_to_the_next_and_nothing_is_lost(
    programs: Programs, world: World
) -> None:
    count = 500
    push = world.producer.push("jobs")
    push.send_many([{"n": n} for n in range(count)])
    victim = programs.start(
        """
import sys, time, peermq
peer = peermq.Peer(); peer.connect(sys.argv[1])
for i, m in enumerate(peer.pull("jobs", prefetch=100)):
    if i == 50:
        print("now", flush=True)
        time.sleep(1000)
    m.ack().wait()
""",
        world.endpoint,
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == "now\n"
    victim.kill()
    jobs = world.worker().pull("jobs", prefetch=100)
    seen = []
    while len(seen) < count - 50:
        m = jobs.receive(PATIENCE)
        assert m is not None, len(seen)
        seen.append(m.data["n"])
        m.ack()
    assert push.flush(PATIENCE, until="acked")
    assert sorted(seen) == list(range(50, count))
    assert push.stats()["suspicions"] == 1


def test_what_a_killed_producer_had_sent_is_there_for_the_next(
    programs: Programs, tmp_path: Path
) -> None:
    code = """
import sys, peermq
peer = peermq.Peer(spool=sys.argv[1])
q = peer.push("jobs")
for n in range(10 ** 9):
    q.send({"n": n})
    print(n, flush=True)
"""
    spool = tmp_path / "spool"
    producer = programs.start(code, spool)
    assert producer.stdout is not None
    while int(producer.stdout.readline()) < 100:
        pass
    producer.kill()
    last = 100
    for line in producer.stdout:
        last = int(line)
    second = World(spool)
    try:
        push = second.producer.push("jobs")
        depth = push.stats()["depth"]
        assert depth >= last + 1
        jobs = second.worker().pull("jobs")
        for n in range(depth):
            m = jobs.receive(PATIENCE)
            assert m is not None
            assert m.data["n"] == n
            m.ack()
    finally:
        second.close()
