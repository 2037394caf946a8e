"""`pub`, `sub`, `req` and `rep`."""

import json
import signal
import unittest

from cli import CliTest

ANY = "tcp://127.0.0.1:*"


class PubSub(CliTest):
    def test_a_live_subscription_gets_what_matches(self):
        sub = self.start("sub", "orders.#", "--bind", ANY, "-n", 2, "--format", r"{topic} {body}\n")
        endpoint = sub.endpoint()
        self.run_cli("pub", "orders.eu.created", "a", "-c", endpoint)
        self.run_cli("pub", "orders.us", "b", "-c", endpoint)
        self.assertEqual(sub.end(), "orders.eu.created a\norders.us b\n")

    def test_several_patterns_and_json(self):
        sub = self.start("sub", "logs.*", "alerts.#", "--bind", ANY, "-n", 2, "--json")
        endpoint = sub.endpoint()
        self.run_cli("pub", "logs.web", "a", "-c", endpoint, "-k", "kay")
        self.run_cli("pub", "alerts.disk.full", "b", "-c", endpoint)
        first, second = map(json.loads, sub.end().splitlines())
        self.assertEqual((first["topic"], first["body"], first["key"]), ("logs.web", "a", "kay"))
        self.assertEqual(second["topic"], "alerts.disk.full")

    def test_lines_of_standard_input_are_published_in_order(self):
        sub = self.start("sub", "n.#", "--bind", ANY, "-n", 1000)
        lines = "".join(f"{number}\n" for number in range(1000))
        self.run_cli("pub", "n.x", "-c", sub.endpoint(), input=lines.encode())
        self.assertEqual(sub.end(), lines)

    def test_exec_runs_for_each_message(self):
        sub = self.start("sub", "n.#", "--bind", ANY, "-n", 1, "--exec", 'echo "$PEERMQ_TOPIC: $(cat)"')
        self.run_cli("pub", "n.x", "a", "-c", sub.endpoint())
        self.assertEqual(sub.end(), "n.x: a\n")

    def test_nobody_subscribed_is_5(self):
        result = self.run_cli("pub", "n.x", "a", "--bind", ANY, "--timeout", "100ms", code=5)
        self.assertIn("nothing was published", result.talk)

    def test_ctrl_c_ends_an_endless_sub_with_0(self):
        sub = self.start("sub", "n.#", "--bind", ANY)
        sub.endpoint()
        sub.signal(signal.SIGINT)
        sub.end(0)

    def test_wrong_topics_and_patterns_get_one_line(self):
        for arguments in (["pub", "a..b", "x", "--bind", ANY], ["sub", "a.#.b", "--bind", ANY]):
            with self.subTest(arguments):
                talk = self.run_cli(*arguments, code=64).talk
                self.assertIn(arguments[1], talk.splitlines()[-1])


class ReqRep(CliTest):
    def replier(self, *arguments):
        rep = self.start("rep", "service", "--bind", ANY, *arguments)
        return rep, rep.endpoint()

    def test_a_command_answers(self):
        rep, endpoint = self.replier("--exec", "tr a-z A-Z")
        self.assertEqual(self.run_cli("req", "service", "abc", "def", "-c", endpoint).text, "ABC\nDEF\n")
        rep.signal(signal.SIGINT)
        rep.end(0)

    def test_replies_come_in_the_order_of_the_requests(self):
        rep, endpoint = self.replier("--exec", "read n; test $n = 1 && sleep 0.2; echo $n", "-j", 4)
        self.assertEqual(self.run_cli("req", "service", "-c", endpoint, "-j", 4, input=b"1\n2\n3\n4\n").text, "1\n2\n3\n4\n")
        rep.signal(signal.SIGINT)
        rep.end(0)

    def test_a_command_that_fails_is_a_failure_at_the_requester(self):
        rep, endpoint = self.replier("--exec", "exit 3")
        result = self.run_cli("req", "service", "a", "-c", endpoint, code=6)
        self.assert_one_line(result.talk, "command_failed", "exit code 3")
        self.assertEqual(result.text, "")
        rep.signal(signal.SIGINT)
        rep.end(6)

    def test_no_reply_in_time_is_5(self):
        result = self.run_cli("req", "service", "a", "--bind", ANY, "--timeout", "100ms", code=5)
        self.assertIn("BODY 1", result.talk)

    def test_ctrl_c_lets_the_command_of_rep_finish(self):
        rep, endpoint = self.replier("--exec", "echo started >&2; sleep 0.2; echo done")
        req = self.start("req", "service", "a", "-c", endpoint)
        rep.wait_for_talk("started")
        rep.signal(signal.SIGINT)
        self.assertEqual(req.end(0), "done\n")
        rep.end(0)

    def test_rep_needs_something_that_answers(self):
        self.assert_one_line(self.run_cli("rep", "service", "--bind", ANY, code=64).talk, "--exec COMMAND", "--echo")


if __name__ == "__main__":
    unittest.main()
