"""Worker processes count the words of the files below /usr/share/doc; one of them is killed midway.

Every file is counted all the same: what the killed one had goes to the others.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
from pathlib import Path

import peermq


def work(endpoint: str) -> None:
    with peermq.Peer() as peer:
        peer.connect(endpoint)
        results = peer.push("results")

        def count(message: peermq.Delivery) -> None:
            path = Path(message.data)
            words = len(path.read_bytes().split())
            results.post({"path": str(path), "words": words, "worker": os.getpid()})
            results.flush(until="acked")  # the result is safe before the file is done

        peer.pull("files", prefetch=4).run(count)


def main(limit: int = 400) -> None:
    files = [str(p) for p in Path("/usr/share/doc").rglob("*") if p.is_file()][:limit]
    with tempfile.TemporaryDirectory() as spool, peermq.Peer(spool=spool) as peer:
        endpoint = peer.bind("tcp://127.0.0.1:*")
        peer.push("files").send_many(files)
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=work, args=(endpoint,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        words: dict[str, int] = {}
        by_worker: dict[int, int] = {}
        killed = False
        for message in peer.pull("results"):
            with message:
                result = message.data
                words[result["path"]] = result["words"]
                by_worker[result["worker"]] = by_worker.get(result["worker"], 0) + 1
            if not killed and len(words) >= len(files) // 4:
                victim = max(by_worker, key=lambda pid: by_worker[pid])
                os.kill(victim, signal.SIGKILL)
                killed = True
                print("killed", victim)
            if len(words) == len(files):
                break
        for worker in workers:
            worker.terminate()
            worker.join()
        print(f"{len(words)} of {len(files)} files, {sum(words.values())} words")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
