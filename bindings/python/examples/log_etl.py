"""Reads a real log, package by package, into a table, without pandas: extract, transform, load.

The lines of /var/log/dpkg.log (or the file given) go through a queue; a worker transforms them in
batches and loads them into SQLite, and acks a batch only when it is committed.
"""

import sqlite3
import sys
import tempfile
import threading
from pathlib import Path

import peermq


def extract(peer: peermq.Peer, log: Path) -> int:
    lines = peer.push("lines")
    count = 0
    with log.open("rb") as file:
        for line in file:
            lines.post(line)
            count += 1
    lines.flush()
    return count


def load(peer: peermq.Peer, database: Path, count: int) -> None:
    lines = peer.pull("lines", prefetch=1000)
    table = sqlite3.connect(database)
    table.execute("create table if not exists actions (id text primary key, day, action, package)")
    done = 0
    while done < count:
        batch = [message] if (message := lines.receive(timeout=30)) else []
        while len(batch) < 500 and (message := lines.receive(timeout=0)):
            batch.append(message)
        for message in batch:
            fields = message.data.decode(errors="replace").split()
            if len(fields) >= 4:
                row = (message.id, fields[0], fields[2], fields[3])
                table.execute("insert or ignore into actions values (?, ?, ?, ?)", row)
        table.commit()  # what came twice was ignored by its id
        for message in batch:
            message.ack()
        done += len(batch)
    for action, number in table.execute(
        "select action, count(*) from actions group by action order by 2 desc limit 3"
    ):
        print(f"{number:8} {action}")
    table.close()


def main(log: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        with peermq.Peer(spool=Path(directory) / "spool") as source, peermq.Peer() as sink:
            sink.connect(source.bind("tcp://127.0.0.1:*"))
            count = extract(source, log)
            worker = threading.Thread(target=load, args=(sink, Path(directory) / "db", count))
            worker.start()
            worker.join()
            source.push("lines").flush(30, until="acked")
            print(f"{count} lines of {log}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/var/log/dpkg.log"))
