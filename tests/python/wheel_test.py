"""`pip install ./bindings/python` gives a package that works where nothing else of us is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1700)

SCRIPT = """
import peermq, peermq.aio, sys
assert "site-packages" in peermq.__file__, peermq.__file__
with peermq.Peer(spool="spool") as peer, peermq.Peer() as worker:
    worker.connect(peer.bind("tcp://127.0.0.1:*"))
    peer.push("jobs").send({"n": 1})
    with worker.pull("jobs").receive(20) as m:
        print(peermq.__version__, m.data)
"""


def run(*command: object, **options: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return str(done.stdout)


def test_the_wheel_builds_installs_and_works(source_dir: Path, tmp_path: Path) -> None:
    # Kept between runs: the library is compiled once.
    build = Path(os.environ.get("PEERMQ_BUILD_DIR", tmp_path)) / "python-wheel"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
        f"--config-settings=build-dir={build}", "-w", tmp_path, source_dir / "bindings/python",
        env=environment,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("peermq-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"peermq/py.typed", "peermq/_core.pyi", "peermq/aio/__init__.py"} <= set(names)
    assert all(name.startswith(("peermq/", "peermq-")) for name in names)
    assert not [name for name in names if "__pycache__" in name]

    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin/python", "-m", "pip", "install", "--no-index", "--quiet", wheel)
    out = run(venv / "bin/python", "-c", SCRIPT, cwd=tmp_path, env=environment)
    version = (source_dir / "CMakeLists.txt").read_text().split("VERSION ")[2].split()[0]
    assert out == f"{version} {{'n': 1}}\n"
