"""The demo on a small tree, with its kills; and that it leaves nothing behind."""

import os
import re
import signal
import subprocess
import unittest
from pathlib import Path

from programs import BIN, PATIENCE_S, ExampleTest


class Demo(ExampleTest):
    def setUp(self):
        super().setUp()
        self.tree = self.directory / "tree"
        self.temporary = self.directory / "tmp"
        self.temporary.mkdir()
        for number in range(300):
            folder = self.tree / f"folder {number % 7}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}\n").write_text("line of words\n" * number)

    def start_demo(self, *arguments):
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [BIN / "competing_consumers_demo", *map(str, arguments), self.tree],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @staticmethod
    def children_of(pid):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]

    def test_nothing_is_lost_although_a_worker_and_the_producer_are_killed(self):
        demo = self.start_demo()
        output, _ = demo.communicate(timeout=2 * PATIENCE_S)
        self.assertEqual(demo.returncode, 0, output)
        for name in ("lost", "missing", "wrong digests", "repeated rows"):
            self.assertRegex(output, rf"(?m)^  {name} +0  ")
        self.assertRegex(output, r"(?m)^  files +300  ")
        self.assertRegex(output, r"worker \d killed \(SIGKILL\) at \d+ %")
        self.assertRegex(output, r"producer killed \(SIGKILL\) at \d+ %")
        self.assertRegex(output, r"producer started again on the same spool")
        self.assertTrue(output.endswith("all held\n"), output)
        self.assertNotIn("\x1b", output)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_keep_keeps_the_table(self):
        demo = self.start_demo("--keep", "--seed", 7)
        output, _ = demo.communicate(timeout=2 * PATIENCE_S)
        self.assertEqual(demo.returncode, 0, output)
        kept = Path(re.search(r"kept in (.*)", output)[1])
        self.assertEqual(len((kept / "files.tsv").read_text().splitlines()), 301)

    def test_ctrl_c_ends_all_processes_and_removes_the_files(self):
        demo = self.start_demo()
        self.addCleanup(demo.stdout.close)
        for line in demo.stdout:
            if "4 workers" in line:
                break
        children = self.children_of(demo.pid)
        self.assertEqual(len(children), 6)
        demo.send_signal(signal.SIGINT)
        self.assertEqual(demo.wait(PATIENCE_S), 130)
        self.assertFalse([pid for pid in children if Path(f"/proc/{pid}").exists()])
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_a_directory_that_is_not_there_is_a_usage_error(self):
        demo = self.start_demo(self.directory / "nowhere")
        output, _ = demo.communicate(timeout=PATIENCE_S)
        self.assertEqual(demo.returncode, 64)
        self.assertIn("is not a directory", output)


if __name__ == "__main__":
    unittest.main()
