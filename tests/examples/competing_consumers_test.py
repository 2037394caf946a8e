"""competing_consumers: one correct row per file, whichever process dies."""

import hashlib
import os
import random
import signal
import unittest

from programs import ExampleTest

HEAD = "path\tsha256\tbytes\tlines\twords"


def unescape(text):
    pieces = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}
    out, at = "", 0
    while at < len(text):
        piece = pieces.get(text[at : at + 2])
        out += piece if piece else text[at]
        at += 2 if piece else 1
    return out


class CompetingConsumers(ExampleTest):
    def make_tree(self, count):
        """Files in folders whose order by path differs from their order by bytes."""
        chance = random.Random(count)
        words = [b"one ", b"two\n", b"\t\xc3\xa4\xff ", b"three-and-more\r\n", b"\0"]
        for number in range(count):
            folder = self.directory / "tree" / ["a", "a-b", "a.d", "a b/deep", "z"][number % 5]
            folder.mkdir(parents=True, exist_ok=True)
            content = b"".join(chance.choices(words, k=number % 300))
            (folder / f"file {number}").write_bytes(content)
        return self.directory / "tree"

    def expected(self, tree):
        rows = {}
        for folder, _, names in os.walk(tree):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    content = file.read()
                digest = hashlib.sha256(content).hexdigest()
                rows[path] = (digest, len(content), content.count(b"\n"), len(content.split()))
        return rows

    def assert_table_is_right(self, tree):
        lines = (self.directory / "files.tsv").read_bytes().decode().split("\n")
        self.assertEqual(lines[0], HEAD)
        self.assertEqual(lines[-1], "")
        rows = [line.split("\t") for line in lines[1:-1]]
        table = {
            unescape(path): (digest, int(size), int(count), int(words))
            for path, digest, size, count, words in rows
        }
        self.assertEqual(len(table), len(rows), "a path has two rows")
        self.assertEqual(table, self.expected(tree))

    def start_collector(self, bind="tcp://127.0.0.1:*", **options):
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        collector = self.start(
            "competing_consumers_collector",
            *("--bind", bind, "--output", "files.tsv", "--report-ms", 20, *arguments),
        )
        return collector, collector.endpoint()

    def start_producer(self, *arguments, bind="tcp://127.0.0.1:*"):
        producer = self.start(
            "competing_consumers_producer",
            *("--bind", bind, "--spool", "spool", "--report-ms", 20, *arguments),
        )
        return producer, producer.endpoint()

    def start_worker(self, producer, collector, *arguments):
        return self.start(
            "competing_consumers_worker",
            *("--connect", producer, "--results", collector, "--report-ms", 20, *arguments),
        )

    def stop(self, *programs):
        for program in programs:
            program.signal(signal.SIGTERM)
        for program in programs:
            self.assert_ends_well(program)

    def test_every_regular_file_gets_its_row(self):
        tree = self.make_tree(200)
        (tree / "link").symlink_to(tree / "a")
        (tree / "odd\tname\nwith \\ all").write_bytes(b"x\n")
        os.mkfifo(tree / "pipe")
        collector, results = self.start_collector(expect=201)
        producer, files = self.start_producer(tree)
        workers = [self.start_worker(files, results) for _ in range(2)]
        self.assert_ends_well(producer)
        self.stop(*workers)
        self.assert_ends_well(collector)
        self.assert_table_is_right(tree)

    def test_two_producers_share_the_workers(self):
        tree = self.make_tree(150)
        collector, results = self.start_collector(expect=150)
        first, first_endpoint = self.start_producer(tree / "a", tree / "a-b")
        second = self.start(
            "competing_consumers_producer",
            *("--spool", "other", tree / "a.d", tree / "a b", tree / "z"),
        )
        worker = self.start_worker(first_endpoint, results, "--connect", second.endpoint())
        for program in (first, second):
            self.assert_ends_well(program)
        self.stop(worker)
        self.assert_ends_well(collector)
        self.assert_table_is_right(tree)

    def test_a_producer_killed_in_its_walk_goes_on_where_it_was(self):
        tree = self.make_tree(600)
        collector, results = self.start_collector(expect=600)
        producer, files = self.start_producer("--rate", 600, tree)
        worker = self.start_worker(files, results)
        for files_pushed in (250, 450):
            producer.wait_for_figure("files", files_pushed)
            producer.signal(signal.SIGKILL)
            producer.end()
            producer, _ = self.start_producer("--rate", 600, tree, bind=files)
            self.assertIn("going on after", producer.stderr())
        self.assert_ends_well(producer)
        self.stop(worker)
        self.assert_ends_well(collector)
        self.assertEqual(producer.figure(producer.lines[-2], "files"), 600, producer.lines[-2:])
        self.assert_table_is_right(tree)

    def test_a_producer_that_is_done_pushes_nothing_again(self):
        tree = self.make_tree(50)
        collector, results = self.start_collector()
        for _ in range(2):
            producer, files = self.start_producer(tree)
            worker = self.start_worker(files, results)
            self.assert_ends_well(producer)
            self.stop(worker)
        self.stop(collector)
        self.assertEqual(producer.figure(producer.lines[-2], "files"), 50)
        self.assertEqual(collector.figure(collector.lines[-2], "duplicates"), 0)
        self.assert_table_is_right(tree)

    def test_what_a_killed_worker_had_in_hand_is_done_by_another(self):
        tree = self.make_tree(300)
        collector, results = self.start_collector(expect=300)
        producer, files = self.start_producer(tree)
        victim = self.start_worker(files, results, "--work-ms", 50)
        victim.wait_for_figure("handled", 20)
        victim.signal(signal.SIGKILL)
        other = self.start_worker(files, results)
        self.assert_ends_well(producer)
        self.stop(other)
        self.assert_ends_well(collector)
        self.assertGreater(other.figure(other.lines[-2], "redelivered"), 0)
        self.assert_table_is_right(tree)

    def test_a_killed_collector_goes_on_with_its_table(self):
        tree = self.make_tree(300)
        collector, results = self.start_collector()
        producer, files = self.start_producer(tree)
        worker = self.start_worker(files, results, "--work-ms", 20)
        collector.wait_for_figure("rows", 50)
        collector.signal(signal.SIGKILL)
        collector.end()
        with open(self.directory / "files.tsv", "ab") as table:
            table.write(b"/torn/path\t0123")  # as a crash in the middle of a write leaves it
        collector, _ = self.start_collector(bind=results)
        self.assert_ends_well(producer)
        self.stop(worker, collector)
        self.assert_table_is_right(tree)

    def test_a_file_that_vanished_gets_a_row_without_digest(self):
        tree = self.make_tree(10)
        producer, files = self.start_producer(tree)
        producer.wait_for_figure("files", 10)
        (tree / "z" / "file 4").unlink()
        collector, results = self.start_collector(expect=10)
        worker = self.start_worker(files, results)
        self.assert_ends_well(producer)
        self.stop(worker)
        self.assert_ends_well(collector)
        table = (self.directory / "files.tsv").read_text()
        self.assertIn(f"{tree}/z/file 4\t-\t0\t0\t0\n", table)

    def test_progress_of_other_directories_is_refused(self):
        tree = self.make_tree(10)
        producer, _ = self.start_producer(tree / "a")
        producer.wait_for_figure("files", 1)
        self.stop(producer)
        other = self.start("competing_consumers_producer", "--spool", "spool", tree / "z")
        self.assertEqual(other.end(), 1)
        self.assertIn("is about other directories", other.stderr())


if __name__ == "__main__":
    unittest.main()
