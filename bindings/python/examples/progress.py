"""Work in worker threads behind a progress bar: rich's when it is installed, else a line of text."""

import hashlib
import threading
from collections.abc import Iterable, Iterator

import peermq

try:
    from rich.progress import track
except ImportError:

    def track(sequence: Iterable[int], description: str = "", total: int = 0) -> Iterator[int]:
        for done in sequence:
            print(f"\r{description} {done}/{total}", end="", flush=True)
            yield done
        print()


def finished(push: peermq.Push, count: int) -> Iterator[int]:
    """Counts up as messages are acked."""
    changed = threading.Event()
    seen = 0
    while seen < count:
        acked = push.stats()["acked"]
        while seen < acked:
            seen += 1
            yield seen
        changed.wait(0.02)


def main(count: int = 2000) -> None:
    with peermq.Peer() as producer, peermq.Peer() as worker:
        worker.connect(producer.bind("inproc://progress"))
        jobs = worker.pull("jobs", prefetch=100)

        def handle(message: peermq.Delivery) -> None:
            hashlib.pbkdf2_hmac("sha256", message.body, b"salt", 100)

        runner = threading.Thread(target=lambda: jobs.run(handle, concurrency=2))
        runner.start()
        push = producer.push("jobs")
        for number in range(count):
            push.post(str(number).encode())
        done = 0
        for done in track(finished(push, count), description="hashing", total=count):
            pass
        jobs.stop()
        runner.join()
        print("done:", done)


if __name__ == "__main__":
    main()
