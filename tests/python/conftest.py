"""Peers that are linked, directories that are fresh, programs that are killed at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import peermq

PATIENCE = 30.0
"""Far longer than anything here takes."""


def eventually(condition: Callable[[], Any], limit: float = PATIENCE) -> Any:
    """What `condition` returns as soon as that is true, or at the limit."""
    deadline = time.monotonic() + limit
    while True:
        result = condition()
        if result or time.monotonic() >= deadline:
            return result
        time.sleep(0.002)


class World:
    """A producing peer and workers linked to it."""

    def __init__(self, spool: Path | None) -> None:
        self.spool = spool
        self.peers: list[peermq.Peer] = []
        self.producer = self.peer(spool=spool)
        self.endpoint = self.producer.bind("tcp://127.0.0.1:*")

    def peer(self, **options: Any) -> peermq.Peer:
        options.setdefault("close_timeout", 0.2)
        self.peers.append(peermq.Peer(**options))
        return self.peers[-1]

    def worker(self, **options: Any) -> peermq.Peer:
        peer = self.peer(**options)
        peer.connect(self.endpoint)
        return peer

    def close(self) -> None:
        for peer in reversed(self.peers):
            peer.close()


@pytest.fixture(params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """At both ends of durability."""
    made = World(tmp_path / "spool" if request.param == "disk" else None)
    yield made
    made.close()


@pytest.fixture
def memory_world() -> Iterator[World]:
    made = World(None)
    yield made
    made.close()


class Programs:
    """Python programs run with the package under test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.running: list[subprocess.Popen[str]] = []

    def start(self, code: str, *arguments: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", code, *map(str, arguments)],
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def run(self, code: str, *arguments: Any, timeout: float = PATIENCE) -> str:
        """Its standard output; it must end by itself, without a word on standard error."""
        process = self.start(code, *arguments)
        out, err = process.communicate(timeout=timeout)
        assert (process.returncode, err) == (0, "")
        return out

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    yield made
    made.close()


@pytest.fixture
def source_dir() -> Path:
    return Path(os.environ.get("PEERMQ_SOURCE_DIR", Path(__file__).parents[2]))
