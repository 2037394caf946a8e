"""Runs the command `peermq` for the tests beside this file; each test in a directory of its own."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

BIN = Path(os.environ["PEERMQ_BIN_DIR"])
SOURCE = Path(os.environ["PEERMQ_SOURCE_DIR"])
PEERMQ = BIN / "peermq"
PATIENCE_S = 40


class Running:
    """A command that was started; what it says on standard error can be waited for."""

    def __init__(self, arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        self.arguments = [str(argument) for argument in arguments]
        self.process = subprocess.Popen([PEERMQ, *self.arguments], stderr=subprocess.PIPE, **options)
        self.said = []
        self.printed = b""
        self._incoming = queue.Queue()
        self._threads = [threading.Thread(target=self._read_talk, daemon=True)]
        if self.process.stdout is not None:
            self._arrived = threading.Condition()
            self._threads.append(threading.Thread(target=self._read_data, daemon=True))
        for thread in self._threads:
            thread.start()

    def _read_talk(self):
        for line in self.process.stderr:
            self._incoming.put(line.decode(errors="replace").rstrip("\n"))
        self._incoming.put(None)

    def _read_data(self):
        while block := os.read(self.process.stdout.fileno(), 65536):
            with self._arrived:
                self.printed += block
                self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()

    def wait_for_talk(self, pattern):
        """The first line on standard error, from here on, that matches."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._incoming.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(self.story(f"did not say {pattern}")) from None
            if line is None:
                raise AssertionError(self.story(f"ended before it said {pattern}"))
            self.said.append(line)
            if re.search(pattern, line):
                return line

    def wait_for_lines(self, count):
        """Waits until so many lines came on standard output; returns all that came."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: self.printed.count(b"\n") >= count, PATIENCE_S)
        if not came:
            raise AssertionError(self.story(f"did not print {count} lines"))
        return self.printed.decode().splitlines()

    def endpoint(self):
        return self.wait_for_talk("listening at").split()[-1]

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, code=0):
        """Waits for its end, checks the exit code, returns what it printed."""
        try:
            ended = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.story("did not end")) from None
        for thread in self._threads:
            thread.join(PATIENCE_S)
        while not self._incoming.empty():
            line = self._incoming.get()
            if line is not None:
                self.said.append(line)
        if ended != code:
            raise AssertionError(self.story(f"ended with {ended} instead of {code}"))
        return self.printed.decode(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def story(self, what):
        said = "\n".join(self.said)
        return f"peermq {' '.join(self.arguments)}: {what}; standard error:\n{said}"


class CliTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="peermq-cli-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.spool = self.directory / "spool"

    def start(self, *arguments, **options):
        running = Running(arguments, cwd=self.directory, **options)
        self.addCleanup(running.close)
        return running

    def run_cli(self, *arguments, code=0, input=None, **options):
        """Runs a command to its end; returns what subprocess.run() returns, as text."""
        result = subprocess.run(
            [PEERMQ, *map(str, arguments)],
            cwd=self.directory,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=PATIENCE_S,
            **options,
        )
        talk = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, code, f"peermq {' '.join(map(str, arguments))}: {talk}")
        result.talk = talk
        result.text = result.stdout.decode(errors="replace")
        return result

    def json_lines(self, text):
        return [json.loads(line) for line in text.splitlines()]

    def depth(self, queue_name, spool=None):
        """Unsettled messages of a queue in the spool."""
        result = self.run_cli("spool", "ls", "--json", spool or self.spool)
        return {
            line["name"]: line["unsettled"]
            for line in self.json_lines(result.text)
            if line["type"] == "stream"
        }.get(queue_name)

    def assert_one_line(self, talk, *parts):
        """One line on standard error that has all these parts."""
        self.assertEqual(talk.count("\n"), 1, talk)
        for part in parts:
            self.assertIn(part, talk)
