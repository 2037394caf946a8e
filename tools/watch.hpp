#pragma once

/// Running peers as `stats` and `top` see them: numbers, rates since the look before, and both as
/// lines of text.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "peermq/control.hpp"

namespace peermq::tools {

/// One look at one peer.
struct Look {
    PeerInfo info;
    PeerStats stats;
    std::chrono::steady_clock::time_point at{};
};

/// A peer that is looked at again and again; one that is gone is tried again at each look. One
/// thread.
class Watched {
public:
    explicit Watched(std::string where) : where_(std::move(where)) {}

    /// False when it cannot be reached; problem() says why.
    bool look();
    [[nodiscard]] const std::string& where() const noexcept { return where_; }
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
    [[nodiscard]] const std::optional<Look>& now() const noexcept { return now_; }
    [[nodiscard]] const std::optional<Look>& before() const noexcept { return before_; }

private:
    std::string where_;
    std::string problem_;
    std::unique_ptr<Control> control_;
    std::optional<Look> now_;
    std::optional<Look> before_;
};

/// What `watched` shows now. Names of tables are bold when `colour`.
[[nodiscard]] std::vector<std::string> lines_of(const Watched& watched, bool colour);

}  // namespace peermq::tools
