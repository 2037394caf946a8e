"""`serve`, `push --via`, `stats`, `top`, `bench` and `doctor`: running peers and who looks at them."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
import unittest

from cli import PATIENCE_S, PEERMQ, CliTest

ANY = "tcp://127.0.0.1:*"


class Terminal:
    """A command in a pseudo-terminal, with what its screen shows."""

    def __init__(self, arguments, directory, rows=24, columns=80, environment=None):
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ.update({"TERM": "xterm", "LINES": str(rows), "COLUMNS": str(columns), **(environment or {})})
            os.execv(PEERMQ, [str(PEERMQ), *map(str, arguments)])
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.output = b""
        self.status = None

    def wait_for(self, pattern):
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.output):
            ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"{pattern} did not come: {self.output!r}")
            if not self._read():
                raise AssertionError(f"ended before {pattern} came: {self.output!r}")

    def _read(self):
        try:
            block = os.read(self.descriptor, 65536)
        except OSError:
            return False
        self.output += block
        return bool(block)

    def type(self, keys):
        os.write(self.descriptor, keys)

    def end(self):
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.end()
        os.close(self.descriptor)


class RunningTest(CliTest):
    def serve(self, *arguments):
        serve = self.start("serve", self.spool, "--stay", "--bind", ANY, *arguments)
        endpoint = serve.endpoint()
        serve.wait_for_talk("serving")
        return serve, endpoint

    def terminal(self, *arguments, **options):
        terminal = Terminal(arguments, self.directory, **options)
        self.addCleanup(terminal.close)
        return terminal

    def stop(self, serve):
        serve.signal(signal.SIGTERM)
        serve.end(0)


class Serve(RunningTest):
    def test_hands_out_what_a_short_lived_producer_left(self):
        self.run_cli("push", "jobs", "a", "b", "-s", self.spool)
        serve = self.start("serve", self.spool, "--bind", ANY)
        endpoint = serve.endpoint()
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "-n", 2).text, "a\nb\n")
        serve.end(0)
        self.assertIn("drained: 0 messages", serve.said[-1])

    def test_adopts_the_spool_of_a_killed_producer(self):
        push = self.start("push", "jobs", "-s", self.spool, "--bind", ANY, "a", "b", "--wait", "acked")
        push.endpoint()
        while not (self.spool / "control").exists() or self.depth("jobs") != 2:
            pass
        push.signal(signal.SIGKILL)
        push.process.wait()
        serve = self.start("serve", self.spool, "--bind", ANY)
        self.assertEqual(self.run_cli("pull", "jobs", "-c", serve.endpoint(), "-n", 2).text, "a\nb\n")
        serve.end(0)

    def test_ctrl_c_leaves_the_rest_in_the_spool(self):
        self.run_cli("push", "jobs", "a", "-s", self.spool)
        serve = self.start("serve", self.spool, "--bind", ANY)
        serve.wait_for_talk("serving")
        serve.signal(signal.SIGINT)
        serve.end(130)
        self.assertIn("1 message and 0 dead letters left", serve.said[-1])
        self.assertEqual(self.depth("jobs"), 1)

    def test_time_out_is_5_and_nothing_there_is_4(self):
        self.run_cli("push", "jobs", "a", "-s", self.spool)
        self.run_cli("serve", self.spool, "--bind", ANY, "--timeout", "100ms", code=5)
        result = self.run_cli("serve", self.directory / "nowhere", "--bind", ANY, code=4)
        self.assert_one_line(result.talk, "holds no spool", "--stay")


class Via(RunningTest):
    def test_a_message_is_durable_at_the_peer_and_handed_out_by_it(self):
        serve, endpoint = self.serve()
        result = self.run_cli("push", "jobs", "a", "--via", self.spool, "--ids", "-k", "kay", "-H", "x=1")
        message = json.loads(self.run_cli("pull", "jobs", "-c", self.spool, "-n", 1, "--json").text)
        self.assertEqual((message["body"], message["key"], message["id"]), ("a", "kay", result.text.strip()))
        self.assertEqual(message["headers"], [{"name": "x", "value": "1"}])
        self.stop(serve)

    def test_it_survives_the_death_of_the_peer(self):
        serve, _ = self.serve()
        self.run_cli("push", "jobs", "--via", self.spool, input=b"a\nb\n")
        serve.signal(signal.SIGKILL)
        serve.process.wait()
        self.assertEqual(self.depth("jobs"), 2)

    def test_nobody_there_is_4_and_wrong_queues_are_refused(self):
        result = self.run_cli("push", "jobs", "a", "--via", self.spool, code=4)
        self.assert_one_line(result.talk, "no running peer found", str(self.spool))
        serve, _ = self.serve()
        result = self.run_cli("push", "jobs.dead", "a", "--via", self.spool, code=64)
        self.assert_one_line(result.talk, "dead letters")
        result = self.run_cli("push", "jobs", "a", "--via", self.spool, "--spool", "x", code=64)
        self.assert_one_line(result.talk, "leave out --spool")
        self.stop(serve)


class Numbers(RunningTest):
    def test_stats_json_has_every_queue(self):
        serve, endpoint = self.serve()
        self.run_cli("push", "jobs", "a", "b", "--via", self.spool)
        peer = json.loads(self.run_cli("stats", "--json", self.spool).text)
        self.assertEqual((peer["pid"], peer["endpoints"]), (serve.process.pid, [endpoint]))
        [jobs] = [push for push in peer["stats"]["pushes"] if push["queue"] == "jobs"]
        self.assertEqual((jobs["depth"], jobs["posted"], jobs["durability"]), (2, 2, "disk"))
        self.assertIn("oldest_age_ms", jobs)
        self.assertIn("live_bytes", peer["stats"]["spool"])
        self.stop(serve)

    def test_stats_is_a_table_for_people_without_colour_in_a_pipe(self):
        serve, endpoint = self.serve()
        self.run_cli("push", "jobs", "a", "--via", self.spool)
        text = self.run_cli("stats", self.spool).text
        self.assertNotIn("\x1b", text)
        self.assertIn(endpoint, text)
        self.assertRegex(text, r"QUEUE +DEPTH")
        self.assertRegex(text, r"jobs +1 ")
        self.stop(serve)

    def test_no_peer_is_4_and_says_why(self):
        result = self.run_cli("stats", self.spool, code=4)
        self.assert_one_line(result.talk, "no such directory")
        self.run_cli("push", "jobs", "a", "-s", self.spool)
        self.assert_one_line(self.run_cli("top", self.spool, code=4).talk, "no control socket")

    def test_top_with_a_count_prints_rates(self):
        serve, endpoint = self.serve()
        text = self.run_cli("top", self.spool, "-n", 2, "--interval", "100ms").text
        self.assertEqual(text.count("peermq top"), 2)
        self.stop(serve)


class Top(RunningTest):
    def test_shows_a_live_table_and_q_quits_and_leaves_the_terminal_as_it_was(self):
        serve, _ = self.serve()
        self.run_cli("push", "jobs", "a", "--via", self.spool)
        top = self.terminal("top", self.spool, "--interval", "100ms", columns=120)
        top.wait_for(rb"jobs +1 ")
        self.run_cli("push", "jobs", "b", "--via", self.spool)
        top.wait_for(rb"jobs +2 ")
        top.type(b"q")
        self.assertEqual(top.end(), 0)
        self.assertIn(b"\x1b[?1049h", top.output)
        self.assertTrue(top.output.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), top.output[-40:])
        self.stop(serve)

    def test_ctrl_c_ends_it_in_order(self):
        serve, _ = self.serve()
        top = self.terminal("top", self.spool)
        top.wait_for(b"q quits")
        top.type(b"\x03")
        self.assertEqual(top.end(), 0)
        self.assertTrue(top.output.rstrip().endswith(b"\x1b[?1049l"))
        self.stop(serve)

    def test_no_line_is_wider_than_the_window_and_no_color_is_heard(self):
        serve, _ = self.serve()
        self.run_cli("push", "jobs-with-a-rather-long-name", "a", "--via", self.spool)
        top = self.terminal("top", self.spool, columns=60, environment={"NO_COLOR": "1"})
        top.wait_for(rb"jobs-with-a-rather-long-name")
        top.type(b"q")
        top.end()
        self.assertNotRegex(top.output, rb"\x1b\[[0-9;]*[1-9]m")
        plain = re.sub(rb"\x1b\[[?0-9;]*[A-Za-z]", b"", top.output)
        self.assertLessEqual(max(len(line.rstrip(b"\r")) for line in plain.split(b"\n")), 60)
        self.stop(serve)

    def test_a_peer_that_ends_is_told_in_the_table(self):
        serve, _ = self.serve()
        top = self.terminal("top", self.spool, "--interval", "100ms", columns=120)
        top.wait_for(b"pid")
        self.stop(serve)
        top.wait_for(b"no running peer found|has ended")
        top.type(b"q")
        self.assertEqual(top.end(), 0)


class Progress(RunningTest):
    def test_long_work_shows_progress_in_a_terminal_and_removes_it(self):
        push = self.terminal("push", "jobs", "a", "--bind", ANY, "--timeout", "1500ms")
        push.wait_for(rb"waiting for acks .*0 messages")
        self.assertEqual(push.end(), 5)
        self.assertIn(b"\r\x1b[K", push.output)
        last = push.output.rstrip().split(b"\n")[-1]
        self.assertIn(b"time is over", last)

    def test_there_is_none_without_a_terminal(self):
        result = self.run_cli("push", "jobs", "a", "--bind", ANY, "--timeout", "1s", code=5)
        self.assertNotIn("waiting", result.talk)
        self.assertNotIn("\x1b", result.talk)


class BenchTest(RunningTest):
    def test_push_tells_rate_and_percentiles(self):
        pull = self.start("pull", "load", "--bind", ANY)
        result = self.run_cli("bench", "push", "load", "-c", pull.endpoint(), "-n", 500, "--json")
        line = json.loads(result.text)
        self.assertEqual(line["messages"], 500)
        self.assertLessEqual(line["p50_ms"], line["p99_ms"])
        self.assertLessEqual(line["p99_ms"], line["max_ms"])
        pull.signal(signal.SIGINT)
        pull.end(0)

    def test_pub_and_req_likewise(self):
        sub = self.start("sub", "load.#", "--bind", ANY)
        text = self.run_cli("bench", "pub", "load.x", "-c", sub.endpoint(), "-n", 100).text
        self.assertRegex(text.splitlines()[0], r"^BENCH +MESSAGES")
        self.assertRegex(text.splitlines()[1], r"^pub +100 ")
        rep = self.start("rep", "load", "--echo", "--bind", ANY)
        text = self.run_cli("bench", "req", "load", "-c", rep.endpoint(), "-n", 100).text
        self.assertRegex(text.splitlines()[1], r"^req +100 ")

    def test_nobody_who_takes_them_is_5(self):
        result = self.run_cli("bench", "push", "load", "--bind", ANY, "-n", 1, "--timeout", "200ms", code=5)
        self.assertIn("does anybody take these messages?", result.talk)


class DoctorTest(RunningTest):
    def checks(self, *arguments, code=0):
        result = self.run_cli("doctor", "--json", *arguments, code=code)
        return {line["check"]: line for line in self.json_lines(result.text)}

    def test_looks_at_everything(self):
        checks = self.checks()
        self.assertLessEqual({"peermq", "libzmq", "curve", "open files", "clock", "disk space", "disk sync", "bind"}, set(checks))
        self.assertRegex(checks["libzmq"]["text"], r"libzmq 4\.\d+\.\d+")

    def test_reaches_a_peer_and_says_when_it_does_not(self):
        pull = self.start("pull", "q", "--bind", ANY)
        self.assertEqual(self.checks("--connect", pull.endpoint())["connect"]["verdict"], "ok")
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            endpoint = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
            found = self.checks("--connect", endpoint, "--timeout", "200ms", code=3)["connect"]
            self.assertEqual(found["verdict"], "bad")
            self.assertIn("is a peermq process listening", found["advice"])

    def test_a_port_in_use_is_found(self):
        pull = self.start("pull", "q", "--bind", ANY)
        self.assertEqual(self.checks("--bind", pull.endpoint(), code=3)["bind"]["verdict"], "bad")


if __name__ == "__main__":
    unittest.main()
