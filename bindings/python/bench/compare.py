"""peermq beside pyzmq, in turn, in one run: ./dev bench python.

Two processes over tcp loopback. peermq: post() one by one at level disk, each message received by
iteration and acked, the clock stops when all are acked at the producer. pyzmq: PUSH/PULL, send() and
recv() one by one, nothing acked or stored, the clock stops when the last is received. The asyncio
rows do the same with peermq.aio and zmq.asyncio. Ratios count: the figures belong to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

import peermq
import peermq.aio

PREFETCH = 65_536
HIGH_WATER = 100_000

# Each pair: a consumer, in a process of its own, which tells its pipe when it is ready and when all
# has come; and a producer, which returns the seconds from its first message to the end.


def check(body: Any, size: int) -> None:
    if len(body) != size:
        raise SystemExit(f"a message of {len(body)} bytes in the place of {size}")


def pyzmq_consumer(pipe: Connection, endpoint: str, count: int, size: int) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.set_hwm(HIGH_WATER)
        socket.connect(endpoint)
        socket.recv()
        pipe.send("ready")
        for _ in range(count):
            check(socket.recv(), size)
        pipe.send("done")
        pipe.recv()


def pyzmq_producer(pipe: Connection, start: Callable[[str], None], count: int, body: bytes) -> float:
    with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.set_hwm(HIGH_WATER)
        start(f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}")
        socket.send(b"first")
        pipe.recv()
        began = time.perf_counter()
        send = socket.send
        for _ in range(count):
            send(body)
        pipe.recv()
        return time.perf_counter() - began


def peermq_consumer(pipe: Connection, endpoint: str, count: int, size: int) -> None:
    with peermq.Peer() as peer:
        peer.connect(endpoint)
        jobs = peer.pull("jobs", prefetch=PREFETCH)
        next(jobs).ack()
        pipe.send("ready")
        for m in jobs:
            check(m.data, size)
            m.ack()
            count -= 1
            if count == 0:
                break
        pipe.recv()


def peermq_producer(pipe: Connection, start: Callable[[str], None], count: int, body: bytes) -> float:
    with spool() as directory, peermq.Peer(spool=directory) as peer:
        start(peer.bind("tcp://127.0.0.1:*"))
        q = peer.push("jobs")
        q.send(b"first")
        pipe.recv()
        began = time.perf_counter()
        post = q.post
        for _ in range(count):
            post(body)
        q.flush(until="acked")
        return time.perf_counter() - began


def async_pyzmq_consumer(pipe: Connection, endpoint: str, count: int, size: int) -> None:
    async def main() -> None:
        with zmq.asyncio.Context() as context, context.socket(zmq.PULL) as socket:
            socket.set_hwm(HIGH_WATER)
            socket.connect(endpoint)
            await socket.recv()
            pipe.send("ready")
            for _ in range(count):
                check(await socket.recv(), size)
            pipe.send("done")
            pipe.recv()

    asyncio.run(main())


def async_pyzmq_producer(
    pipe: Connection, start: Callable[[str], None], count: int, body: bytes
) -> float:
    async def main() -> float:
        with zmq.asyncio.Context() as context, context.socket(zmq.PUSH) as socket:
            socket.set_hwm(HIGH_WATER)
            start(f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}")
            await socket.send(b"first")
            pipe.recv()
            began = time.perf_counter()
            for _ in range(count):
                await socket.send(body)
            while not pipe.poll():
                await asyncio.sleep(0.001)
            pipe.recv()
            return time.perf_counter() - began

    return asyncio.run(main())


def async_peermq_consumer(pipe: Connection, endpoint: str, count: int, size: int) -> None:
    async def main() -> None:
        left = count
        async with peermq.aio.Peer() as peer:
            peer.connect(endpoint)
            jobs = peer.pull("jobs", prefetch=PREFETCH)
            (await jobs.__anext__()).ack()
            pipe.send("ready")
            async for m in jobs:
                check(m.data, size)
                m.ack()
                left -= 1
                if left == 0:
                    break
            while not pipe.poll():
                await asyncio.sleep(0.001)

    asyncio.run(main())


def async_peermq_producer(
    pipe: Connection, start: Callable[[str], None], count: int, body: bytes
) -> float:
    async def main(directory: str) -> float:
        async with peermq.aio.Peer(spool=directory) as peer:
            start(peer.bind("tcp://127.0.0.1:*"))
            q = peer.push("jobs")
            await q.send(b"first")
            pipe.recv()
            began = time.perf_counter()
            for _ in range(count):
                await q.post(body)
            await q.flush(until="acked")
            return time.perf_counter() - began

    with spool() as directory:
        return asyncio.run(main(directory))


@contextlib.contextmanager
def spool() -> Any:
    with tempfile.TemporaryDirectory(dir=arguments.spool) as directory:
        yield directory


def measure(consumer: Callable[..., None], producer: Callable[..., float], count: int) -> float:
    """Messages per second of one round."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    processes: list[Any] = []

    def start(endpoint: str) -> None:
        process = context.Process(target=consumer, args=(theirs, endpoint, count, arguments.size))
        process.start()
        processes.append(process)

    seconds = producer(ours, start, count, b"x" * arguments.size)
    ours.send("end")
    processes[0].join(30)
    if processes[0].exitcode != 0:
        raise SystemExit(f"the consumer ended with {processes[0].exitcode}")
    return count / seconds


ROWS = {
    "sync": (
        (pyzmq_consumer, pyzmq_producer),
        (peermq_consumer, peermq_producer),
        1_000_000,
    ),
    "asyncio": (
        (async_pyzmq_consumer, async_pyzmq_producer),
        (async_peermq_consumer, async_peermq_producer),
        100_000,
    ),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench python", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=100, help="bytes of a message")
    parser.add_argument("--quick", action="store_true", help="one small round: a look only")
    parser.add_argument("--json", action="store_true", help="one object per line")
    parser.add_argument("--spool", type=Path, default=Path("build"), help="where spools are made")
    return parser.parse_args()


def main() -> None:
    for name, (raw, own, count) in ROWS.items():
        count = count // 20 if arguments.quick else count
        rates: dict[str, list[float]] = {"pyzmq": [], "peermq": []}
        for _ in range(1 if arguments.quick else arguments.rounds):
            rates["pyzmq"].append(measure(*raw, count))
            rates["peermq"].append(measure(*own, count))
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        median = {who: statistics.median(all_rates) for who, all_rates in rates.items()}
        ratio = median["peermq"] / median["pyzmq"]
        if arguments.json:
            print(json.dumps({"row": name, "size": arguments.size, "ratio": ratio, **rates}))
        else:
            print(
                f"{name:8} {arguments.size} B, disk: peermq {median['peermq']:>11,.0f}/s, "
                f"pyzmq {median['pyzmq']:>11,.0f}/s, ratio {ratio:.2f} x (must 1.00, aim 2.00)"
            )


arguments = parse()
if __name__ == "__main__":
    main()
