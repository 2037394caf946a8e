"""python -m peermq worker module:app: runs the workers of an app."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from ._app import App
from ._errors import Error
from ._peer import Peer
from ._work import Workers

_POLL = 0.1
_RESTARTS_MAX = 5
"""Children of one slot that end within _SOON of their start, before the whole is given up."""
_SOON = 5.0

logger = logging.getLogger("peermq")


def load(target: str) -> App:
    """The app that "module:name" names. Exits with what is wrong."""
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        sys.exit(f"peermq: {target!r}: module:app is wanted, for example shop.tasks:app")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as failure:
        if failure.name != module_name.split(".")[0] and failure.name != module_name:
            raise
        sys.exit(f"peermq: there is no module {module_name!r} here or on the Python path")
    app = getattr(module, name, None)
    if not isinstance(app, App):
        sys.exit(f"peermq: {target!r} is no peermq.App")
    return app


def work(arguments: argparse.Namespace) -> int:
    """In this process, until a signal."""
    app = load(arguments.app)
    unknown = [queue for queue in arguments.queue or [] if queue not in app.workers]
    if unknown or not app.workers:
        sys.exit(f"peermq: app {app.name!r} has no worker for {unknown or 'any queue'}")
    with Peer() as peer:
        for endpoint in arguments.connect or app.endpoints:
            peer.connect(endpoint)
        workers = Workers(app, peer, arguments.queue)

        def stop(number: int, frame: FrameType | None) -> None:
            workers.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        logger.info("worker %d of %s: %s", os.getpid(), app.name, ", ".join(sorted(app.workers)))
        workers.join()
    return 0


class Supervisor:
    """Worker processes: as many as asked for, new ones for those that died."""

    def __init__(self, arguments: argparse.Namespace, command: list[str]) -> None:
        self._arguments = arguments
        self._command = command
        self._children: list[tuple[subprocess.Popen[bytes], float]] = []
        self._early = 0
        self._stopping = False

    def run(self) -> int:
        """The exit code: 0 after an orderly end."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._start_all()
        seen = self._stamps()
        while not self._stopping:
            time.sleep(_POLL)
            if not self._replace_dead():
                self._end_all()
                return 1
            if self._arguments.reload and (now := self._stamps()) != seen:
                logger.info("files have changed: the workers are started anew")
                seen = now
                self._end_all()
                self._start_all()
        return 0 if self._end_all() else 1

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _start_one(self) -> None:
        # In a session of its own: Ctrl-C at the terminal reaches it through us, once.
        child = subprocess.Popen(self._command, start_new_session=True)
        self._children.append((child, time.monotonic()))

    def _start_all(self) -> None:
        for _ in range(self._arguments.processes):
            self._start_one()

    def _replace_dead(self) -> bool:
        """False: they die so fast that there is no use in going on."""
        for entry in [one for one in self._children if one[0].poll() is not None]:
            child, started = entry
            self._children.remove(entry)
            code = child.returncode
            logger.error("worker %d ended with %s", child.pid, _reason(code))
            self._early = self._early + 1 if time.monotonic() - started < _SOON else 0
            if self._early >= _RESTARTS_MAX or code == 2:
                logger.error("giving up: see what the workers said")
                return False
            self._start_one()
        return True

    def _end_all(self) -> bool:
        """Lets all finish; False when one had to be killed or failed."""
        for child, _ in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._arguments.grace
        orderly = True
        for child, _ in self._children:
            try:
                code = child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait()
            # One that had not come so far as to listen to the signal has ended by it.
            if code not in (0, -signal.SIGTERM):
                logger.error("worker %d ended with %s", child.pid, _reason(code))
                orderly = False
        self._children.clear()
        return orderly

    def _stamps(self) -> dict[str, int]:
        if not self._arguments.reload:
            return {}
        stamps = {}
        for path in Path.cwd().rglob("*.py"):
            try:
                stamps[str(path)] = path.stat().st_mtime_ns
            except OSError:
                continue  # gone just now
        return stamps


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def parse(argv: list[str]) -> argparse.Namespace:
    """Exits with 2 and one line when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m peermq")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser(
        "worker",
        help="run the workers of an app",
        description="Runs the workers of an app until SIGTERM or Ctrl-C, which let calls under way "
        "finish. Exit code: 0 after that, 1 when a worker failed or had to be killed, 2 for a wrong "
        "command line.",
        epilog="example: python -m peermq worker shop.tasks:app --processes 4 --reload",
    )
    worker.add_argument("app", help="module:name of a peermq.App")
    worker.add_argument("--processes", type=int, default=1, metavar="N", help="default 1")
    worker.add_argument("--reload", action="store_true", help="start anew when a .py file changes")
    worker.add_argument("--connect", action="append", metavar="ENDPOINT", help="of a sender; repeatable")
    worker.add_argument("--queue", action="append", help="only this one; repeatable")
    worker.add_argument("--grace", type=float, default=30.0, metavar="SECONDS",
                        help="for calls under way at the end; default 30")  # fmt: skip
    worker.add_argument("--log-level", default="INFO", metavar="LEVEL", help="default INFO")
    arguments = parser.parse_args(argv)
    if arguments.processes < 1:
        parser.error("--processes: at least 1")
    if arguments.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        parser.error(f"--log-level: DEBUG, INFO, WARNING, ERROR or CRITICAL, not {arguments.log_level}")
    return arguments


def main(argv: list[str]) -> int:
    """The exit code."""
    arguments = parse(argv)
    logging.basicConfig(
        level=arguments.log_level.upper(),
        format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s",
    )
    try:
        if arguments.processes == 1 and not arguments.reload:
            return work(arguments)
        command = [sys.executable, "-m", "peermq", "worker", arguments.app]
        for endpoint in arguments.connect or []:
            command += ["--connect", endpoint]
        for queue in arguments.queue or []:
            command += ["--queue", queue]
        return Supervisor(arguments, [*command, "--log-level", arguments.log_level]).run()
    except Error as failure:
        print(f"peermq: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
