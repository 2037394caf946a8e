#include "watch.hpp"

#include <algorithm>
#include <sstream>

#include "peermq/error.hpp"
#include "quantities.hpp"
#include "text.hpp"
#include "text_table.hpp"

namespace peermq::tools {
namespace {

using Align = TextTable::Align;
using Column = TextTable::Column;

/// "-" for nothing, so that what is there stands out.
std::string count_of(std::uint64_t count) { return count == 0 ? "-" : grouped(count); }

class Rates {
public:
    explicit Rates(const Watched& watched) {
        if (!watched.before() || watched.before()->info.pid != watched.now()->info.pid) return;
        seconds_ = std::chrono::duration<double>(watched.now()->at - watched.before()->at).count();
        before_ = &watched.before()->stats;
    }

    /// Of a counter, per second since the look before.
    template <typename Stats>
    [[nodiscard]] std::string of(const std::vector<Stats> PeerStats::*list, const Stats& now,
                                 std::string Stats::*name, std::uint64_t Stats::*counter) const {
        if (before_ == nullptr || seconds_ <= 0) return "";
        const auto& all = before_->*list;
        const auto found = std::find_if(all.begin(), all.end(),
                                        [&](const Stats& each) { return each.*name == now.*name; });
        const std::uint64_t start = found == all.end() ? 0 : (*found).*counter;
        const std::uint64_t grown = now.*counter - std::min(start, now.*counter);
        return grown == 0 ? "-" : short_count(static_cast<double>(grown) / seconds_);
    }

private:
    const PeerStats* before_ = nullptr;
    double seconds_ = 0;
};

void add_table(std::vector<std::string>& lines, const TextTable& table, bool colour) {
    if (table.empty()) return;
    std::ostringstream text;
    table.print(text);
    std::istringstream rows(text.str());
    bool head = true;
    for (std::string row; std::getline(rows, row); head = false) {
        lines.push_back("  " + (head && colour ? "\x1b[1m" + row + "\x1b[0m" : row));
    }
    lines.emplace_back();
}

std::string head_of(const Look& look, const std::string& where, bool colour) {
    const SpoolStats& spool = look.stats.spool;
    std::string head = (colour ? "\x1b[1;36m" : "") + printable(where) + (colour ? "\x1b[0m" : "");
    head += "  pid " + std::to_string(look.info.pid) + "  up " + short_duration(look.info.uptime);
    for (const std::string& endpoint : look.info.endpoints) head += "  " + printable(endpoint);
    head += "  spool " + short_bytes(spool.live_bytes) + " live, " + short_bytes(spool.disk_bytes) +
            " on disk";
    if (spool.syncs > 0) head += ", sync " + short_duration(spool.sync_mean);
    return head;
}

std::string warnings_of(const PeerStats& stats) {
    std::string text;
    const auto add = [&](std::uint64_t count, const std::string& what) {
        if (count > 0) text += (text.empty() ? "" : ", ") + plural(count, what);
    };
    if (stats.spool.space_low) text = "the disk is nearly full";
    add(stats.damage, "damaged place");
    add(stats.rejected_links, "rejected link");
    add(stats.protocol_errors, "protocol error");
    return text;
}

}  // namespace

bool Watched::look() {
    try {
        if (!control_) control_ = std::make_unique<Control>(where_, std::chrono::seconds(2));
        Look look{control_->info(), control_->stats(), std::chrono::steady_clock::now()};
        before_ = std::move(now_);
        now_ = std::move(look);
        problem_.clear();
        return true;
    } catch (const Error& error) {
        control_.reset();
        now_.reset();
        before_.reset();
        problem_ = error.what();
        return false;
    }
}

std::vector<std::string> lines_of(const Watched& watched, bool colour) {
    if (!watched.now()) return {printable(watched.problem()), ""};
    const Look& look = *watched.now();
    const PeerStats& stats = look.stats;
    const Rates rates(watched);
    std::vector<std::string> lines{head_of(look, watched.where(), colour)};
    if (const std::string warnings = warnings_of(stats); !warnings.empty()) {
        lines.push_back((colour ? "\x1b[33m" : "") + ("  ! " + warnings) +
                        (colour ? "\x1b[0m" : ""));
    }
    lines.emplace_back();

    TextTable queues{{"QUEUE"},
                     {"DEPTH", Align::right},
                     {"IN FLIGHT", Align::right},
                     {"WAITING", Align::right},
                     {"IN/s", Align::right},
                     {"OUT/s", Align::right},
                     {"ACKED", Align::right},
                     {"FAILED", Align::right},
                     {"DEAD", Align::right},
                     {"WORKERS", Align::right},
                     {"OLDEST", Align::right}};
    for (const PushStats& push : stats.pushes) {
        // Each queue has a grave; an empty one is no news.
        if (push.queue.ends_with(".dead") && push.depth == 0) continue;
        queues.add({printable(push.queue) + (push.paused ? " (paused)" : ""), count_of(push.depth),
                    count_of(push.in_flight), count_of(push.waiting),
                    rates.of(&PeerStats::pushes, push, &PushStats::queue, &PushStats::posted),
                    rates.of(&PeerStats::pushes, push, &PushStats::queue, &PushStats::acked),
                    count_of(push.acked), count_of(push.nacked + push.crashes), count_of(push.dead),
                    count_of(push.consumers),
                    push.depth == 0 ? "-" : short_duration(push.oldest_age)});
    }
    add_table(lines, queues, colour);

    TextTable pulls{{"PULLS"},
                    {"READY", Align::right},
                    {"STARTED", Align::right},
                    {"IN/s", Align::right},
                    {"RECEIVED", Align::right},
                    {"ACKED", Align::right},
                    {"PRODUCERS", Align::right}};
    for (const PullStats& pull : stats.pulls) {
        pulls.add({printable(pull.queue), count_of(pull.ready), count_of(pull.started),
                   rates.of(&PeerStats::pulls, pull, &PullStats::queue, &PullStats::received),
                   count_of(pull.received), count_of(pull.acked), count_of(pull.producers)});
    }
    add_table(lines, pulls, colour);

    TextTable topics{{"TOPICS"},
                     {"PUBLISHED", Align::right},
                     {"IN/s", Align::right},
                     {"KEPT", Align::right},
                     {"SUBSCRIBERS", Align::right}};
    for (const PublisherStats& publisher : stats.publishers) {
        topics.add({printable(publisher.name), count_of(publisher.published),
                    rates.of(&PeerStats::publishers, publisher, &PublisherStats::name,
                             &PublisherStats::published),
                    short_bytes(publisher.bytes), count_of(publisher.subscribers)});
    }
    add_table(lines, topics, colour);

    TextTable links{{"LINK"},
                    {"PEER"},
                    {"STATE"},
                    {"ROUND TRIP", Align::right},
                    {"SENT", Align::right},
                    {"RECEIVED", Align::right},
                    {"HEARD", Align::right}};
    for (const LinkStats& link : stats.links) {
        links.add({printable(link.remote), link.peer.substr(0, 8), link.state,
                   short_duration(link.round_trip), short_bytes(link.sent_bytes),
                   short_bytes(link.received_bytes), short_duration(link.last_heard) + " ago"});
    }
    add_table(lines, links, colour);
    return lines;
}

}  // namespace peermq::tools
