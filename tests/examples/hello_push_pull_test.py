"""hello_push_pull: does the smallest pair do what its README says?"""

import signal
import unittest

from programs import ExampleTest

GREETINGS = [f"hello {number}" for number in range(1, 11)]


class HelloPushPull(ExampleTest):
    def test_pull_prints_every_greeting_in_order(self):
        push = self.start("hello_push_pull_push", "tcp://127.0.0.1:*", "spool")
        pull = self.start("hello_push_pull_pull", push.endpoint())
        self.assert_ends_well(pull)
        self.assert_ends_well(push)
        self.assertEqual(pull.lines, GREETINGS + ["10 handled"])
        self.assertEqual(push.lines[-1], "all handled")

    def test_greetings_outlive_the_death_of_the_pushing_program(self):
        first = self.start("hello_push_pull_push", "tcp://127.0.0.1:*", "spool")
        first.wait_for(lambda line: line == "durable: hello 10")
        first.signal(signal.SIGKILL)
        first.end()

        second = self.start("hello_push_pull_push", "tcp://127.0.0.1:*", "spool")
        pull = self.start("hello_push_pull_pull", second.endpoint(), 20)
        self.assert_ends_well(pull)
        self.assert_ends_well(second)
        handled = [line.removesuffix(" (redelivered)") for line in pull.lines[:-1]]
        self.assertEqual(handled, GREETINGS * 2)

    def test_a_wrong_endpoint_is_an_error_with_a_name(self):
        push = self.start("hello_push_pull_push", "nonsense", "spool")
        self.assertEqual(push.end(), 1)
        self.assertIn("invalid_argument", push.stderr())


if __name__ == "__main__":
    unittest.main()
