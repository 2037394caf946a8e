"""durable_push: is all that was durable there after each crash?"""

import re
import signal
import unittest

from programs import ExampleTest


class DurablePush(ExampleTest):
    def run_once(self, *arguments):
        program = self.start("durable_push_push", "--spool", "spool", "--count", 400, *arguments)
        code = program.end()
        numbers = {
            name: int(value)
            for line in program.lines
            for name, value in re.findall(r"([a-z ]+): (\d+)", line)
        }
        return code, numbers, program

    def test_every_durable_order_is_there_after_each_of_three_crashes(self):
        kept = 0
        for _ in range(3):
            code, numbers, _ = self.run_once("--crash")
            self.assertEqual(code, -signal.SIGKILL)
            self.assertGreaterEqual(numbers["kept from earlier runs"], kept)
            self.assertEqual(numbers["durable"], 200)
            kept = numbers["kept from earlier runs"] + numbers["durable"]

        code, numbers, program = self.run_once()
        self.assertEqual(code, 0, program._story("ended badly"))
        self.assertGreaterEqual(numbers["kept from earlier runs"], kept)
        self.assertEqual(numbers["handled"], numbers["kept from earlier runs"] + 400)
        self.assertEqual(numbers["left in the spool"], 0)
        self.assertRegex("\n".join(program.lines), "lost: 0")

    def test_a_drained_spool_is_empty_in_the_next_run(self):
        self.assertEqual(self.run_once()[0], 0)
        code, numbers, _ = self.run_once()
        self.assertEqual(code, 0)
        self.assertEqual(numbers["kept from earlier runs"], 0)

    def test_a_second_process_on_the_same_spool_is_refused(self):
        holder = self.start("hello_push_pull_push", "tcp://127.0.0.1:*", "spool")
        holder.endpoint()
        code, _, second = self.run_once()
        self.assertEqual(code, 1)
        self.assertIn("locked", second.stderr())


if __name__ == "__main__":
    unittest.main()
