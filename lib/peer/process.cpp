#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "peer/process.hpp"

#include "peermq/error.hpp"

namespace peermq::detail {
namespace {

std::string read_file(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// "xxxxxxxx-xxxx-..." to 16 bytes; all zero when it is something else.
std::array<std::byte, 16> parse_uuid(const std::string& text) {
    std::array<std::byte, 16> bytes{};
    std::size_t digits = 0;
    for (const char c : text) {
        int value = -1;
        if (c >= '0' && c <= '9') value = c - '0';
        if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
        if (value < 0 || digits == 32) continue;
        bytes[digits / 2] |= static_cast<std::byte>(digits % 2 == 0 ? value << 4 : value);
        ++digits;
    }
    return digits == 32 ? bytes : std::array<std::byte, 16>{};
}

/// Field 22 of /proc/self/stat; the second field, the name, may hold anything but ends with the
/// last ')'.
std::uint64_t start_time() {
    const std::string stat = read_file("/proc/self/stat");
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(stat.substr(name_end + 1));
    std::string field;
    for (int i = 3; i <= 22; ++i) fields >> field;
    return fields ? std::stoull(field) : 0;
}

}  // namespace

unsigned process_generation() noexcept {
    static const int kRegistered = pthread_atfork(
        nullptr, nullptr, [] { known_generation.fetch_add(1, std::memory_order_relaxed); });
    (void)kRegistered;
    return known_generation.load(std::memory_order_relaxed);
}

void refuse_forked_child() {
    throw Error(ErrorCode::invalid_state,
                "this Peer was made before a fork and cannot be used in the child: make one there");
}

wire::HostInfo host_info() {
    wire::HostInfo host;
    host.boot_id = parse_uuid(read_file("/proc/sys/kernel/random/boot_id"));
    struct stat status {};
    if (stat("/proc/self/ns/pid", &status) == 0) host.pid_namespace = status.st_ino;
    host.pid = static_cast<std::uint32_t>(getpid());
    host.start_time = start_time();
    if (host.boot_id == std::array<std::byte, 16>{} || host.start_time == 0)
        host.pid = 0;  // not to be watched
    return host;
}

}  // namespace peermq::detail
