"""Starts the example programs for the tests beside this file; each in a directory of its own."""

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

BIN = Path(os.environ["PEERMQ_BIN_DIR"])
PATIENCE_S = 40


class Program:
    """A running example; its lines of standard output can be waited for."""

    def __init__(self, name, *arguments, directory, stdin=None):
        self.name = name
        self.stderr_path = Path(directory) / f"{name}.{time.monotonic_ns()}.stderr"
        with open(self.stderr_path, "wb") as stderr, open(stdin or os.devnull, "rb") as source:
            self.process = subprocess.Popen(
                [BIN / name, *map(str, arguments)],
                cwd=directory,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self.lines = []
        self._incoming = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._incoming.put(line.decode(errors="replace").rstrip("\n"))
        self._incoming.put(None)

    def wait_for(self, wanted):
        """The first line from here on for which `wanted` is true."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self._incoming.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(self._story("did not print what was waited for")) from None
            if line is None:
                raise AssertionError(self._story("ended before it printed what was waited for"))
            self.lines.append(line)
            if wanted(line):
                return line

    def endpoint(self):
        """Where it listens: the last word of the line that tells so."""
        return self.wait_for(lambda line: "tcp://" in line).split()[-1]

    def figure(self, line, name):
        """The number behind `name` in a line of names and values; 0 when it is not there."""
        words = line.split()
        return int(words[words.index(name) + 1]) if name in words else 0

    def wait_for_figure(self, name, at_least):
        return self.wait_for(lambda line: self.figure(line, name) >= at_least)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Waits for its end by itself; returns the exit code."""
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._story("did not end")) from None
        self._reader.join(PATIENCE_S)
        while not self._incoming.empty():
            line = self._incoming.get()
            if line is not None:
                self.lines.append(line)
        return code

    def kill(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def _story(self, what):
        printed = "\n".join(self.lines[-20:])
        return f"{self.name} {what}; printed:\n{printed}\nstandard error:\n{self.stderr()}"


class ExampleTest(unittest.TestCase):
    """Gives each test a fresh directory and kills what it leaves running."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="peermq-example-")
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def start(self, name, *arguments, stdin=None):
        """`stdin`: path of a file that it reads as its standard input."""
        program = Program(name, *arguments, directory=self.directory, stdin=stdin)
        self.addCleanup(program.kill)
        return program

    def assert_ends_well(self, program):
        code = program.end()
        self.assertEqual(code, 0, program._story("ended badly"))
