"""event_sourcing: state rebuilt from the retained log, also after a kill."""

import subprocess
import unittest

from programs import BIN, PATIENCE_S, ExampleTest


class EventSourcing(ExampleTest):
    def open(self):
        process = subprocess.Popen(
            [BIN / "event_sourcing_accounts", "spool"], cwd=self.directory, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.close, process)
        return process, process.stdout.readline().rstrip("\n")

    def close(self, process):
        process.kill()
        process.communicate(timeout=PATIENCE_S)

    def tell(self, process, command):
        process.stdin.write(command + "\n")
        process.stdin.flush()
        lines = []
        while True:
            line = process.stdout.readline()
            self.assertTrue(line, "it has ended")
            if line.startswith(("done", "refused")):
                return lines, line.rstrip("\n")
            lines.append(line.rstrip("\n"))

    def test_what_was_answered_is_there_after_a_kill(self):
        accounts, first = self.open()
        self.assertEqual(first, "rebuilt from 0 events")
        for command in ("deposit anna 100", "deposit ben 50", "withdraw anna 30"):
            self.assertEqual(self.tell(accounts, command)[1], "done")
        self.assertEqual(self.tell(accounts, "withdraw ben 60")[1], "refused: ben has only 50")
        self.close(accounts)

        again, first = self.open()
        self.assertEqual(first, "rebuilt from 3 events")
        self.assertEqual(self.tell(again, "show")[0], ["anna 70", "ben 50"])
        for _ in range(200):
            self.assertEqual(self.tell(again, "deposit carl 1")[1], "done")
        self.close(again)

        _, first = self.open()
        self.assertEqual(first, "rebuilt from 203 events")


if __name__ == "__main__":
    unittest.main()
