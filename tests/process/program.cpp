#include "program.hpp"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "peermq/error.hpp"

namespace peermq::test {
namespace {

volatile sig_atomic_t term_seen = 0;

}  // namespace

Arguments::Arguments(int count, char** values) {
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = values[i];
        const std::size_t equals = argument.find('=');
        if (equals == std::string_view::npos) continue;
        values_.emplace(argument.substr(0, equals), argument.substr(equals + 1));
    }
}

std::string Arguments::text(const std::string& name, const std::string& otherwise) const {
    const auto at = values_.find(name);
    return at == values_.end() ? otherwise : at->second;
}

std::uint64_t Arguments::number(const std::string& name, std::uint64_t otherwise) const {
    const auto at = values_.find(name);
    return at == values_.end() ? otherwise : std::strtoull(at->second.c_str(), nullptr, 10);
}

std::int64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void report_line(std::string line) {
    constexpr std::size_t kLineMax = 4000;
    std::replace(line.begin(), line.end(), '\n', ' ');
    line.resize(std::min(line.size(), kLineMax));
    line += '\n';
    while (::write(STDOUT_FILENO, line.data(), line.size()) < 0) {
        if (errno != EINTR) std::_Exit(70);  // the parent is gone
    }
}

void report(std::string_view kind, std::string_view rest) {
    std::string line(kind);
    line += ' ';
    line += std::to_string(now_ns());
    line += ' ';
    line += rest;
    report_line(std::move(line));
}

std::string read_command(int timeout_ms) {
    static std::string pending;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (pending.find('\n') == std::string::npos && ::poll(&input, 1, timeout_ms) > 0) {
        std::array<char, 256> buffer;
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count == 0) return "quit";
        if (count > 0) pending.append(buffer.data(), static_cast<std::size_t>(count));
    }
    const std::size_t end = pending.find('\n');
    if (end == std::string::npos) return {};
    std::string command = pending.substr(0, end);
    pending.erase(0, end + 1);
    return command;
}

int run_program(int count, char** values, const std::function<bool(const Arguments&)>& run) {
    report("open");
    const Arguments arguments(count, values);
    struct sigaction action {};
    action.sa_handler = [](int) { term_seen = 1; };
    ::sigaction(SIGTERM, &action, nullptr);
    try {
        const bool in_time = run(arguments);
        report("closed", in_time ? "in_time" : "late");
        return in_time ? 0 : 3;
    } catch (const Error& error) {
        report("error", std::string(to_string(error.code())) + " " + error.what());
        return 2;
    }
}

bool terminated() { return term_seen != 0; }

std::string body_of(std::string_view id, std::size_t bytes) {
    std::string body(bytes, '\0');
    std::uint64_t state = XXH3_64bits(id.data(), id.size()) | 1;
    for (std::size_t at = 0; at < bytes; at += sizeof state) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::memcpy(body.data() + at, &state, std::min(sizeof state, bytes - at));
    }
    return body;
}

std::uint64_t hash_of(std::string_view key, std::string_view body) {
    return XXH3_64bits_withSeed(body.data(), body.size(), XXH3_64bits(key.data(), key.size()));
}

std::string hexadecimal(std::uint64_t number) {
    std::array<char, 16> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
    return {digits.data(), end};
}

}  // namespace peermq::test
