#include "net/endpoint.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "peermq/error.hpp"

namespace peermq::net {
namespace {

constexpr std::size_t kIpcPathBytesMax = 107;  // sun_path with its final zero
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kQuotedBytesMax = 300;

[[noreturn]] void refuse(ErrorCode code, std::string_view text, const std::string& why) {
    throw Error(code, "endpoint \"" + std::string(text.substr(0, kQuotedBytesMax)) + "\": " + why);
}

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
    refuse(ErrorCode::invalid_argument, text, why);
}

bool is_name(std::string_view host) {
    return std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '-' || c == '_';
    });
}

/// With a zone, as in fe80::1%eth0, or without.
bool is_v6(const std::string& host) {
    in6_addr address{};
    const std::size_t zone = host.find('%');
    if (inet_pton(AF_INET6, host.substr(0, zone).c_str(), &address) != 1) return false;
    return zone == std::string::npos ||
           (zone + 1 < host.size() && is_name(std::string_view(host).substr(zone + 1)));
}

std::uint16_t parse_port(std::string_view text, std::string_view port, bool to_bind) {
    if (port == "*" || port == "0") {
        if (to_bind) return 0;
        refuse(text, "a port from 1 to 65535 is needed to connect");
    }
    unsigned value = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
    if (error != std::errc{} || end != port.data() + port.size() || value == 0 || value > 65535) {
        refuse(text, to_bind ? "expected a port from 1 to 65535, or * for any free one"
                             : "expected a port from 1 to 65535");
    }
    return static_cast<std::uint16_t>(value);
}

void parse_tcp(Endpoint& endpoint, std::string_view text, std::string_view rest, bool to_bind) {
    const std::size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
        refuse(text, "expected tcp://host:port");
    }
    std::string_view host = rest.substr(0, colon);
    endpoint.port = parse_port(text, rest.substr(colon + 1), to_bind);
    if (host.size() > kNameBytesMax) refuse(text, "the host is longer than 255 bytes");
    if (host.front() == '[') {
        if (host.back() != ']') refuse(text, "expected tcp://[IPv6 address]:port");
        host = host.substr(1, host.size() - 2);
        endpoint.host = host;
        if (!is_v6(endpoint.host)) refuse(text, "expected an IPv6 address in the brackets");
        return;
    }
    endpoint.host = host;
    if (host == "*") {
        if (!to_bind) refuse(text, "* stands for all addresses of this host: name one to connect");
        return;
    }
    if (host.find(':') != std::string_view::npos) {
        refuse(text, "write an IPv6 address in brackets: tcp://[::1]:7000");
    }
    if (!is_name(host)) refuse(text, "expected a host name or an address before the port");
}

void parse_ipc(Endpoint& endpoint, std::string_view text, std::string_view rest, bool to_bind) {
    if (rest.empty() || rest == "@") refuse(text, "expected ipc:///path or ipc://@name");
    if (rest == "*" && !to_bind) refuse(text, "* makes a new path: name one to connect");
    if (rest.size() > kIpcPathBytesMax) {
        refuse(text, "the path has " + std::to_string(rest.size()) + " bytes, the system allows " +
                         std::to_string(kIpcPathBytesMax) + ": choose a shorter directory");
    }
    endpoint.path = rest;
}

}  // namespace

Endpoint Endpoint::parse(std::string_view text, bool to_bind) {
    // libzmq takes endpoints as C strings and would leave out the rest.
    if (text.find('\0') != std::string_view::npos) refuse(text, "there is a zero byte in it");
    const std::size_t mark = text.find("://");
    if (mark == std::string_view::npos) {
        refuse(text, "expected tcp://host:port, ipc:///path or inproc://name");
    }
    const std::string_view scheme = text.substr(0, mark);
    const std::string_view rest = text.substr(mark + 3);
    Endpoint endpoint;
    if (scheme == "tcp") {
        endpoint.scheme = Scheme::tcp;
        parse_tcp(endpoint, text, rest, to_bind);
    } else if (scheme == "ipc") {
        endpoint.scheme = Scheme::ipc;
        parse_ipc(endpoint, text, rest, to_bind);
    } else if (scheme == "inproc") {
        endpoint.scheme = Scheme::inproc;
        if (rest.empty() || rest.size() > kNameBytesMax) {
            refuse(text, "expected inproc://name, with a name of 1 to 255 bytes");
        }
        endpoint.path = rest;
    } else {
        refuse(ErrorCode::unsupported, text,
               "transport \"" + std::string(scheme.substr(0, 32)) +
                   "\" is not one of tcp, ipc and inproc");
    }
    return endpoint;
}

std::string Endpoint::text() const {
    if (scheme == Scheme::ipc) return "ipc://" + path;
    if (scheme == Scheme::inproc) return "inproc://" + path;
    const bool brackets = host.find(':') != std::string::npos;
    return "tcp://" + (brackets ? "[" + host + "]" : host) + ":" +
           (port == 0 ? "*" : std::to_string(port));
}

bool Endpoint::is_loopback() const {
    if (scheme != Scheme::tcp || host == "localhost") return true;
    in_addr v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    in6_addr v6{};
    if (inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &v6) != 1) return false;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

}  // namespace peermq::net
