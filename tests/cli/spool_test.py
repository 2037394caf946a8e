"""`peermq spool stat|peek|grep|export|import|repair|redrive|purge`: looking changes nothing, changing is asked for."""

import json
import unittest
from pathlib import Path

from cli import CliTest

ANY = "tcp://127.0.0.1:*"


class SpoolTest(CliTest):
    def fill(self, *bodies, queue="jobs", arguments=()):
        self.run_cli("push", queue, "-s", self.spool, *arguments, "--", *bodies)

    def contents(self):
        return {path: path.read_bytes() for path in self.spool.rglob("*") if path.is_file()}

    def flip(self, seq):
        """Flips a bit in the body of a message."""
        entries = self.json_lines(self.run_cli("spool", "dump", "--json", "--queue", "jobs", self.spool).text)
        record = next(e for e in entries if e["type"] == "record" and e["seq"] == seq)
        path = Path(record["path"])
        path = path if path.is_absolute() else self.directory / path
        content = bytearray(path.read_bytes())
        content[record["offset"] + record["bytes"] - 12] ^= 0x10
        path.write_bytes(content)


class Look(SpoolTest):
    def test_stat_sums_up(self):
        self.fill("a", "bb", "ccc")
        stat = json.loads(self.run_cli("spool", "stat", "--json", self.spool).text)
        self.assertEqual((stat["unsettled"], stat["largest_body_bytes"], stat["damage"]), (3, 3, 0))
        text = self.run_cli("spool", "stat", self.spool).text
        self.assertIn("unsettled     3 messages", text)

    def test_peek_shows_the_first_ones_and_takes_none(self):
        self.fill("a", "b", "c", arguments=("-k", "kay", "-H", "x=1"))
        text = self.run_cli("spool", "peek", self.spool, "-n", 2).text
        self.assertEqual(text.count("key=kay  x=1"), 2)
        self.assertEqual(text.split()[-1], "b")
        self.assertEqual(self.depth("jobs"), 3)

    def test_peek_cannot_move_the_cursor(self):
        self.fill("\x1b[31mred")
        self.assertNotIn("\x1b", self.run_cli("spool", "peek", self.spool).text)

    def test_grep_finds_bodies_keys_and_headers(self):
        self.fill("alpha", "beta")
        self.fill("gamma", arguments=("-k", "alphabet"))
        self.fill("delta", arguments=("-H", "greek=alpha"))

        def found(*arguments):
            result = self.run_cli("spool", "grep", self.spool, "--json", *arguments)
            return [message["body"] for message in self.json_lines(result.text)]

        self.assertEqual(found("alpha"), ["alpha", "gamma", "delta"])
        self.assertEqual(found("^alpha$"), ["alpha"])
        self.assertEqual(found("greek=a.*"), ["delta"])
        self.assertEqual(found("-i", "BETA$"), ["beta"])
        self.assertEqual(found("alpha", "-n", "1"), ["alpha"])
        self.run_cli("spool", "grep", self.spool, "-F", "a.*", code=4)
        self.assert_one_line(self.run_cli("spool", "grep", self.spool, "(", code=64).talk, "--fixed-strings")

    def test_export_and_import_keep_everything(self):
        self.fill("a", "gr\u00fc\u00df", arguments=("-k", "kay", "-H", "x=1", "--content-type", "text/plain"))
        self.run_cli("push", "odd", "-s", self.spool, "--whole", input=b"\x00\xff\n")
        exported = self.run_cli("spool", "export", self.spool)
        self.assertIn("3 messages exported", exported.talk)
        again = self.directory / "again"
        self.run_cli("spool", "import", again, "--yes", input=exported.stdout)
        fields = lambda text: [
            {name: line.get(name) for name in ("queue", "id", "key", "headers", "content_type", "body", "body_base64")}
            for line in self.json_lines(text)
        ]
        self.assertEqual(fields(self.run_cli("spool", "export", again).text), fields(exported.text))

    def test_looking_changes_nothing(self):
        self.fill("a", "b")
        before = self.contents()
        for command in (["ls"], ["stat"], ["dump"], ["peek"], ["verify"], ["export"], ["repair"], ["purge", "--queue", "jobs"]):
            self.run_cli("spool", command[0], self.spool, *command[1:])
        self.run_cli("spool", "grep", self.spool, "a")
        self.assertEqual(self.contents(), before)


class Change(SpoolTest):
    def test_repair_says_first_and_does_it_with_yes(self):
        self.fill("first", "second", "third")
        self.flip(2)
        self.run_cli("spool", "verify", self.spool, code=2)
        before = self.contents()
        said = self.run_cli("spool", "repair", self.spool)
        self.assertIn("--yes does it", said.talk)
        self.assertEqual(self.contents(), before)
        done = self.run_cli("spool", "repair", self.spool, "--yes")
        self.assertIn("1 message lost", done.talk)
        self.run_cli("spool", "verify", self.spool)
        bodies = [line["body"] for line in self.json_lines(self.run_cli("spool", "export", self.spool).text)]
        self.assertEqual(bodies, ["first", "third"])

    def test_purge_removes_one_queue(self):
        self.fill("a", "b")
        self.fill("c", queue="other")
        self.assertIn("would remove 2 messages", self.run_cli("spool", "purge", self.spool, "--queue", "jobs").talk)
        self.run_cli("spool", "purge", self.spool, "--queue", "jobs", "--yes")
        self.assertEqual((self.depth("jobs"), self.depth("other")), (0, 1))

    def test_redrive_brings_dead_letters_back(self):
        push = self.start("push", "jobs", "-s", self.spool, "--bind", ANY, "a", "b", "--wait", "acked")
        endpoint = push.endpoint()
        self.reject_all(endpoint)
        push.end()
        self.assertEqual((self.depth("jobs"), self.depth("jobs.dead")), (0, 2))
        self.assertIn("would move 2 dead letters", self.run_cli("spool", "redrive", self.spool, "--queue", "jobs").talk)
        self.run_cli("spool", "redrive", self.spool, "--queue", "jobs", "-n", 1, "--yes")
        self.assertEqual((self.depth("jobs"), self.depth("jobs.dead")), (1, 1))
        self.run_cli("spool", "redrive", self.spool, "--queue", "jobs.dead", "--yes")
        self.assertEqual((self.depth("jobs"), self.depth("jobs.dead")), (2, 0))

    def reject_all(self, endpoint):
        self.run_cli("pull", "jobs", "-c", endpoint, "-n", 2, "--exec", "exit 65", "--reject-on", 65, code=6)

    def test_what_is_open_elsewhere_is_7(self):
        push = self.start("push", "jobs", "-s", self.spool, "--bind", ANY, "a", "--wait", "acked")
        push.endpoint()
        for arguments in (["purge", "--queue", "jobs"], ["import"]):
            result = self.run_cli("spool", arguments[0], self.spool, *arguments[1:], "--yes", code=7,
                                  input=b'{"queue":"q","body":"a"}')
            self.assert_one_line(result.talk, f"pid {push.process.pid}")

    def test_wrong_lines_and_names_get_one_line(self):
        self.fill("a")
        cases = [
            (["purge", "--queue", "jbos"], 4, "it holds jobs"),
            (["redrive", "--queue", "nobody"], 4, "it holds jobs"),
            (["purge"], 64, "--queue is required"),
        ]
        for arguments, code, part in cases:
            with self.subTest(arguments):
                talk = self.run_cli("spool", arguments[0], self.spool, *arguments[1:], code=code).talk
                self.assert_one_line(talk, part)
        talk = self.run_cli("spool", "import", self.spool, code=3, input=b'{"body":"a"}').talk
        self.assert_one_line(talk, "line 1 of standard input", "--queue NAME")


if __name__ == "__main__":
    unittest.main()
