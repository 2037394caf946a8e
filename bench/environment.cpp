#include "environment.hpp"

#include <sys/utsname.h>
#include <unistd.h>
#include <zmq.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "clock.hpp"
#include "disk.hpp"
#include "peermq/version.hpp"

namespace peermq::bench {

namespace {

constexpr std::size_t kSyncProbes = 100;
constexpr std::size_t kSyncProbeBytes = 4096;

std::string processor() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    }
    return "unknown";
}

std::string kernel() {
    utsname name{};
    uname(&name);
    return std::string(name.sysname) + " " + name.release;
}

std::string libzmq() {
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

}  // namespace

nlohmann::ordered_json describe_environment(const Settings& settings) {
    double load = 0;
    getloadavg(&load, 1);
    auto syncs = plain_append_times(settings.spool, kSyncProbeBytes, kSyncProbes);
    const Percentiles sync = percentiles(syncs);
    return {{"bench", "environment"},
            {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
            {"processor", processor()},
            {"kernel", kernel()},
            {"libzmq", libzmq()},
            {"peermq", std::string(library_version())},
            {"load", load},
            {"spool", settings.spool.string()},
            {"spool_in_memory", is_memory_file_system(settings.spool)},
            {"sync_p50_us", sync.p50 / kMicrosecond},
            {"sync_p99_us", sync.p99 / kMicrosecond},
            {"rounds", settings.rounds},
            {"quick", settings.quick}};
}

void warn_about(const nlohmann::ordered_json& environment) {
    if (environment.at("load").get<double>() > kQuietLoad) {
        std::cerr << "warning: the load average is " << environment.at("load")
                  << ": others work on this machine, and these figures show it\n";
    }
    if (environment.at("spool_in_memory").get<bool>()) {
        std::cerr << "warning: " << environment.at("spool").get<std::string>()
                  << " is in memory: syncing costs nothing there\n";
    }
    if (environment.at("quick").get<bool>()) {
        std::cerr << "warning: --quick is one short round: a look, not a measurement\n";
    }
}

}  // namespace peermq::bench
