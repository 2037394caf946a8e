/// The command `peermq`: its commands, and how they end.

#include <csignal>
#include <exception>
#include <iostream>
#include <string>

#include "arguments.hpp"
#include "bench_command.hpp"
#include "doctor_command.hpp"
#include "exit_codes.hpp"
#include "generated.hpp"
#include "help.hpp"
#include "output.hpp"
#include "peermq/error.hpp"
#include "peermq/version.hpp"
#include "pub_sub_commands.hpp"
#include "pull_command.hpp"
#include "push_command.hpp"
#include "req_rep_commands.hpp"
#include "serve_command.hpp"
#include "spool_commands.hpp"
#include "talk.hpp"
#include "text.hpp"
#include "watch_commands.hpp"

namespace {

using namespace peermq::tools;

void add_version_command(CLI::App& app, Command& chosen) {
    CLI::App* command = app.add_subcommand("version", "Print the version");
    command->group("Other");
    set_guide(*command, {.examples = {"peermq version"}, .exit_codes = {kExitOk}});
    command->callback([&chosen] {
        chosen = [] {
            std::cout << "peermq " << peermq::library_version() << '\n';
            return kExitOk;
        };
    });
}

int exit_code_of(peermq::ErrorCode code) {
    switch (code) {
        case peermq::ErrorCode::locked: return kExitLocked;
        case peermq::ErrorCode::not_found: return kExitNotFound;
        case peermq::ErrorCode::invalid_argument: return kExitUsage;
        default: return kExitFailed;
    }
}

/// Runs the command; whatever it throws is one line on standard error.
int run(const Command& command) {
    try {
        return command();
    } catch (const UsageError& error) {
        complain(error.what());
        return kExitUsage;
    } catch (const peermq::Error& error) {
        complain(printable(error.what()));
        return exit_code_of(error.code());
    } catch (const OutputFailed& error) {
        complain(error.what());
        return kExitOutput;
    } catch (const ReaderGone&) {
        end_by_sigpipe();
    } catch (const std::exception& error) {
        complain(printable(error.what()));
        return kExitFailed;
    }
}

int finish(int exit_code) {
    std::cout.flush();
    if (std::cout) return exit_code;
    complain("standard output cannot be written");
    return kExitOutput;
}

}  // namespace

int main(int argc, char** argv) {
    // Whoever started us may have it ignored; `peermq ... | head` shall end without a word.
    std::signal(SIGPIPE, SIG_DFL);
    std::ios::sync_with_stdio(false);

    CLI::App app("Durable queues between peers, without a server: send, receive, look inside",
                 "peermq");
    app.require_subcommand(1);
    app.set_help_flag("-h,--help", "Print this help");
    app.set_version_flag("--version", "peermq " + std::string(peermq::library_version()),
                         "Print the version");
    set_guide(app, {.more = "Data goes to standard output, all talk to standard error. `peermq "
                            "COMMAND --help` shows options, examples and exit codes.",
                    .exit_codes = {kExitOk, kExitTornTail, kExitDamaged, kExitFailed, kExitNotFound,
                                   kExitTimeout, kExitRefused, kExitLocked, kExitUsage, kExitOutput,
                                   kExitInterrupted, kExitTerminated}});

    Command chosen;
    add_push_command(app, chosen);
    add_pull_command(app, chosen);
    add_pub_command(app, chosen);
    add_sub_command(app, chosen);
    add_req_command(app, chosen);
    add_rep_command(app, chosen);
    add_serve_command(app, chosen);
    add_watch_commands(app, chosen);
    add_bench_command(app, chosen);
    add_spool_commands(app, chosen);
    add_doctor_command(app, chosen);
    add_version_command(app, chosen);
    add_generating_commands(app, chosen);
    use_our_help(app);

    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        (void)app.exit(success);  // help or version
        return finish(kExitOk);
    } catch (const CLI::ParseError& error) {
        complain(printable(usage_error_line(app, error)));
        return kExitUsage;
    }
    return finish(run(chosen));
}
