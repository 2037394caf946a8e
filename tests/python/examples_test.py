"""Every example, and every Python snippet of the documents, runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE

ROOT = Path(__file__).parents[2]


def run(directory: Path, *command: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=3 * PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def example(directory: Path, name: str, *arguments: object) -> str:
    return run(directory, ROOT / "bindings/python/examples" / f"{name}.py", *arguments)


def test_no_example_is_left_out() -> None:
    names = {path.stem for path in (ROOT / "bindings/python/examples").glob("*.py")}
    tested = set(re.findall(r'example\(tmp_path, "(\w+)"', Path(__file__).read_text()))
    assert names == tested


def test_quick_start(tmp_path: Path) -> None:
    assert example(tmp_path, "quick_start") == (
        "order 0 of customer-7\norder 1 of customer-7\norder 2 of customer-7\nleft: 0\n"
    )


def test_competing_workers_lose_nothing(tmp_path: Path) -> None:
    out = example(tmp_path, "competing_workers", 200)
    assert "killed" in out
    count, of = re.search(r"(\d+) of (\d+) files", out).groups()  # type: ignore[union-attr]
    assert count == of and int(of) > 0


def test_async_service(tmp_path: Path) -> None:
    out = example(tmp_path, "async_service")
    assert "'total': 700" in out and "'error': 'no article ink'" in out
    assert out.endswith("published: [420, 700]\n")


def test_log_etl(tmp_path: Path) -> None:
    log = Path("/var/log/dpkg.log")
    if not log.exists() or not log.stat().st_size:
        log = tmp_path / "dpkg.log"
        log.write_text("2026-01-02 03:04:05 install tool:amd64 <none> 1.0\n" * 100)
    out = example(tmp_path, "log_etl", log)
    lines = len(log.read_bytes().splitlines())
    assert f"{lines} lines of {log}" in out
    assert int(out.split()[0]) > 0


def test_progress(tmp_path: Path) -> None:
    assert example(tmp_path, "progress").endswith("done: 2000\n")


SNIPPETS = [
    pytest.param(text, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "bindings/python/README.md")
    for number, text in enumerate(re.findall(r"```python\n(.*?)```", path.read_text(), re.S), 1)
]


@pytest.mark.parametrize("text", SNIPPETS)
def test_snippets_of_the_documents_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "snippet.py").write_text(text)
    run(tmp_path, "snippet.py")


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 4
