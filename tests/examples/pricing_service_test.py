"""pricing_service: prices for a list, although its servers are killed and replaced meanwhile."""

import signal
import unittest
from pathlib import Path

from programs import ExampleTest

ARTICLES = {f"article-{number}": 100 + number for number in range(200)}


class PricingService(ExampleTest):
    def setUp(self):
        super().setUp()
        lines = [f"{name} {cents}\n" for name, cents in ARTICLES.items()]
        Path(self.directory, "prices").write_text("".join(lines))

    def ask(self, articles):
        path = Path(self.directory, "articles")
        path.write_text("".join(f"{article}\n" for article in articles))
        return self.start("pricing_service_ask", "tcp://127.0.0.1:*", stdin=path)

    def test_every_article_gets_its_price_and_unknown_ones_a_refusal(self):
        ask = self.ask([*ARTICLES, "stone"])
        serve = self.start("pricing_service_serve", ask.endpoint(), "prices")
        self.assert_ends_well(ask)
        prices = [line for line in ask.lines if line.startswith("article-") and "not yet" not in line]
        self.assertEqual(prices, [f"{name} {cents}" for name, cents in ARTICLES.items()])
        self.assertIn("stone refused: unknown_article", ask.lines)
        self.assertIn(f"total {sum(ARTICLES.values())} refused 1", ask.lines[-1])
        serve.signal(signal.SIGTERM)
        self.assert_ends_well(serve)

    def test_killed_servers_cost_time_but_no_answer(self):
        articles = list(ARTICLES) * 50
        ask = self.ask(articles)
        endpoint = ask.endpoint()
        # Each is killed while requests are on their way, and the next one begins after that.
        for _ in range(3):
            serve = self.start("pricing_service_serve", endpoint, "prices")
            for _ in range(100):
                ask.wait_for(lambda line: line.startswith("article-"))
            serve.signal(signal.SIGKILL)
            serve.end()
        self.start("pricing_service_serve", endpoint, "prices")
        self.assert_ends_well(ask)
        total = sum(ARTICLES[article] for article in articles)
        self.assertIn(f"total {total} refused 0", ask.lines[-1])


if __name__ == "__main__":
    unittest.main()
