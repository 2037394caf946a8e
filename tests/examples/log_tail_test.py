"""log_tail: lines by topic, live and durable subscribers, kills of either side."""

import signal
import unittest
from pathlib import Path

from programs import ExampleTest

REAL_LOGS = [path for path in (Path("/var/log/dpkg.log"), Path("/var/log/bootstrap.log"))
             if path.exists() and path.stat().st_size > 0]


class LogTail(ExampleTest):
    def setUp(self):
        super().setUp()
        self.log = self.directory / "app.log"
        self.log.write_text("first\n")
        self.endpoint_asked = "tcp://127.0.0.1:*"

    def publish(self, *files):
        program = self.start("log_tail_publish", self.endpoint_asked, "tail", *files)
        endpoint = program.endpoint()
        self.endpoint_asked = endpoint
        return program, endpoint

    def subscribe(self, endpoint, pattern, *name):
        program = self.start("log_tail_subscribe", endpoint, pattern, *name)
        program.wait_for(lambda line: line == "subscribed")
        return program

    def append(self, *lines):
        with open(self.log, "a", encoding="utf-8") as log:
            log.writelines(line + "\n" for line in lines)

    def test_live_subscribers_get_what_their_pattern_takes(self):
        _, endpoint = self.publish(self.log)
        errors = self.subscribe(endpoint, "logs.*.error")
        everything = self.subscribe(endpoint, "logs.#")
        self.append("a warning", "an Error: disk", "fine")
        everything.wait_for(lambda line: line == "logs.app.info fine")
        self.assertEqual(errors.wait_for(lambda line: True), "logs.app.error an Error: disk")
        errors.signal(signal.SIGINT)
        self.assert_ends_well(errors)
        self.assertEqual(errors.lines[-1], "stopped after 1 lines, missed 0")

    def test_a_durable_subscriber_goes_on_where_it_was_killed(self):
        publisher, endpoint = self.publish(self.log)
        archive = self.subscribe(endpoint, "logs.app.#", "archive")
        archive.wait_for(lambda line: line == "logs.app.info first")
        archive.kill()
        self.append(*(f"line {i}" for i in range(100)))
        publisher.wait_for_figure("published", 101)
        publisher.kill()
        self.append("after the publisher was killed")

        self.publish(self.log)
        again = self.subscribe(endpoint, "logs.app.#", "archive")
        # Older lines wait for members that may hold them, newer ones do not.
        missing = {f"logs.app.info line {i}" for i in range(100)}
        missing.add("logs.app.info after the publisher was killed")

        def complete(line):
            missing.discard(line)
            return not missing

        again.wait_for(complete)

    @unittest.skipUnless(REAL_LOGS, "no log of this system can be read")
    def test_all_lines_of_real_logs_reach_a_late_subscriber(self):
        publisher, endpoint = self.publish(*REAL_LOGS)
        lines = [line for path in REAL_LOGS
                 for line in path.read_bytes().decode(errors="replace").split("\n")[:-1]]
        publisher.wait_for_figure("published", len(lines))
        late = self.subscribe(endpoint, "logs.#", "everything")
        for _ in lines:
            late.wait_for(lambda line: line.startswith("logs."))
        got = sorted(line.split(" ", 1)[1] for line in late.lines if line.startswith("logs."))
        self.assertEqual(got, sorted(lines))


if __name__ == "__main__":
    unittest.main()
