#pragma once

/// What goes to stdout: per bench one aligned table, or with --json one object per line.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "rounds.hpp"
#include "settings.hpp"
#include "statistics.hpp"

namespace peermq::bench {

enum class Unit { per_second, bytes_per_second, microseconds, milliseconds, percent, mebibytes };

/// What must be reached, and what should be.
struct Goal {
    enum class Of {
        ratio_at_least,  ///< ours / reference
        ratio_at_most,
        value_at_most,  ///< ours, in the line's unit
    };
    Of of = Of::ratio_at_least;
    double must = 0;
    double aim = 0;
};

/// One measured figure.
struct Line {
    std::string label;
    Unit unit = Unit::per_second;
    Summary ours{};
    /// What the same run measured beside it: raw libzmq, an empty queue, a plain file.
    std::optional<Summary> reference{};
    std::optional<Goal> goal{};

    /// Ratio of the medians; nothing without a reference.
    [[nodiscard]] std::optional<double> ratio() const;
    /// "aim", "ok" (the must is reached), "below", or empty without a goal.
    [[nodiscard]] std::string verdict() const;
};

class Report {
public:
    explicit Report(const Settings& settings) : settings_(settings) {}

    void environment(const nlohmann::ordered_json& description) const;
    /// `reference` is the heading above the figures compared with; `note` ends the table.
    void table(const std::string& title, const std::string& reference,
               const std::vector<Line>& lines, const std::string& note = {}) const;
    /// For --json; completes `identity` (bench, size, level ...) with what `line` says.
    void throughput(nlohmann::ordered_json identity, const Line& line) const;
    /// Says so when rounds of a bench were disturbed by other programs.
    void rounds(const std::string& bench, const RoundCount& count) const;
    /// For --json: any other object. Every one has the keys bench, size, level, msgs_per_s,
    /// raw_msgs_per_s and ratio, null where there is nothing to say.
    void object(const nlohmann::ordered_json& object) const;

private:
    const Settings& settings_;
};

/// Adds goal, ratio and verdict of `line` to an object for --json.
void add_verdict(nlohmann::ordered_json& object, const Line& line);

/// "100 B", "1 KiB".
[[nodiscard]] std::string format_size(std::size_t bytes);
/// "2.346 M/s", "12.3 us".
[[nodiscard]] std::string format_value(double value, Unit unit);

/// One line on stderr.
void progress(const std::string& text);

}  // namespace peermq::bench
