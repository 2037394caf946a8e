/// Endpoint texts are refused with a reason, or mean the same after being written again.

#include <string>
#include <string_view>

#include "fuzz/fuzz.hpp"
#include "net/endpoint.hpp"
#include "peermq/error.hpp"

namespace {

using namespace peermq;
using net::Endpoint;
using test::require;

bool same(const Endpoint& a, const Endpoint& b) {
    return a.scheme == b.scheme && a.host == b.host && a.port == b.port && a.path == b.path;
}

void check(std::string_view text, bool to_bind) {
    Endpoint endpoint;
    try {
        endpoint = Endpoint::parse(text, to_bind);
    } catch (const Error& error) {
        const bool expected = error.code() == ErrorCode::invalid_argument ||
                              error.code() == ErrorCode::unsupported;
        require(expected, "a bad endpoint is a mistake of the call");
        return;
    }
    const std::string again = endpoint.text();
    require(again.find('\0') == std::string::npos, "libzmq takes endpoints as C strings");
    require(to_bind || endpoint.scheme != Endpoint::Scheme::tcp || endpoint.port != 0,
            "who connects names a port");
    require(same(Endpoint::parse(again, to_bind), endpoint), "written again it means the same");
    static_cast<void>(endpoint.is_loopback());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = test::bytes_of(data, size);
    check(base::as_text(bytes), true);
    check(base::as_text(bytes), false);
    return 0;
}
