#include "report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

namespace peermq::bench {

namespace {

using Row = std::vector<std::string>;

std::string format_number(double value, int decimals) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
    return text.data();
}

/// Four digits that count.
std::string format_digits(double value) {
    const double size = value < 0 ? -value : value;
    return format_number(value, size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0);
}

std::string format_scaled(double value, const std::string& unit) {
    if (value >= 1e9) return format_digits(value / 1e9) + " G" + unit;
    if (value >= 1e6) return format_digits(value / 1e6) + " M" + unit;
    if (value >= 1e3) return format_digits(value / 1e3) + " k" + unit;
    return format_digits(value) + " " + unit;
}

std::string format_goal(const Line& line, double value) {
    const bool at_most = line.goal->of != Goal::Of::ratio_at_least;
    const bool of_value = line.goal->of == Goal::Of::value_at_most;
    const std::string number = of_value ? format_value(value, line.unit)
                                        : format_number(value, 2) + " x";
    return (at_most ? "<= " : ">= ") + number;
}

Row format_line(const Line& line) {
    const auto add = [&](Row& row, const Summary& summary) {
        row.push_back(format_value(summary.min, line.unit));
        row.push_back(format_value(summary.median, line.unit));
        row.push_back(format_value(summary.max, line.unit));
    };
    Row row{line.label};
    add(row, line.ours);
    if (line.reference) {
        add(row, *line.reference);
    } else {
        row.insert(row.end(), 3, "");
    }
    row.push_back(line.ratio() ? format_number(*line.ratio(), 2) + " x" : "");
    row.push_back(line.goal ? format_goal(line, line.goal->must) : "");
    row.push_back(line.goal ? format_goal(line, line.goal->aim) : "");
    row.push_back(line.verdict());
    return row;
}

void print_aligned(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (const Row& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t at = 0; at < row.size(); ++at) {
            widths[at] = std::max(widths[at], row[at].size());
        }
    }
    for (const Row& row : rows) {
        std::string text;
        for (std::size_t at = 0; at < row.size(); ++at) {
            if (widths[at] == 0) continue;
            const std::string padding(widths[at] - row[at].size(), ' ');
            text += at == 0 ? row[at] + padding : "  " + padding + row[at];
        }
        text.erase(text.find_last_not_of(' ') + 1);
        std::cout << "  " << text << '\n';
    }
}

}  // namespace

std::optional<double> Line::ratio() const {
    if (!reference || reference->median <= 0) return {};
    return ours.median / reference->median;
}

std::string Line::verdict() const {
    if (!goal) return {};
    if (goal->of != Goal::Of::value_at_most && !ratio()) return {};
    const double value = goal->of == Goal::Of::value_at_most ? ours.median : *ratio();
    const auto reached = [&](double limit) {
        return goal->of == Goal::Of::ratio_at_least ? value >= limit : value <= limit;
    };
    return reached(goal->aim) ? "aim" : reached(goal->must) ? "ok" : "below";
}

std::string format_size(std::size_t bytes) {
    if (bytes >= 1024 && bytes % 1024 == 0) return std::to_string(bytes / 1024) + " KiB";
    return std::to_string(bytes) + " B";
}

std::string format_value(double value, Unit unit) {
    switch (unit) {
        case Unit::per_second: return format_scaled(value, "/s");
        case Unit::bytes_per_second: return format_scaled(value, "B/s");
        case Unit::microseconds: return format_digits(value) + " us";
        case Unit::milliseconds: return format_digits(value) + " ms";
        case Unit::percent: return format_number(value, value < 1 ? 3 : 2) + " %";
        case Unit::mebibytes: return format_number(value, 1) + " MiB";
    }
    return {};
}

void Report::environment(const nlohmann::ordered_json& description) const {
    if (settings_.json) {
        object(description);
        return;
    }
    const auto text = [&](const char* key) { return description.at(key).get<std::string>(); };
    std::cout << "environment\n"
              << "  " << description.at("cores") << " cores, " << text("processor") << ", "
              << text("kernel") << ", load " << description.at("load") << '\n'
              << "  libzmq " << text("libzmq") << ", peermq " << text("peermq") << '\n'
              << "  spools in " << text("spool") << ", 4 KiB write + fdatasync: p50 "
              << format_value(description.at("sync_p50_us"), Unit::microseconds) << ", p99 "
              << format_value(description.at("sync_p99_us"), Unit::microseconds) << '\n'
              << "  " << settings_.rounds << " rounds" << (settings_.quick ? ", quick" : "") << "\n"
              << std::flush;
}

void Report::table(const std::string& title, const std::string& reference,
                   const std::vector<Line>& lines, const std::string& note) const {
    if (settings_.json || lines.empty()) return;
    const bool compares = std::any_of(lines.begin(), lines.end(),
                                      [](const Line& line) { return line.reference.has_value(); });
    const bool judged = std::any_of(lines.begin(), lines.end(),
                                    [](const Line& line) { return line.goal.has_value(); });
    Row first{"", "", "peermq", ""};
    Row second{"", "min", "median", "max"};
    for (const char* heading : {"min", "median", "max"}) {
        first.emplace_back(compares && heading == std::string("median") ? reference : "");
        second.emplace_back(compares ? heading : "");
    }
    first.insert(first.end(), 4, "");
    second.emplace_back(compares ? "ratio" : "");
    for (const char* heading : {"must", "aim", "mark"}) second.emplace_back(judged ? heading : "");

    std::vector<Row> rows{first, second};
    for (const Line& line : lines) rows.push_back(format_line(line));
    std::cout << '\n' << title << '\n';
    print_aligned(rows);
    if (!note.empty()) std::cout << "  " << note << '\n';
    std::cout << std::flush;
}

void Report::throughput(nlohmann::ordered_json identity, const Line& line) const {
    identity["msgs_per_s"] = line.ours.median;
    identity["min"] = line.ours.min;
    identity["max"] = line.ours.max;
    if (line.reference) {
        identity["raw_msgs_per_s"] = line.reference->median;
        identity["raw_min"] = line.reference->min;
        identity["raw_max"] = line.reference->max;
    }
    identity["rounds"] = line.ours.rounds;
    add_verdict(identity, line);
    object(identity);
}

void Report::rounds(const std::string& bench, const RoundCount& count) const {
    if (count.disturbed == 0) return;
    object({{"bench", "disturbed_rounds"},
            {"of", bench},
            {"rounds", count.taken},
            {"disturbed", count.disturbed}});
    if (settings_.json) return;
    std::cout << "  doubtful: other programs disturbed " << count.disturbed << " of " << count.taken
              << " rounds\n"
              << std::flush;
}

void Report::object(const nlohmann::ordered_json& object) const {
    if (!settings_.json) return;
    nlohmann::ordered_json line;
    for (const char* key : {"bench", "size", "level", "msgs_per_s", "raw_msgs_per_s", "ratio"})
        line[key] = nullptr;
    for (const auto& [key, value] : object.items()) line[key] = value;
    std::cout << line.dump() << '\n' << std::flush;
}

void add_verdict(nlohmann::ordered_json& object, const Line& line) {
    if (line.ratio()) object["ratio"] = *line.ratio();
    if (!line.goal) return;
    object["must"] = line.goal->must;
    object["aim"] = line.goal->aim;
    object["mark"] = line.verdict();
}

void progress(const std::string& text) { std::cerr << text << '\n'; }

}  // namespace peermq::bench
