"""`peermq push` and `peermq pull`: bodies in, bodies out, and what their exit codes promise."""

import json
import os
import signal
import subprocess
import unittest

from cli import PEERMQ, CliTest

ANY = "tcp://127.0.0.1:*"


class PushTest(CliTest):
    def push_bodies(self, *arguments, input=None):
        """Pushes into the spool; returns the bodies that lie there, in order."""
        self.run_cli("push", "jobs", "--spool", self.spool, *arguments, input=input)
        entries = self.json_lines(self.run_cli("spool", "dump", "--json", "--bodies", "--queue", "jobs", self.spool).text)
        return [entry.get("body", entry.get("body_base64")) for entry in entries if entry["type"] == "record"]

    def test_each_argument_is_a_message(self):
        self.assertEqual(self.push_bodies("a", "", "c d"), ["a", "", "c d"])

    def test_each_line_of_standard_input_is_a_message(self):
        self.assertEqual(self.push_bodies(input=b"one\n\nthree"), ["one", "", "three"])

    def test_a_delimiter_cuts_standard_input(self):
        self.assertEqual(self.push_bodies("--delimiter", r"\0", input=b"a\nb\0c\0"), ["a\nb", "c"])

    def test_a_long_delimiter_is_found_across_reads(self):
        pieces = ["x" * 262_143, "y" * 262_145, "z"]
        self.assertEqual(self.push_bodies("--delimiter", "<->", input="<->".join(pieces).encode()), pieces)

    def test_whole_makes_one_message_of_standard_input(self):
        self.assertEqual(self.push_bodies("--whole", input=b"one\ntwo\n"), ["one\ntwo\n"])

    def test_empty_input_makes_no_message(self):
        self.run_cli("push", "jobs", "-s", self.spool, input=b"")
        self.assertEqual(self.depth("jobs") or 0, 0)

    def test_each_file_is_a_message(self):
        (self.directory / "a").write_bytes(b"first\nfile")
        (self.directory / "b").write_bytes(b"second")
        self.assertEqual(self.push_bodies("-f", "a", "-f", "b"), ["first\nfile", "second"])

    def test_ids_are_printed_for_what_is_durable(self):
        result = self.run_cli("push", "jobs", "a", "b", "--ids", "--spool", self.spool)
        ids = result.text.split()
        self.assertEqual(len(ids), 2)
        self.assertEqual(self.run_cli("push", "jobs", "c", "--ids", "--id", "mine", "-s", self.spool).text, "mine\n")
        self.assertEqual(result.talk, "")

    def test_what_json_pull_prints_json_push_takes(self):
        line = {"body_base64": "AP8=", "key": "k", "headers": [{"name": "a", "value": "b"}], "id": "7"}
        self.run_cli("push", "jobs", "--json", "-s", self.spool, input=json.dumps(line).encode())
        first = self.start("push", "jobs", "-s", self.spool, "--bind", ANY, "--wait", "acked")
        printed = self.run_cli("pull", "jobs", "-c", first.endpoint(), "--json", "-n", 1).text
        first.end()
        message = json.loads(printed)
        for name, value in line.items():
            self.assertEqual(message[name], value)
        again = self.directory / "again"
        self.run_cli("push", "jobs", "--json", "-s", again, input=printed.encode())
        self.assertEqual(self.depth("jobs", again), 1)

    def test_without_a_spool_it_waits_for_the_ack(self):
        push = self.start("push", "jobs", "a", "--bind", ANY)
        self.assertEqual(self.run_cli("pull", "jobs", "-c", push.endpoint(), "-n", 1).text, "a\n")
        push.end()

    def test_nobody_acks_in_time_is_5_and_says_what_is_lost(self):
        result = self.run_cli("push", "jobs", "a", "b", "--bind", ANY, "--timeout", "200ms", code=5)
        self.assertIn("2 were not acked and are lost", result.talk)
        result = self.run_cli("push", "jobs", "a", "-s", self.spool, "--bind", ANY, "--wait", "acked", "--timeout", "200ms", code=5)
        self.assertIn("durable in the spool, not yet acked", result.talk)
        self.assertEqual(self.depth("jobs"), 1)

    def test_a_spool_that_is_open_elsewhere_is_7_and_names_the_process(self):
        holder = self.start("push", "jobs", "a", "-s", self.spool, "--bind", ANY, "--wait", "acked")
        holder.endpoint()
        result = self.run_cli("push", "jobs", "b", "-s", self.spool, code=7)
        self.assert_one_line(result.talk, str(holder.process.pid))

    def test_ctrl_c_keeps_what_was_read(self):
        push = self.start("push", "jobs", "-s", self.spool, "-v", "--ids", stdin=subprocess.PIPE)
        push.process.stdin.write(b"a\nb\n")
        push.process.stdin.flush()
        # Its spool is open once it reads; two whole lines are there to be read before the signal.
        while self.run_cli("spool", "ls", "--json", self.spool, code=None).returncode != 0 or not self.depth("jobs"):
            pass
        push.signal(signal.SIGINT)
        push.end(130)
        self.assertIn("stopped: 2 messages posted, all durable", "\n".join(push.said))
        self.assertEqual(self.depth("jobs"), 2)

    def run_cli(self, *arguments, code=0, **options):
        if code is not None:
            return super().run_cli(*arguments, code=code, **options)
        return subprocess.run([PEERMQ, *map(str, arguments)], capture_output=True, timeout=40)


class ServedTest(CliTest):
    def serve(self, *bodies, queue="jobs", arguments=()):
        """A producer with these messages; returns it and its endpoint."""
        text = "".join(body + "\n" for body in bodies).encode()
        (self.directory / "input").write_bytes(text)
        with open(self.directory / "input", "rb") as file:
            push = self.start("push", queue, "-s", self.spool, "--bind", ANY, "--wait", "acked", *arguments, stdin=file)
        return push, push.endpoint()


class PullTest(ServedTest):
    def test_prints_one_message_a_line_and_acks_it(self):
        push, endpoint = self.serve("a", "b", "c")
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "--exit-at-end").text, "a\nb\nc\n")
        push.end()

    def test_ends_at_the_end_also_when_all_producers_have_left(self):
        push, endpoint = self.serve(*map(str, range(1000)))
        lines = self.run_cli("pull", "jobs", "-c", endpoint, "-e").text.splitlines()
        self.assertEqual(lines, list(map(str, range(1000))))
        push.end()

    def test_count_takes_no_more_than_that(self):
        push, endpoint = self.serve("a", "b", "c")
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "-n", 2).text, "a\nb\n")
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "-n", 1).text, "c\n")
        push.end()

    def test_format_and_escapes(self):
        push, endpoint = self.serve("a", arguments=("-k", "kay", "-H", "x=1", "-H", "y=2"))
        template = r"{queue}|{key}|{header:x}|{header:none}|{headers}|{body}|{size}|{attempt}|{{}}\t\x41\0"
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "-n", 1, "--format", template).text,
                         "jobs|kay|1||x=1 y=2|a|1|1|{}\tA\0")
        push.end()

    def test_delimiter_ends_each_body(self):
        push, endpoint = self.serve("a", "b")
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "-n", 2, "--delimiter", r"\0").stdout, b"a\0b\0")
        push.end()

    def test_time_out_is_5(self):
        result = self.run_cli("pull", "jobs", "--bind", ANY, "--timeout", "100ms", code=5)
        self.assertEqual(result.text, "")
        self.assertIn("no message for 100ms; 0 messages handled", result.talk.splitlines()[-1].replace(".0", ""))

    def test_ctrl_c_is_an_ordinary_end_of_an_endless_pull(self):
        push = self.start("push", "jobs", "-s", self.spool, "--bind", ANY, stdin=subprocess.PIPE)
        pull = self.start("pull", "jobs", "-c", push.endpoint())
        push.process.stdin.write(b"a\n")
        push.process.stdin.flush()
        pull.wait_for_lines(1)
        pull.signal(signal.SIGINT)
        pull.end(0)
        push.process.stdin.close()
        push.end()

    def test_ctrl_c_before_the_count_is_130_and_sigterm_143(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            pull = self.start("pull", "jobs", "--bind", ANY, "-n", 5)
            pull.endpoint()
            pull.signal(number)
            pull.end(code)

    def test_a_reader_that_leaves_costs_no_message(self):
        bodies = [f"{i:05} " + "x" * 200 for i in range(5000)]
        push, endpoint = self.serve(*bodies)
        first = subprocess.run(["sh", "-c", f"'{PEERMQ}' pull jobs -c {endpoint} | head -n 3"],
                               capture_output=True, timeout=40)
        self.assertEqual(first.stderr, b"")
        rest = self.run_cli("pull", "jobs", "-c", endpoint, "-e").text.splitlines()
        push.end()
        got = set(first.stdout.decode().splitlines()) | set(rest)
        # What stood in the pipe was taken by it; all that is missing was written before what came.
        self.assertIn(bodies[-1], got)
        missing = [body for body in bodies if body not in got]
        self.assertLess(sum(map(len, missing)), 256 * 1024)
        self.assertEqual(rest, bodies[len(bodies) - len(rest):])

    def test_a_full_disk_behind_standard_output_is_74_and_costs_no_message(self):
        push, endpoint = self.serve("a", "b")
        with open("/dev/full", "wb") as full:
            pull = self.start("pull", "jobs", "-c", endpoint, stdout=full)
            pull.end(74)
        self.assertEqual(self.run_cli("pull", "jobs", "-c", endpoint, "-n", 2).text, "a\nb\n")
        push.end()


class ExecTest(ServedTest):
    def test_exit_0_acks_and_the_body_comes_on_standard_input(self):
        push, endpoint = self.serve("a", "b", arguments=("-k", "kay"))
        command = 'printf "%s %s %s\\n" "$(cat)" "$PEERMQ_KEY" "$PEERMQ_ATTEMPT"'
        pull = self.run_cli("pull", "jobs", "-c", endpoint, "-n", 2, "--exec", command)
        self.assertEqual(pull.text, "a kay 1\nb kay 1\n")
        push.end()

    def test_another_exit_code_gives_it_back_as_failed(self):
        push, endpoint = self.serve("a")
        command = 'test "$PEERMQ_ATTEMPT" = 2'
        result = self.run_cli("pull", "jobs", "-c", endpoint, "-n", 1, "--exec", command, code=6)
        self.assertIn("attempt 1: the command ended with exit code 1", result.talk)
        self.run_cli("pull", "jobs", "-c", endpoint, "-n", 1, "--exec", command)
        push.end()

    def test_commands_run_in_parallel(self):
        push, endpoint = self.serve("a", "b", "c")
        # Each waits for the other two.
        command = "touch $PEERMQ_ID; while [ $(ls | grep -c -- -1-) -lt 3 ]; do :; done"
        self.run_cli("pull", "jobs", "-c", endpoint, "-n", 3, "-j", 3, "--exec", command)
        push.end()

    def test_ctrl_c_lets_the_command_finish(self):
        push, endpoint = self.serve("a")
        go = self.directory / "go"
        os.mkfifo(go)
        pull = self.start("pull", "jobs", "-c", endpoint, "--exec", "echo started; read line < go; echo $line")
        pull.wait_for_lines(1)
        pull.signal(signal.SIGINT)
        go.write_text("finished\n")
        self.assertEqual(pull.end(0), "started\nfinished\n")
        push.end()

    def test_a_second_ctrl_c_kills_the_command_and_the_message_comes_again(self):
        push, endpoint = self.serve("a")
        pull = self.start("pull", "jobs", "-c", endpoint, "--exec", "echo $$; exec sleep 1000")
        child = int(pull.wait_for_lines(1)[0])
        pull.signal(signal.SIGINT)
        while pull.process.poll() is None:
            pull.signal(signal.SIGINT)
        pull.end(130)
        self.assertRaises(ProcessLookupError, self.wait_until_gone, child)
        result = self.run_cli("pull", "jobs", "-c", endpoint, "-n", 1, "--format", "{redelivered}")
        self.assertEqual(result.text, "true")
        push.end()

    def wait_until_gone(self, pid):
        while True:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                if stat.read().split()[2] == "Z":
                    raise ProcessLookupError


class KillTest(ServedTest):
    def test_kill_9_in_the_middle_of_push_loses_nothing_whose_id_was_printed(self):
        push = self.start("push", "jobs", "-s", self.spool, "--ids", stdin=subprocess.PIPE)
        try:
            for number in range(60_000):
                push.process.stdin.write(b"%d\n" % number)
        except BrokenPipeError:
            pass
        printed = len(push.wait_for_lines(10_000))
        push.signal(signal.SIGKILL)
        push.process.wait()
        self.assertGreaterEqual(self.depth("jobs"), printed)

    def test_kill_9_in_the_middle_of_pull_brings_its_messages_to_the_next(self):
        bodies = list(map(str, range(20_000)))
        # It stays until its input ends, however fast the first pull was.
        push = self.start("push", "jobs", "-s", self.spool, "--bind", ANY, "--wait", "acked", stdin=subprocess.PIPE)
        endpoint = push.endpoint()
        pull = self.start("pull", "jobs", "-c", endpoint)
        push.process.stdin.write("".join(body + "\n" for body in bodies).encode())
        push.process.stdin.flush()
        pull.wait_for_lines(1000)
        pull.signal(signal.SIGKILL)
        pull.process.wait()
        rest = self.run_cli("pull", "jobs", "-c", endpoint, "-e").text.splitlines()
        push.process.stdin.close()
        push.end()
        pull.close()
        self.assertEqual(set(pull.printed.decode().splitlines()) | set(rest), set(bodies))


class WrongTest(CliTest):
    def wrong(self, *arguments, code=64, input=None):
        result = self.run_cli(*arguments, code=code, input=input)
        self.assertEqual(result.text, "")
        return result.talk

    def test_each_wrong_option_gets_one_line_that_says_what_is_right(self):
        cases = [
            (["psuh"], 'no command "psuh"; did you mean push?'),
            (["push"], "QUEUE is required"),
            (["push", "q", "--spol", "x"], "no option --spol; did you mean --spool?"),
            (["push", "q", "a", "--durability", "dsk"], "disk, os or memory"),
            (["push", "q", "a", "--timeout", "5x"], "2.5s"),
            (["push", "q", "a", "--max-message", "lots"], "64K"),
            (["push", "q", "a"], "give --spool DIR"),
            (["push", "q", "a", "--wait", "acked", "-s", "s"], "--connect ENDPOINT or --bind ENDPOINT"),
            (["push", "q", "a", "--wait", "durable", "--bind", ANY], "give --spool DIR"),
            (["push", "q", "a", "--header", "x", "-s", "s"], "name=value"),
            (["push", "q", "a", "--delimiter", "\\q", "-s", "s"], "no delimiter"),
            (["push", "q", "a", "--whole", "-s", "s"], "leave out --whole"),
            (["push", "two words", "a", "-s", "s"], "without space"),
            (["push", "q.dead", "a", "-s", "s"], "dead letters"),
            (["pull", "q"], "--connect tcp://127.0.0.1:7000"),
            (["pull", "q", "--connect", "tcp:/x"], "tcp://"),
            (["pull", "q", "--count", "0", "--bind", ANY], "whole number of at least 1"),
            (["pull", "q", "--format", "{bdy}", "--bind", ANY], "{bdy} is no field"),
            (["pull", "q", "--format", "{body", "--bind", ANY], "a { has no }"),
            (["pull", "q", "--exec", "cat", "--json", "--bind", ANY], "exclude each other"),
            (["pull", "q", "-j", "2", "--bind", ANY], "--concurrency is for --exec"),
        ]
        for arguments, right in cases:
            with self.subTest(arguments):
                self.assert_one_line(self.wrong(*arguments), right)

    def test_wrong_files_and_bodies_are_named(self):
        (self.directory / "unreadable").mkdir()
        (self.directory / "long").write_bytes(b"x" * 5000)
        cases = [
            (["-f", "nowhere"], None, ["nowhere", "No such file"]),
            (["-f", "unreadable"], None, ["unreadable", "Is a directory"]),
            (["-f", "long", "--max-message", "4K"], None, ["long is longer than 4 KiB", "--max-message"]),
            (["--max-message", "4K"], b"a\n" + b"x" * 5000, ["standard input is longer than 4 KiB"]),
            (["--json"], b'{"body":"a"}\nnonsense\n', ["line 2 of standard input", "is not JSON"]),
            (["--json"], b'{"bdy":"a"}', ["line 1", 'unknown field "bdy"']),
            (["--json"], b'{"body":1}', ['"body" must be a string']),
            (["--json"], b'{"body_base64":"?"}', ["not base64"]),
        ]
        for arguments, input, parts in cases:
            with self.subTest(arguments):
                talk = self.wrong("push", "q", "-s", self.spool, *arguments, input=input, code=3)
                self.assert_one_line(talk, *parts)

    def test_a_strange_port_is_told_at_once(self):
        import socket

        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.listen()
            port = stranger.getsockname()[1]
            result = self.run_cli("pull", "q", "--bind", f"tcp://127.0.0.1:{port}", code=3)
            self.assert_one_line(result.talk, str(port), "another socket listens there")

    def test_nobody_at_the_port_is_told_and_waited_for(self):
        pull = self.start("pull", "q", "--connect", "tcp://127.0.0.1:1", "--timeout", "300ms")
        pull.wait_for_talk("refused")
        pull.end(5)


if __name__ == "__main__":
    unittest.main()
