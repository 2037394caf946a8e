"""peermq spool ls, dump and verify: exit codes, and what stands in the output."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

BIN = Path(os.environ["PEERMQ_BIN_DIR"])
PATIENCE_S = 30


def peermq(*arguments, **options):
    return subprocess.run(
        [BIN / "peermq", *map(str, arguments)],
        capture_output=True,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL,
        **options,
    )


def json_lines(result):
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


class SpoolTest(unittest.TestCase):
    """The spools are made once; each test damages a copy of its own."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="peermq-tools-")
        cls.addClassCleanup(temporary.cleanup)
        cls.root = Path(temporary.name)
        cls.closed = cls.root / "closed"
        cls.crashed = cls.root / "crashed"
        subprocess.run([BIN / "tools_spool", cls.closed], check=True, timeout=PATIENCE_S)
        subprocess.run([BIN / "tools_spool", cls.crashed, "--crash"], check=True, timeout=PATIENCE_S)

    def copy_of(self, spool):
        copy = Path(tempfile.mkdtemp(dir=self.root)) / "spool"
        shutil.copytree(spool, copy, ignore=shutil.ignore_patterns("control"))
        return copy

    def records(self, spool, stream="orders"):
        entries = json_lines(peermq("spool", "dump", "--json", "--stream", stream, spool))
        return [entry for entry in entries if entry["type"] == "record"]

    def flip(self, spool, record, at):
        """Flips one bit of a record, `at` bytes behind its start."""
        path = Path(record["path"])
        path = path if path.is_absolute() else spool / path.name
        content = bytearray(path.read_bytes())
        content[record["offset"] + at] ^= 0x10
        path.write_bytes(content)
        return path


class Ls(SpoolTest):
    def test_tells_depth_of_every_stream(self):
        result = peermq("spool", "ls", "--json", self.closed)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = json_lines(result)
        self.assertEqual(lines[0]["type"], "spool")
        self.assertEqual(lines[0]["owner"], "")
        streams = {line["name"]: line for line in lines if line["type"] == "stream"}
        self.assertEqual(streams["orders"]["unsettled"], 300)
        self.assertEqual(streams["orders"]["first_unsettled"], 101)
        self.assertEqual(streams["orders"]["end"], 400)
        self.assertEqual(streams["odd"]["unsettled"], 2)

    def test_the_table_has_a_line_per_segment_and_stream(self):
        segments = sum(line["type"] == "segment" for line in json_lines(peermq("spool", "ls", "--json", self.closed)))
        lines = peermq("spool", "ls", self.closed).stdout.decode().splitlines()
        self.assertGreaterEqual(segments, 2)
        self.assertTrue(lines[0].startswith("spool "))
        blank = lines.index("", 2)
        self.assertEqual(blank - 3, segments)
        self.assertEqual(lines[blank + 1].split()[:2], ["STREAM", "KIND"])
        rows = {line.split()[0]: line.split() for line in lines[blank + 2 :]}
        self.assertEqual(rows["orders"][1:5], ["queue", "101", "400", "300"])

    def test_names_the_process_that_has_it_open(self):
        spool = self.root / "held"
        holder = subprocess.Popen(
            [BIN / "hello_push_pull_push", "tcp://127.0.0.1:*", spool], stdout=subprocess.PIPE
        )
        try:
            holder.stdout.readline()
            lines = json_lines(peermq("spool", "ls", "--json", spool))
            self.assertEqual(lines[0]["owner"], f"pid {holder.pid}")
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()


class Dump(SpoolTest):
    def test_lists_every_record_in_order_with_what_is_settled(self):
        records = {record["seq"]: record for record in self.records(self.closed)}
        self.assertLessEqual(set(range(101, 401)), set(records))
        self.assertTrue(all(record["settled"] == (seq <= 100) for seq, record in records.items()))
        self.assertEqual(records[400]["key"], f"customer-{400 % 7}")
        self.assertIn({"name": "tenant", "value": "a"}, records[400]["headers"])
        self.assertEqual(records[400]["body_bytes"], len("order 400 ") + 200)
        self.assertNotIn("body", records[400])

    def test_bodies_are_shown_when_asked_for_and_lossless(self):
        result = peermq("spool", "dump", "--json", "--bodies", "--stream", "odd", self.closed)
        first, second = [e for e in json_lines(result) if e["type"] == "record"][:2]
        self.assertEqual(base64.b64decode(first["body_base64"]), b"\x1b[31mred\n\x80\xff\0end")
        self.assertEqual(second["body"], "grüß")

    def test_text_output_never_carries_control_bytes_of_a_message(self):
        result = peermq("spool", "dump", "--bodies", self.closed)
        self.assertNotIn(b"\x1b", result.stdout)
        self.assertIn(rb"\x1b[31mred\n\x80\xff\x00end", result.stdout)
        self.assertIn("grüß".encode(), result.stdout)
        self.assertIn(b"seq 400  unsettled", result.stdout)

    def test_an_unknown_stream_is_told_by_the_exit_code(self):
        result = peermq("spool", "dump", "--stream", "nobody", self.closed)
        self.assertEqual(result.returncode, 4)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b'no queue "nobody"', result.stderr)

    def test_a_reader_that_leaves_ends_it_without_a_word(self):
        command = f"'{BIN}/peermq' spool dump --bodies '{self.closed}' | head -n 1"
        result = subprocess.run(["sh", "-c", command], capture_output=True, timeout=PATIENCE_S)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, b"")
        self.assertEqual(len(result.stdout.splitlines()), 1)

    def test_a_full_disk_behind_standard_output_is_an_error(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                [BIN / "peermq", "spool", "dump", self.closed],
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=PATIENCE_S,
            )
        self.assertEqual(result.returncode, 74)
        self.assertIn(b"cannot be written", result.stderr)


class Verify(SpoolTest):
    def verdict(self, spool):
        result = peermq("spool", "verify", "--json", spool)
        lines = json_lines(result)
        self.assertEqual(lines[-1]["type"], "summary", result.stderr)
        damage = [line for line in lines if line["type"] == "damage"]
        self.assertEqual(lines[-1]["damage"], len(damage))
        return result.returncode, lines[-1], damage

    def test_a_closed_spool_is_clean(self):
        code, summary, damage = self.verdict(self.closed)
        self.assertEqual((code, summary["verdict"], damage), (0, "clean", []))
        self.assertEqual(summary["unsettled"], 302)

    def test_a_crash_costs_no_record(self):
        code, summary, _ = self.verdict(self.crashed)
        self.assertIn(code, (0, 1))
        self.assertEqual((summary["unsettled"], summary["records_lost"]), (302, 0))

    def test_a_cut_tail_of_the_last_segment_is_a_torn_tail(self):
        spool = self.copy_of(self.crashed)
        segments = [l for l in json_lines(peermq("spool", "ls", "--json", spool)) if l["type"] == "segment"]
        last = max(segments, key=lambda segment: segment["number"])
        path = Path(last["path"])
        path = path if path.is_absolute() else spool / path.name
        with open(path, "r+b") as file:
            file.seek(last["used_bytes"])
            file.write(b"\x50\x4d\x51\x42" + os.urandom(60))
        code, summary, damage = self.verdict(spool)
        self.assertEqual((code, summary["verdict"]), (1, "torn_tail"), damage)
        self.assertEqual({finding["kind"] for finding in damage}, {"torn_tail"})
        self.assertEqual(damage[0]["offset"], last["used_bytes"])
        self.assertEqual(Path(damage[0]["path"]).name, path.name)

    def test_a_flipped_bit_in_the_middle_is_damage_with_its_place(self):
        spool = self.copy_of(self.closed)
        record = next(r for r in self.records(spool) if r["seq"] == 200)
        path = self.flip(spool, record, at=record["bytes"] - 20)
        code, summary, damage = self.verdict(spool)
        self.assertEqual((code, summary["verdict"]), (2, "damaged"))
        [finding] = [finding for finding in damage if finding["kind"] == "corrupt_records"]
        self.assertEqual(Path(finding["path"]).name, path.name)
        self.assertLessEqual(finding["offset"], record["offset"])
        self.assertGreater(finding["offset"] + finding["bytes"], record["offset"])
        self.assertGreaterEqual(finding["records"], 1)
        self.assertGreaterEqual(summary["records_lost"], 1)

    def test_text_output_names_path_offset_and_count(self):
        spool = self.copy_of(self.closed)
        record = next(r for r in self.records(spool) if r["seq"] == 200)
        path = self.flip(spool, record, at=record["bytes"] - 20)
        result = peermq("spool", "verify", spool)
        self.assertEqual(result.returncode, 2)
        head, *rows = result.stdout.decode().splitlines()
        self.assertEqual(head.split()[:5], ["KIND", "PATH", "OFFSET", "BYTES", "RECORDS"])
        self.assertTrue(any("corrupt_records" in row and path.name in row for row in rows), rows)
        self.assertTrue(result.stderr.startswith(b"peermq: damaged: "))

    def test_a_missing_segment_is_damage(self):
        spool = self.copy_of(self.closed)
        record = next(r for r in self.records(spool) if r["seq"] == 200)
        path = Path(record["path"])
        (path if path.is_absolute() else spool / path.name).unlink()
        code, _, damage = self.verdict(spool)
        self.assertEqual(code, 2)
        self.assertIn("missing_segment", {finding["kind"] for finding in damage})

    def test_a_segment_of_another_spool_is_damage(self):
        spool = self.copy_of(self.closed)
        source = next(self.crashed.glob("seg-*"))
        shutil.copy(source, spool / "seg-0000000000000099")
        code, _, damage = self.verdict(spool)
        self.assertEqual(code, 2)
        self.assertIn("foreign_segment", {finding["kind"] for finding in damage})

    def test_what_is_no_spool_is_3(self):
        for name in ("nowhere", "file", "empty", "foreign"):
            with self.subTest(name):
                path = Path(tempfile.mkdtemp(dir=self.root)) / name
                if name == "file":
                    path.write_text("not a directory")
                if name in ("empty", "foreign"):
                    path.mkdir()
                if name == "foreign":
                    (path / "letter.txt").write_text("dear friend")
                for command in ("verify", "ls", "dump"):
                    result = peermq("spool", command, path)
                    self.assertEqual(result.returncode, 3, result)
                    self.assertEqual(result.stdout, b"")
                    self.assertIn(name.encode(), result.stderr)

    def test_looking_changes_nothing(self):
        spool = self.copy_of(self.crashed)
        before = {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
        for command in ("ls", "dump", "verify"):
            peermq("spool", command, spool)
        after = {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
        self.assertEqual(before, after)


class CommandLine(unittest.TestCase):
    def test_version_is_the_library_s(self):
        self.assertRegex(peermq("version").stdout.decode(), r"^peermq \d+\.\d+\.\d+\n$")
        self.assertEqual(peermq("--version").stdout, peermq("version").stdout)

    def test_every_command_has_help_with_examples(self):
        for command in ("ls", "dump", "verify"):
            result = peermq("spool", command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn(f"peermq spool {command}", result.stdout.decode())
            self.assertIn("Exit codes:", result.stdout.decode())

    def test_a_wrong_command_line_ends_with_64_and_no_data(self):
        for arguments in ([], ["spool"], ["spool", "ls"], ["spool", "eat", "x"], ["--what"]):
            result = peermq(*arguments)
            self.assertEqual(result.returncode, 64, arguments)
            self.assertEqual(result.stdout, b"")


if __name__ == "__main__":
    unittest.main()
