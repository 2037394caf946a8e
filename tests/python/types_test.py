"""mypy --strict, on the package, its stubs, and on programs that use it as documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")


def mypy(directory: Path, *arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", directory / "cache", *arguments],
        capture_output=True,
        text=True,
        cwd=directory,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_package_passes(source_dir: Path, tmp_path: Path) -> None:
    code, text = mypy(tmp_path, source_dir / "bindings/python/src/peermq")
    assert code == 0, text


def test_what_users_see_is_typed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
from datetime import timedelta
import peermq
from peermq import aio

with peermq.Peer(spool="./spool") as peer:
    endpoint: str = peer.bind("tcp://127.0.0.1:*")
    q = peer.push("jobs", durability="disk", lease=timedelta(minutes=1))
    sent: str = q.send({"n": 1}, key="k", headers={"a": "b"})
    done: bool = q.post(b"x").wait(5.0)
    depth: int = q.stats()["depth"]
    jobs = peer.pull("jobs", prefetch=64)
    m = jobs.receive(timeout=1.0)
    if m is not None:
        body: memoryview = m.body
        state: str = m.ack().state
    for m in jobs:
        with m:
            kept: peermq.OwnedMessage = m.take()

async def main() -> None:
    async with aio.Peer() as peer:
        sent: str = await peer.push("jobs").send(b"x")
        async for m in peer.pull("jobs"):
            async with m:
                text: str = m.key
"""
    )
    code, text = mypy(tmp_path, program)
    assert code == 0, text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('peer.push("jobs", durability="paper")', "Literal"),
        ('peer.push("jobs").send(b"x", kye="x")', "Unexpected keyword"),
        ('peer.pull("jobs").receive(timeout="1")', "incompatible type"),
        ('peer.pull("jobs").receive().ack()', 'has no attribute "ack"'),
        ('peer.spool', "has no attribute"),
    ],
)
def test_wrong_use_is_found(tmp_path: Path, line: str, why: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"import peermq\npeer = peermq.Peer()\n{line}\n")
    code, text = mypy(tmp_path, program)
    assert code == 1 and why in text, text
