"""scatter_search: do all searchers together find what one search of the whole directory finds?"""

import unittest
from pathlib import Path

from programs import ExampleTest

ROOT = Path("/usr/include/linux")
WORDS = ["__u64", "deprecated", "no such word anywhere"]


def files_with(word):
    return sorted(
        str(path)
        for path in ROOT.rglob("*")
        if path.is_file() and word.encode() in path.read_bytes()
    )


class ScatterSearch(ExampleTest):
    def test_searchers_find_together_what_one_would(self):
        search = self.start("scatter_search_search", "tcp://127.0.0.1:*", 3, *WORDS)
        endpoint = search.endpoint()
        for index in range(3):
            self.start("scatter_search_searcher", endpoint, ROOT, index, 3)
        self.assert_ends_well(search)
        for word in WORDS:
            expected = files_with(word)
            hits = [line for line in search.lines if line.startswith(f"{word}: /")]
            self.assertEqual(hits, [f"{word}: {path}" for path in expected])
            self.assertIn(f"{word}: {len(expected)} files, 3 of 3 searchers", search.lines)


if __name__ == "__main__":
    unittest.main()
