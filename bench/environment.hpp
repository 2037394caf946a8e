#pragma once

/// Where the figures come from: printed before them, since they mean nothing without it.

#include <nlohmann/json.hpp>

#include "settings.hpp"

namespace peermq::bench {

/// Load averages above this mean that others work on this machine.
inline constexpr double kQuietLoad = 0.5;

/// Cores, kernel, versions, load, and the time of one synced write where the spools will be.
[[nodiscard]] nlohmann::ordered_json describe_environment(const Settings& settings);

/// Tells on stderr what makes these figures doubtful.
void warn_about(const nlohmann::ordered_json& environment);

}  // namespace peermq::bench
