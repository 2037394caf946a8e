/// The command `peermq`: its arguments, its exit codes, and nothing else.

#include <csignal>
#include <exception>
#include <functional>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "peermq/error.hpp"
#include "peermq/version.hpp"
#include "spool_commands.hpp"

namespace {

using peermq::tools::SpoolArguments;
using Command = std::function<int()>;

constexpr const char* kLsExamples = R"(
Examples:
  peermq spool ls ./spool
  peermq spool ls --json ./spool | jq 'select(.type == "stream") | {name, unsettled}'

Exit codes: 0 done, 3 not a spool or unreadable.)";

constexpr const char* kDumpExamples = R"(
Examples:
  peermq spool dump ./spool | less
  peermq spool dump --stream orders --bodies ./spool
  peermq spool dump --json ./spool | jq 'select(.type == "record" and .settled == false)'

Exit codes: 0 done, 3 not a spool or unreadable, 4 no stream of that name.)";

constexpr const char* kVerifyExamples = R"(
Examples:
  peermq spool verify ./spool && echo clean
  peermq spool verify --json /mnt/backup/spool

Exit codes: 0 clean, 1 torn tail only (normal after a crash: nothing durable is lost),
2 damaged, 3 not a spool or unreadable.)";

void add_spool_commands(CLI::App& app, SpoolArguments& arguments, Command& chosen) {
    CLI::App* spool = app.add_subcommand("spool", "Look into a spool directory; never changes it");
    spool->require_subcommand(1);

    const auto add = [&](const char* name, const char* about, const char* examples,
                         int (*run)(const SpoolArguments&, std::ostream&)) {
        CLI::App* command = spool->add_subcommand(name, about);
        command->add_option("DIR", arguments.directory, "The spool directory")->required();
        command->add_flag("--json", arguments.json, "One JSON object per line");
        command->footer(examples);
        command->callback([&, run] { chosen = [&, run] { return run(arguments, std::cout); }; });
        return command;
    };
    add("ls", "List segments and streams, with what is unsettled", kLsExamples,
        peermq::tools::spool_ls);
    CLI::App* dump = add("dump", "Print everything in the log, in order", kDumpExamples,
                         peermq::tools::spool_dump);
    dump->add_option("--stream", arguments.stream, "Only what belongs to the stream of this name");
    dump->add_flag("--bodies", arguments.bodies, "Bodies of messages too");
    add("verify", "Check every checksum and name all damage: path, offset, count", kVerifyExamples,
        peermq::tools::spool_verify);
}

int show_version() {
    std::cout << "peermq " << peermq::library_version() << '\n';
    return peermq::tools::kExitOk;
}

int run(const Command& command) {
    int exit_code = peermq::tools::kExitOk;
    try {
        exit_code = command();
    } catch (const peermq::Error& error) {
        std::cerr << "peermq: " << error.what() << '\n';
        exit_code = peermq::tools::kExitUnreadable;
    }
    std::cout.flush();
    if (std::cout) return exit_code;
    std::cerr << "peermq: standard output cannot be written\n";
    return peermq::tools::kExitOutput;
}

}  // namespace

int main(int argc, char** argv) {
    // Whoever started us may have it ignored; `peermq ... | head` shall end without a word.
    std::signal(SIGPIPE, SIG_DFL);
    std::ios::sync_with_stdio(false);

    CLI::App app("Looks after peermq, durable queues without a server", "peermq");
    app.require_subcommand(1);
    app.set_version_flag("--version", "peermq " + std::string(peermq::library_version()));
    app.footer(
        "\nData goes to standard output, everything else to standard error.\n"
        "`peermq COMMAND --help` shows examples and exit codes. A wrong command line ends with "
        "64.");

    Command chosen;
    SpoolArguments arguments;
    add_spool_commands(app, arguments, chosen);
    app.add_subcommand("version", "Print the version")->callback([&] { chosen = show_version; });

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? peermq::tools::kExitOk : peermq::tools::kExitUsage;
    }
    try {
        return run(chosen);
    } catch (const std::exception& error) {
        std::cerr << "peermq: " << error.what() << '\n';
        return peermq::tools::kExitUnreadable;
    }
}
