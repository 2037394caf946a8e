#include "usage.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "clock.hpp"

namespace peermq::bench {

namespace {

double to_seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double user_seconds(int who) {
    rusage usage{};
    getrusage(who, &usage);
    return to_seconds(usage.ru_utime);
}

double own_user_seconds() { return user_seconds(RUSAGE_SELF) + user_seconds(RUSAGE_CHILDREN); }

double machine_user_seconds() {
    std::ifstream file("/proc/stat");
    std::string label;
    double user = 0;
    double nice = 0;
    file >> label >> user >> nice;
    return (user + nice) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

MemoryUsage memory_usage() {
    MemoryUsage usage;
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
        const auto mib = [&] { return std::stod(line.substr(line.find(':') + 1)) / 1024; };
        if (line.starts_with("VmRSS:")) usage.resident_mib = mib();
        if (line.starts_with("VmHWM:")) usage.peak_mib = mib();
    }
    return usage;
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return to_seconds(usage.ru_utime) + to_seconds(usage.ru_stime);
}

void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

Disturbance::Disturbance()
    : machine_start_(machine_user_seconds()), own_start_(own_user_seconds()), start_ns_(now_ns()) {}

double Disturbance::foreign_cores() const {
    const double machine = machine_user_seconds() - machine_start_;
    const double own = own_user_seconds() - own_start_;
    const double elapsed = std::max(seconds(now_ns() - start_ns_), 1e-3);
    return std::max(machine - own, 0.0) / elapsed;
}

}  // namespace peermq::bench
