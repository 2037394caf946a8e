"""worker_pool: retries, dead letters, and a stop that loses nothing."""

import re
import signal
import unittest

from programs import ExampleTest


class WorkerPool(ExampleTest):
    def submit(self, count):
        submit = self.start("worker_pool_submit", count, "tcp://127.0.0.1:*", "spool")
        return submit, submit.endpoint()

    def ending(self, submit):
        self.assert_ends_well(submit)
        found = re.match(r"acked (\d+), failed attempts (\d+), given up (\d+) ", submit.lines[-1])
        self.assertIsNotNone(found, submit.lines)
        return tuple(int(number) for number in found.groups())

    def test_failed_jobs_come_again_and_hopeless_ones_become_dead_letters(self):
        submit, endpoint = self.submit(100)
        work = self.start("worker_pool_work", endpoint)
        # 10, 20, 30, 40, 60, 70, 80, 90 fail once; 50 and 100 three times.
        self.assertEqual(self.ending(submit), (98, 14, 2))
        work.signal(signal.SIGINT)
        self.assert_ends_well(work)
        self.assertEqual(work.lines[-1], "stopped after 98 jobs")
        self.assertIn("attempt 3: job 50 can never work", work.lines)

    def test_a_stop_in_the_middle_leaves_the_rest_to_others(self):
        submit, endpoint = self.submit(300)
        first = self.start("worker_pool_work", endpoint)
        first.wait_for(lambda line: line.startswith("attempt 1"))
        first.signal(signal.SIGINT)
        self.assert_ends_well(first)
        self.assertIn("stopping: finishing what is in hand", first.lines)

        second = self.start("worker_pool_work", endpoint)
        acked, failed, given_up = self.ending(submit)
        second.signal(signal.SIGTERM)
        self.assert_ends_well(second)
        done = [int(re.search(r"after (\d+) jobs", p.lines[-1])[1]) for p in (first, second)]
        self.assertEqual((acked, failed, given_up), (294, 24 + 18, 6))
        self.assertEqual(sum(done), 294)


if __name__ == "__main__":
    unittest.main()
