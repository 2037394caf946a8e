"""Help, manual pages and completions tell what the command takes, and nothing else."""

import re
import shutil
import subprocess
import unittest

from cli import PEERMQ, SOURCE, CliTest


class GeneratedTest(CliTest):
    def commands(self, *path):
        """All commands below `path`, itself first."""
        text = self.run_cli(*path, "--help").text
        found = [path]
        lines = text.splitlines()
        if "COMMAND" in next(line for line in lines if line.startswith("Usage:")):
            inside = False
            for line in lines:
                if re.match(r"^[A-Z][A-Za-z ]+:$", line):
                    inside = line not in ("Options:", "Arguments:", "Examples:", "Exit codes:")
                elif inside and (entry := re.match(r"^  ([a-z]+)(  |$)", line)):
                    found += self.commands(*path, entry[1])
        return found

    def options(self, path):
        return set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z-]+)", self.run_cli(*path, "--help").text, re.M))


class Help(GeneratedTest):
    def test_every_command_has_help_that_fits_a_terminal(self):
        commands = self.commands()
        self.assertGreater(len(commands), 25)
        for path in commands:
            with self.subTest(path):
                text = self.run_cli(*path, "--help").text
                self.assertTrue(text.splitlines()[2].startswith("Usage: peermq"))
                body = text.split("\nExamples:")[0]
                self.assertLess(max(map(len, body.splitlines())), 101)
                if "COMMAND" not in text.splitlines()[2]:
                    self.assertIn("Examples:", text)
                    self.assertIn("Exit codes:", text)

    def test_examples_use_only_options_that_there_are(self):
        for path in self.commands():
            text = self.run_cli(*path, "--help").text
            for example in re.findall(r"^  (peermq .*)$", text.split("Examples:")[-1], re.M):
                command = example.split("|")[0].split(">")[0]
                words = re.findall(r"(?<= )--[a-z-]+", re.sub(r"'[^']*'", "", command))
                named = tuple(word for word in command.split()[1:3] if re.fullmatch("[a-z]+", word))
                known = self.options(named[:2] if named[:2] in self.known() else named[:1])
                self.assertLessEqual(set(words), known | {"--help"}, example)

    def known(self):
        if not hasattr(self, "_known"):
            self._known = set(self.commands())
        return self._known

    def test_the_table_of_exit_codes_is_the_one_in_the_manual(self):
        codes = re.findall(r"^  (\d+) ", self.run_cli("--help").text.split("Exit codes:")[1], re.M)
        self.assertEqual(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "64", "74", "130", "143"])


class Generated(GeneratedTest):
    def setUp(self):
        super().setUp()
        self.run_cli("generate", self.directory / "out")
        self.out = self.directory / "out"

    def test_there_is_a_manual_page_with_every_option_for_every_command(self):
        for path in self.commands():
            with self.subTest(path):
                page = self.out / "man" / ("-".join(("peermq", *path)) + ".1")
                text = page.read_text().replace("\\-", "-")
                for option in self.options(path):
                    self.assertIn(option, text)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_manual_pages_are_good_troff(self):
        for page in sorted((self.out / "man").iterdir()):
            with self.subTest(page.name):
                result = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page], capture_output=True, check=True, timeout=60)
                self.assertEqual(result.stderr, b"")

    def complete(self, *words):
        script = (
            f"source '{self.out}/peermq.bash'; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
            f"COMP_CWORD={len(words) - 1}; _peermq; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        result = subprocess.run(["bash", "-euc", script], capture_output=True, check=True, timeout=60, cwd=self.directory)
        return result.stdout.decode().split()

    def test_bash_completes_commands_options_words_and_directories(self):
        self.assertIn("push", self.complete("peermq", "pu"))
        self.assertIn("verify", self.complete("peermq", "spool", ""))
        self.assertEqual(self.complete("peermq", "push", "q", "--dur"), ["--durability"])
        self.assertEqual(self.complete("peermq", "push", "--durability", "d"), ["disk"])
        self.assertEqual(self.complete("peermq", "stats", "ou"), ["out"])
        self.assertEqual(self.complete("peermq", "push", "--count", ""), [])

    def test_bash_knows_every_option_of_every_command(self):
        for path in self.commands():
            with self.subTest(path):
                self.assertLessEqual(self.options(path), set(self.complete("peermq", *path, "--")))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_takes_its_script(self):
        subprocess.run(["zsh", "-n", self.out / "_peermq"], check=True, timeout=60)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_completes(self):
        def complete(line):
            script = f"source {self.out}/peermq.fish; complete -C '{line}'"
            result = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, check=True, timeout=60, cwd=self.directory)
            return [entry.split("\t")[0] for entry in result.stdout.decode().splitlines()]

        self.assertIn("push", complete("peermq pu"))
        self.assertIn("verify", complete("peermq spool "))
        self.assertIn("--durability", complete("peermq push q --dur"))
        self.assertIn("disk", complete("peermq push --durability d"))

    def test_completion_prints_what_is_installed(self):
        for shell, name in (("bash", "peermq.bash"), ("zsh", "_peermq"), ("fish", "peermq.fish")):
            self.assertEqual(self.run_cli("completion", shell).text, (self.out / name).read_text())

    def test_the_readme_uses_only_commands_and_options_that_there_are(self):
        known = self.commands()
        readme = (SOURCE / "README.md").read_text()
        used = re.findall(r"^\$ (?:.*\| )?(peermq [^|#&>]*)", readme, re.M)
        self.assertGreater(len(used), 5)
        for line in used:
            words = line.split()[1:]
            path = max((path for path in known if tuple(words[: len(path)]) == path), key=len)
            self.assertNotEqual(path, (), line)
            self.assertLessEqual({word for word in words if word.startswith("--")}, self.options(path), line)


if __name__ == "__main__":
    unittest.main()
