#include "peer_arguments.hpp"

#include <sys/stat.h>

#include <mutex>
#include <set>

#include "peermq/control.hpp"
#include "peermq/error.hpp"
#include "signals.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

/// What somebody at a terminal wants to know of a link; the rest with --verbose.
class EventTeller {
public:
    explicit EventTeller(bool verbose) : verbose_(verbose) {}

    void tell(const Event& event) {
        switch (event.kind) {
            case EventKind::peer_up: failing_.clear(); break;
            case EventKind::peer_down:
            case EventKind::link_suspect: break;
            case EventKind::connect_failed:
                // Each attempt fails alike until somebody listens there.
                if (failing_.insert(event.text).second) note(printable(event.text));
                return;
            case EventKind::peer_rejected:
                // So does each attempt to talk to a stranger.
                if (failing_.insert(event.text).second) warn(printable(event.text));
                return;
            case EventKind::ack_refused:
            case EventKind::damage:
            case EventKind::io_error:
            case EventKind::quota:
            case EventKind::dead_letter:
            case EventKind::dropped:
            case EventKind::gap: warn(line_of(event)); return;
        }
        if (verbose_) note(line_of(event));
    }

private:
    static std::string line_of(const Event& event) {
        std::string line(to_string(event.kind));
        if (!event.queue.empty()) line += " [" + event.queue + "]";
        if (!event.peer.empty()) line += " peer " + event.peer;
        return line + ": " + printable(event.text);
    }

    const bool verbose_;
    std::set<std::string> failing_;  ///< of the thread that tells events
};

/// An endpoint as it is; for the spool directory of a running peer, the one that this is bound to.
std::string endpoint_of(const std::string& where) {
    if (where.find("://") != std::string::npos) return where;
    struct stat status {};
    if (::stat(where.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return where;
    const PeerInfo info = Control(where).info();
    if (!info.endpoints.empty()) return info.endpoints.front();
    throw UsageError("the peer that has " + printable(where) + " open (pid " +
                     std::to_string(info.pid) + ") listens nowhere: it must --bind");
}

}  // namespace

void add_peer_options(CLI::App& app, PeerArguments& arguments) {
    app.add_option("-b,--bind", arguments.bind,
                   "Listen at ENDPOINT, such as tcp://127.0.0.1:7000, tcp://127.0.0.1:* (any free "
                   "port, told on standard error) or ipc:///run/jobs; may be repeated")
        ->type_name("ENDPOINT")
        ->allow_extra_args(false);
    app.add_option(
           "-c,--connect", arguments.connect,
           "Connect to ENDPOINT, now or as soon as somebody listens there, or to the running "
           "peer that has this spool directory open; may be repeated")
        ->type_name("ENDPOINT")
        ->allow_extra_args(false);
    app.add_flag("--insecure", arguments.insecure,
                 "Allow --bind at addresses that other hosts reach, without encryption");
    add_bytes(app, "--max-message", arguments.message_bytes_max,
              "Largest message, 1K to 1G; default 16M");
    CLI::Option* verbose = app.add_flag("-v,--verbose", arguments.verbose,
                                        "Tell of every link and event");
    app.add_flag("-q,--quiet", arguments.quiet, "Tell of nothing but warnings and errors")
        ->excludes(verbose);
}

void add_spool_options(CLI::App& app, PeerArguments& arguments) {
    app.add_option("-s,--spool", arguments.spool,
                   "Directory that keeps messages until they are acked; made when missing")
        ->type_name("DIR");
    add_choice(app, "--durability", arguments.durability,
               "What a message survives: disk (power cut; default with --spool), os (death of this "
               "process), memory (nothing; default without)",
               {"disk", "os", "memory"});
}

std::optional<Durability> durability_of(const PeerArguments& arguments) {
    if (arguments.durability == "disk") return Durability::disk;
    if (arguments.durability == "os") return Durability::os;
    if (arguments.durability == "memory") return Durability::memory;
    return std::nullopt;
}

std::unique_ptr<Peer> open_peer_alone(const PeerArguments& arguments) {
    static_cast<void>(Signals::instance());  // before the peer has threads
    Talk::instance().set_quiet(arguments.quiet);
    PeerOptions options;
    options.spool = arguments.spool;
    options.insecure = arguments.insecure;
    options.message_bytes_max = arguments.message_bytes_max;
    auto teller = std::make_shared<EventTeller>(arguments.verbose);
    options.on_event = [teller](const Event& event) { teller->tell(event); };
    auto peer = std::make_unique<Peer>(std::move(options));
    for (const std::string& endpoint : arguments.bind) {
        note("listening at " + peer->bind(endpoint));
    }
    for (const std::string& where : arguments.connect) peer->connect(endpoint_of(where));
    return peer;
}

std::unique_ptr<Peer> open_peer(const PeerArguments& arguments) {
    if (arguments.bind.empty() && arguments.connect.empty()) {
        throw UsageError(
            "nobody to talk to: give --connect ENDPOINT or --bind ENDPOINT, for example "
            "--connect tcp://127.0.0.1:7000");
    }
    return open_peer_alone(arguments);
}

}  // namespace peermq::tools
