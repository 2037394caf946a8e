/// Runs seeds of the simulation, to replay what a test has found or to look for more.

#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "sim/world.hpp"

namespace {

using namespace peermq::sim;

constexpr const char* kUsage =
    "usage: sim_run [--seed N] [--count M] [--trace] [--canary NAME] [--profile NAME]\n"
    "               [--keep-going]\n"
    "\n"
    "  --seed N       the first seed (default 1)\n"
    "  --count M      how many seeds, one after another (default 1)\n"
    "  --trace        print every event of the run\n"
    "  --canary NAME  break a promise on purpose: lose_record, lying_sync, forget_flag,\n"
    "                 forget_settled, forget_mark, alter_body\n"
    "  --profile NAME what the seed is drawn for: swarm (default), keys, policies\n"
    "  --keep-going   go on after a seed that fails\n"
    "\n"
    "Exit code: 0 all seeds hold, 1 one does not, 2 wrong arguments.\n";

constexpr std::string_view kCanaries[] = {"none",        "lose_record",    "lying_sync",
                                          "forget_flag", "forget_settled", "forget_mark",
                                          "alter_body"};

struct Arguments {
    std::uint64_t seed = 1;
    std::uint64_t count = 1;
    bool trace = false;
    bool keep_going = false;
    Canary canary = Canary::none;
    Profile profile = Profile::swarm;
};

volatile std::uint64_t current_seed = 0;

/// A broken invariant aborts the process: say which seed it was.
void on_abort(int) {
    char text[96];
    const int length = std::snprintf(text, sizeof text,
                                     "seed %llu aborted; replay: ./dev sim --seed %llu --trace\n",
                                     static_cast<unsigned long long>(current_seed),
                                     static_cast<unsigned long long>(current_seed));
    if (length > 0) (void)!write(STDERR_FILENO, text, static_cast<std::size_t>(length));
    std::signal(SIGABRT, SIG_DFL);
    std::raise(SIGABRT);
}

bool parse_number(const char* text, std::uint64_t& out) {
    char* end = nullptr;
    out = std::strtoull(text, &end, 10);
    return end != text && *end == '\0';
}

bool parse(int argc, char** argv, Arguments& out) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        const char* value = i + 1 < argc ? argv[i + 1] : "";
        if (name == "--trace") {
            out.trace = true;
        } else if (name == "--keep-going") {
            out.keep_going = true;
        } else if (name == "--seed" && parse_number(value, out.seed)) {
            ++i;
        } else if (name == "--count" && parse_number(value, out.count)) {
            ++i;
        } else if (name == "--canary") {
            bool found = false;
            for (std::size_t each = 0; each < std::size(kCanaries); ++each) {
                if (kCanaries[each] != value) continue;
                out.canary = static_cast<Canary>(each);
                found = true;
            }
            if (!found) return false;
            ++i;
        } else if (name == "--profile") {
            bool found = false;
            for (std::size_t each = 0; each < kProfiles; ++each) {
                if (to_string(static_cast<Profile>(each)) != value) continue;
                out.profile = static_cast<Profile>(each);
                found = true;
            }
            if (!found) return false;
            ++i;
        } else {
            return false;
        }
    }
    return true;
}

void print(std::uint64_t seed, Profile profile, const RunResult& result) {
    std::printf(
        "seed %llu: %s, %llu sent, %llu delivered (%llu again), %llu acked, %llu dead, "
        "%llu refused, %llu crashes, %llu turns, drained after %.3f s, hash %016llx\n",
        static_cast<unsigned long long>(seed), result.ok() ? "valid" : "INVALID",
        static_cast<unsigned long long>(result.stats.sent),
        static_cast<unsigned long long>(result.stats.delivered),
        static_cast<unsigned long long>(result.stats.duplicates),
        static_cast<unsigned long long>(result.stats.acked),
        static_cast<unsigned long long>(result.stats.dead),
        static_cast<unsigned long long>(result.stats.refused),
        static_cast<unsigned long long>(result.stats.crashes),
        static_cast<unsigned long long>(result.turns),
        static_cast<double>(result.drained_after.count()) / 1e9,
        static_cast<unsigned long long>(result.hash));
    if (result.ok()) return;
    std::printf("%sreplay: %s\n", result.text.c_str(), replay_command(seed, profile).c_str());
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) {
        std::fputs(kUsage, stderr);
        return 2;
    }
    std::signal(SIGABRT, on_abort);
    std::uint64_t failed = 0;
    std::uint64_t turns = 0;
    FaultCounts faults{};
    for (std::uint64_t i = 0; i < arguments.count; ++i) {
        current_seed = arguments.seed + i;
        RunOptions options;
        options.trace = arguments.trace ? stdout : nullptr;
        options.canary = arguments.canary;
        options.profile = arguments.profile;
        const RunResult result = run_seed(arguments.seed + i, options);
        turns += result.turns;
        for (std::size_t kind = 0; kind < kFaultKinds; ++kind) faults[kind] += result.faults[kind];
        if (!result.ok() || arguments.count == 1)
            print(arguments.seed + i, arguments.profile, result);
        failed += result.ok() ? 0 : 1;
        if (failed > 0 && !arguments.keep_going) break;
    }
    if (arguments.count > 1) {
        std::printf("%llu seeds, %llu failed, %llu turns\n",
                    static_cast<unsigned long long>(arguments.count),
                    static_cast<unsigned long long>(failed),
                    static_cast<unsigned long long>(turns));
        for (std::size_t kind = 0; kind < kFaultKinds; ++kind) {
            std::printf("  %-20s %llu\n",
                        std::string(to_string(static_cast<FaultKind>(kind))).c_str(),
                        static_cast<unsigned long long>(faults[kind]));
        }
    }
    return failed == 0 ? 0 : 1;
}
