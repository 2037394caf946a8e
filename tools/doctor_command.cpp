#include "doctor_command.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <iostream>
#include <mutex>
#include <thread>

#include "base/file_system.hpp"
#include "exit_codes.hpp"
#include "message_json.hpp"
#include "peer_arguments.hpp"
#include "peermq/error.hpp"
#include "peermq/version.hpp"
#include "quantities.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;

enum class Verdict { good, warning, bad };

struct Finding {
    Verdict verdict = Verdict::good;
    std::string what;
    std::string text;
    std::string advice{};  ///< what to do; empty when it is good
};

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::good: return "ok";
        case Verdict::warning: return "warning";
        case Verdict::bad: return "bad";
    }
    return "";
}

struct DoctorArguments {
    std::string spool;
    std::vector<std::string> bind;
    std::vector<std::string> connect;
    std::optional<nanoseconds> timeout;
    bool json = false;
};

Finding look_at_version() {
    const std::string running(library_version());
    if (running == kVersion) return {Verdict::good, "peermq", running};
    return {Verdict::warning, "peermq", "library " + running + ", command " + std::string(kVersion),
            "another libpeermq is found first: see LD_LIBRARY_PATH"};
}

std::vector<Finding> look_at_transport() {
    std::vector<Finding> found{{Verdict::good, "libzmq", transport_version()}};
    if (transport_has("curve")) {
        found.push_back({Verdict::good, "curve", "encryption is built in"});
    } else {
        found.push_back({Verdict::warning, "curve", "libzmq was built without encryption",
                         "install a libzmq with CURVE before links leave this host"});
    }
    return found;
}

Finding look_at_open_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return {Verdict::warning, "open files", std::strerror(errno), "see ulimit -n"};
    }
    const std::string text = grouped(limit.rlim_cur) + ", at most " + grouped(limit.rlim_max);
    if (limit.rlim_max >= 4096) return {Verdict::good, "open files", text};
    return {Verdict::bad, "open files", text,
            "ipc endpoints and many links need 4,096: raise ulimit -n"};
}

Finding look_at_clock() {
    timex state{};
    const int result = ::adjtimex(&state);
    const std::string now = iso_time(Timestamp(std::chrono::duration_cast<nanoseconds>(
        std::chrono::system_clock::now().time_since_epoch())));
    if (result >= 0 && result != TIME_ERROR && (state.status & STA_UNSYNC) == 0) {
        return {Verdict::good, "clock", now.substr(0, 19) + "Z, synchronised"};
    }
    return {Verdict::warning, "clock", now.substr(0, 19) + "Z, not known to be synchronised",
            "time stamps and delays across hosts rest on it: run an NTP client"};
}

Finding look_at_system() {
    utsname system{};
    (void)::uname(&system);
    return {Verdict::good, "system",
            std::string(system.sysname) + " " + system.release + ", " +
                plural(std::thread::hardware_concurrency(), "processor")};
}

/// Median time of a write and sync of 4 KiB in a new file of `directory`.
std::optional<nanoseconds> sync_time(const std::string& directory) {
    std::string path = directory + "/peermq-doctor-XXXXXX";
    const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor < 0) return std::nullopt;
    ::unlink(path.c_str());
    const std::array<char, 4096> block{};
    std::array<nanoseconds, 15> times{};
    for (auto& time : times) {
        const auto start = std::chrono::steady_clock::now();
        if (::write(descriptor, block.data(), block.size()) < 0 || ::fdatasync(descriptor) != 0) {
            ::close(descriptor);
            return std::nullopt;
        }
        time = std::chrono::steady_clock::now() - start;
    }
    ::close(descriptor);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

/// The directory itself, or the nearest one above it that exists: where it would be made.
std::string existing(std::string path) {
    while (!path.empty() && ::access(path.c_str(), F_OK) != 0) {
        const std::size_t slash = path.rfind('/');
        if (slash == std::string::npos) return ".";
        path.resize(slash);
    }
    return path.empty() ? "/" : path;
}

Finding look_at_space(const std::string& directory) {
    struct statvfs space {};
    if (::statvfs(directory.c_str(), &space) != 0) {
        return {Verdict::bad, "disk space", printable(directory) + ": " + std::strerror(errno),
                "give a directory of a local file system"};
    }
    const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
    const std::string text = short_bytes(free) + " free at " + printable(directory);
    if (free >= (std::uint64_t{1} << 30)) return {Verdict::good, "disk space", text};
    if (free >= (std::uint64_t{192} << 20)) {
        return {Verdict::warning, "disk space", text,
                "less than 1 GiB: mind PeerOptions::free_bytes_min"};
    }
    return {Verdict::bad, "disk space", text,
            "a spool takes no messages below 64 MiB, and a segment needs 64 MiB"};
}

Finding look_at_file_system(const std::string& directory) {
    constexpr long kTmpfs = 0x01021994;
    struct statfs system {};
    if (::statfs(directory.c_str(), &system) != 0) {
        return {Verdict::bad, "file system", std::strerror(errno), "is the directory readable?"};
    }
    const auto network = base::network_file_system(static_cast<std::uint64_t>(system.f_type));
    if (!network.empty()) {
        return {Verdict::bad, "file system", std::string(network) + " at " + printable(directory),
                "a spool needs a local file system: locks and syncs do not hold on this one"};
    }
    if (system.f_type == kTmpfs) {
        return {Verdict::warning, "file system", "tmpfs at " + printable(directory),
                "memory: a spool here is gone after a reboot"};
    }
    return {Verdict::good, "file system", "local"};
}

std::vector<Finding> look_at_disk(const std::string& spool) {
    const std::string directory = existing(spool);
    std::vector<Finding> found{look_at_file_system(directory), look_at_space(directory)};
    const auto time = sync_time(directory);
    if (!time) {
        found.push_back({Verdict::bad, "disk sync",
                         "cannot write at " + printable(directory) + ": " + std::strerror(errno),
                         "a spool must be written by this user"});
    } else {
        found.push_back(
            {*time < 30ms ? Verdict::good : Verdict::warning, "disk sync",
             short_duration(*time) + " for a write and sync of 4 KiB",
             *time < 30ms ? "" : "each send() waits for one; a faster disk, or durability os"});
    }
    return found;
}

Finding try_bind(const std::string& endpoint) {
    try {
        Peer peer({.insecure = true, .close_timeout = 0ns});
        return {Verdict::good, "bind", "can listen at " + peer.bind(endpoint)};
    } catch (const Error& error) {
        return {Verdict::bad, "bind", printable(error.what()), "choose another endpoint"};
    }
}

Finding try_connect(const std::string& endpoint, nanoseconds timeout) {
    std::mutex mutex;
    std::condition_variable changed;
    std::string failure = "no answer within " + short_duration(timeout);
    bool up = false;
    bool final = false;
    PeerOptions options;
    options.close_timeout = 0ns;
    options.on_event = [&](const Event& event) {
        const std::lock_guard lock(mutex);
        if (event.kind == EventKind::peer_up) {
            up = true;
        } else if (event.kind == EventKind::peer_rejected) {
            failure = event.text;
            final = true;
        } else if (event.kind == EventKind::connect_failed) {
            failure = event.text;
        }
        changed.notify_all();
    };
    try {
        Peer peer(options);
        const auto start = std::chrono::steady_clock::now();
        peer.connect(endpoint);
        std::unique_lock lock(mutex);
        changed.wait_for(lock, timeout, [&] { return up || final; });
        const auto took = std::chrono::steady_clock::now() - start;
        lock.unlock();
        (void)peer.close(0ns);
        if (up) {
            return {Verdict::good, "connect",
                    "a peer answers at " + endpoint + " after " + short_duration(took)};
        }
    } catch (const Error& error) {
        failure = error.what();
    }
    return {Verdict::bad, "connect", printable(failure),
            "is a peermq process listening at " + printable(endpoint) + "?"};
}

void print(const Finding& finding, bool json) {
    if (json) {
        std::cout << Json{{"check", finding.what},
                          {"verdict", name_of(finding.verdict)},
                          {"text", finding.text},
                          {"advice", finding.advice}}
                  << '\n';
        return;
    }
    static const bool kColour = colour_wanted(STDOUT_FILENO);
    const char* const colour = finding.verdict == Verdict::good      ? "\x1b[32m"
                               : finding.verdict == Verdict::warning ? "\x1b[33m"
                                                                     : "\x1b[31m";
    std::string mark(name_of(finding.verdict));
    mark.resize(7, ' ');
    std::string what = finding.what;
    what.resize(11, ' ');
    std::cout << (kColour ? colour : "") << mark << (kColour ? "\x1b[0m" : "") << "  " << what
              << "  " << finding.text << '\n';
    if (!finding.advice.empty())
        std::cout << std::string(22, ' ') << "-> " << finding.advice << '\n';
}

int examine(const DoctorArguments& arguments) {
    Verdict worst = Verdict::good;
    const auto show = [&](const Finding& finding) {
        worst = std::max(worst, finding.verdict);
        print(finding, arguments.json);
        std::cout.flush();
    };
    show(look_at_version());
    for (const Finding& finding : look_at_transport()) show(finding);
    show(look_at_system());
    show(look_at_open_files());
    show(look_at_clock());
    for (const Finding& finding : look_at_disk(arguments.spool)) show(finding);
    if (arguments.bind.empty()) show(try_bind("tcp://127.0.0.1:*"));
    for (const std::string& endpoint : arguments.bind) show(try_bind(endpoint));
    for (const std::string& endpoint : arguments.connect) {
        show(try_connect(endpoint, arguments.timeout.value_or(5s)));
    }
    return worst == Verdict::bad ? kExitFailed : kExitOk;
}

}  // namespace

void add_doctor_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<DoctorArguments>();
    arguments->spool = ".";
    CLI::App* command = app.add_subcommand(
        "doctor", "Check ports, limits, clock, disk and libzmq of this machine");
    command->group("Other");
    command
        ->add_option("-s,--spool", arguments->spool,
                     "Check the disk below DIR; default: the current directory")
        ->type_name("DIR");
    command
        ->add_option("-b,--bind", arguments->bind,
                     "Try to listen at ENDPOINT; default: a free port of 127.0.0.1")
        ->type_name("ENDPOINT")
        ->allow_extra_args(false);
    command->add_option("-c,--connect", arguments->connect, "Try to reach a peer at ENDPOINT")
        ->type_name("ENDPOINT")
        ->allow_extra_args(false);
    add_duration(*command, "--timeout", arguments->timeout,
                 "Longest time for each --connect; default 5s");
    command->add_flag("--json", arguments->json, "One JSON object per check");
    set_guide(*command,
              {.more = "Warnings do not change the exit code.",
               .examples = {"peermq doctor",
                            "peermq doctor --spool /var/lib/shop --bind tcp://127.0.0.1:7000",
                            "peermq doctor --connect tcp://127.0.0.1:7000 --timeout 2s"},
               .exit_codes = {kExitOk, kExitFailed, kExitUsage}});
    command->callback(
        [&chosen, arguments] { chosen = [arguments] { return examine(*arguments); }; });
}

}  // namespace peermq::tools
