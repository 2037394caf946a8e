#pragma once

/// Endpoint texts such as "tcp://127.0.0.1:7000", "tcp://*:0", "ipc:///run/app/orders",
/// "inproc://a".

#include <cstdint>
#include <string>
#include <string_view>

namespace peermq::net {

struct Endpoint {
    enum class Scheme { tcp, ipc, inproc };
    Scheme scheme = Scheme::tcp;
    std::string host;        ///< tcp: name, IPv4, IPv6 (without brackets) or "*"
    std::uint16_t port = 0;  ///< tcp; 0 for "*" or "0": any free port (bind only)
    std::string path;        ///< ipc: path, "@name" (abstract) or "*"; inproc: name

    /// Throws Error invalid_argument or unsupported (scheme); the text quotes the endpoint and says
    /// what is expected. `to_bind` allows wildcards.
    static Endpoint parse(std::string_view text, bool to_bind);
    [[nodiscard]] std::string text() const;
    /// True when only this host can reach it: ipc, inproc, 127.0.0.0/8, ::1, "localhost".
    [[nodiscard]] bool is_loopback() const;
};

}  // namespace peermq::net
