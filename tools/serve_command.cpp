#include "serve_command.hpp"

#include <poll.h>
#include <unistd.h>

#include "exit_codes.hpp"
#include "peer_arguments.hpp"
#include "peermq/error.hpp"
#include "quantities.hpp"
#include "signals.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kLook = 50ms;
constexpr auto kCloseTimeout = 10s;

struct ServeArguments {
    std::string directory;
    PeerArguments peer;
    std::optional<nanoseconds> timeout;
    bool stay = false;
    bool dead = false;
};

struct Left {
    std::uint64_t messages = 0;
    std::uint64_t dead_letters = 0;
    std::uint64_t consumers = 0;
};

Left left_of(const PeerStats& stats) {
    Left left;
    for (const PushStats& push : stats.pushes) {
        (push.queue.ends_with(".dead") ? left.dead_letters : left.messages) += push.depth;
        left.consumers = std::max(left.consumers, push.consumers);
    }
    return left;
}

void wait_a_moment() {
    pollfd wait{Signals::instance().descriptor(), POLLIN, 0};
    (void)::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(kLook).count()));
}

int serve(const ServeArguments& arguments) {
    if (!arguments.stay && ::access((arguments.directory + "/MANIFEST").c_str(), F_OK) != 0) {
        throw Error(ErrorCode::not_found,
                    printable(arguments.directory) + " holds no spool; with --stay one is made");
    }
    PeerArguments given = arguments.peer;
    given.spool = arguments.directory;
    const std::unique_ptr<Peer> peer = open_peer(given);
    const Left at_first = left_of(peer->stats());
    note("serving " + plural(at_first.messages, "message") + " of " +
         printable(arguments.directory) +
         (arguments.stay ? " until stopped" : " until they are handled"));

    const auto deadline = arguments.timeout ? Clock::now() + *arguments.timeout
                                            : Clock::time_point::max();
    Progress progress("serving", "message", arguments.stay ? 0 : at_first.messages);
    Left left = at_first;
    bool late = false;
    while (!stop_requested()) {
        left = left_of(peer->stats());
        const std::uint64_t open = left.messages + (arguments.dead ? left.dead_letters : 0);
        if (open == 0 && !arguments.stay) break;
        late = Clock::now() >= deadline;
        if (late) break;
        progress.update(at_first.messages - std::min(at_first.messages, left.messages),
                        grouped(left.messages) + " left, " + plural(left.consumers, "consumer"));
        wait_a_moment();
    }
    const bool drained = !stop_requested() && !late;
    (void)peer->close(kCloseTimeout);
    note((drained ? "drained"
          : late  ? "time is over"
                  : "stopped") +
         std::string(": ") + plural(left.messages, "message") + " and " +
         plural(left.dead_letters, "dead letter") + " left in the spool");
    if (drained || (arguments.stay && !late)) return kExitOk;
    return late ? kExitTimeout : Signals::instance().exit_code();
}

}  // namespace

void add_serve_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<ServeArguments>();
    CLI::App* command = app.add_subcommand(
        "serve", "Adopt a spool whose process is gone, and hand its messages out");
    command->group("Running peers");
    command->add_option("DIR", arguments->directory, "The spool directory")->required();
    command->add_flag("--stay", arguments->stay,
                      "Go on when all is handled: for `push --via`, until Ctrl-C or SIGTERM");
    command->add_flag("--dead", arguments->dead, "Wait for the dead letters to be handled, too");
    add_duration(*command, "--timeout", arguments->timeout, "End with 5 after so long");
    add_peer_options(*command, arguments->peer);
    set_guide(
        *command,
        {.more = "Ends when every message of every queue is handled. What is not, stays in the "
                 "spool. With --stay it is an agent that keeps and hands out what short-lived "
                 "programs hand over; then the spool is made when it is missing.",
         .examples =
             {"peermq serve ./spool --bind tcp://127.0.0.1:7000",
              "peermq serve /mnt/dead-host/spool --connect tcp://127.0.0.1:7001 --timeout 1h",
              "peermq serve /var/lib/agent --stay --bind tcp://127.0.0.1:7000 &",
              "peermq push jobs hello --via /var/lib/agent"},
         .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitTimeout, kExitLocked, kExitUsage,
                        kExitInterrupted, kExitTerminated}});
    command->callback([&chosen, arguments] { chosen = [arguments] { return serve(*arguments); }; });
}

}  // namespace peermq::tools
