#pragma once

/// Names to numeric addresses, on a thread of its own, since getaddrinfo may block for many
/// seconds.
///
/// Threads: one caller; results are announced through a Wakeup and fetched by the caller. The
/// thread starts with the first name. A look-up that is under way at the end is left behind, not
/// waited for.

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/poller.hpp"

namespace peermq::net {

struct Resolution {
    std::uint64_t request = 0;
    std::vector<std::string> addresses;  ///< numeric, without brackets; in the system's order
    std::string error;                   ///< for people, when there are no addresses
};

/// True when `host` needs no look-up.
[[nodiscard]] bool is_numeric_host(const std::string& host);

/// Blocks. Throws nothing but bad_alloc.
[[nodiscard]] Resolution resolve_now(const std::string& host);

class Resolver {
public:
    explicit Resolver(std::shared_ptr<Wakeup> wakeup);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    void ask(std::uint64_t request, std::string host);
    /// Cheap when there are none.
    [[nodiscard]] std::vector<Resolution> take();
    [[nodiscard]] bool has_results() const noexcept;

private:
    struct Shared;
    static void run(const std::shared_ptr<Shared>& shared);

    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

}  // namespace peermq::net
