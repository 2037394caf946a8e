/// `peermq spool peek|grep|export`: the messages themselves, without taking them.

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <regex>
#include <set>
#include <tuple>

#include "arguments.hpp"
#include "exit_codes.hpp"
#include "output.hpp"
#include "quantities.hpp"
#include "record/headers.hpp"
#include "record/record.hpp"
#include "spool_arguments.hpp"
#include "spool_json.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

constexpr std::string_view kReservedPrefix = "peermq-";
constexpr std::string_view kDeadPrefix = "peermq-dead-";

std::string_view text_of(base::ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The record as the message that its receiver would see.
OwnedMessage message_of(const spool::LogEntry& entry) {
    const record::Record& record = *entry.record;
    OwnedMessage message;
    message.body = text_of(record.body);
    message.key = record.key;
    message.id = entry.stream->id.hex() + "-" + std::to_string(record.epoch) + "-" +
                 std::to_string(record.seq);
    message.timestamp = Timestamp(record.enqueued.time_since_epoch());
    const auto headers = record::decode_headers(record.headers);
    for (const auto& [name, value] : headers.value_or(std::vector<record::HeaderView>{})) {
        const std::string text(value);
        if (name == "peermq-id") message.id = text;
        if (name == "peermq-correlation-id") message.correlation_id = text;
        if (name == "peermq-reply-to") message.reply_to = text;
        if (name == "peermq-content-type") message.content_type = text;
        if (name.starts_with(kReservedPrefix) && !name.starts_with(kDeadPrefix)) continue;
        message.headers.emplace_back(name, text);
    }
    return message;
}

/// Where a record lies.
struct Place {
    const spool::StreamInfo* stream;
    base::Seq seq;
    const std::string* path;
    std::uint64_t offset;
    std::uint64_t bytes;
    base::Epoch epoch;
    bool settled;
};

/// The log has them as they were written, or moved: the messages of a queue come by number.
class Messages {
public:
    explicit Messages(const SpoolArguments& arguments) : inspection_(find(arguments)) {
        std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
            return std::tie(a.stream->index, a.seq) < std::tie(b.stream->index, b.seq);
        });
    }

    [[nodiscard]] const spool::Inspection& inspection() const noexcept { return inspection_; }

    /// Calls `use` for each until it says false. One that vanished since it was found, beside a
    /// running owner, was settled meanwhile.
    template <typename Use>
    void each(Use&& use) const {
        std::ifstream file;
        const std::string* open = nullptr;
        std::string bytes;
        for (const Place& place : places_) {
            if (open != place.path) {
                file.close();
                file.clear();
                file.open(*place.path, std::ios::binary);
                open = place.path;
            }
            bytes.resize(place.bytes);
            file.clear();
            file.seekg(static_cast<std::streamoff>(place.offset));
            file.read(bytes.data(), static_cast<std::streamsize>(place.bytes));
            if (!file) continue;
            const auto decoded = record::decode(base::as_bytes(bytes),
                                                record::Seed::of(place.stream->id, place.epoch),
                                                bytes.size());
            if (!decoded.ok() || decoded.record.seq != place.seq) continue;
            spool::LogEntry entry;
            entry.stream = place.stream;
            entry.record = &decoded.record;
            entry.settled = place.settled;
            if (!use(entry)) return;
        }
    }

private:
    spool::Inspection find(const SpoolArguments& arguments) {
        return inspect(arguments, [&](const spool::LogEntry& entry) {
            if (entry.record == nullptr || entry.stream == nullptr || entry.superseded) return;
            if (!arguments.queue.empty() && entry.stream->name != arguments.queue) return;
            if (entry.settled && !arguments.all) return;
            const auto stream = streams_.try_emplace(entry.stream->index, *entry.stream).first;
            places_.push_back({&stream->second, entry.record->seq,
                               &*paths_.insert(entry.path).first, entry.offset, entry.bytes,
                               entry.epoch, entry.settled});
        });
    }

    std::vector<Place> places_;
    std::map<spool::StreamIndex, spool::StreamInfo> streams_;
    std::set<std::string> paths_;
    const spool::Inspection inspection_;  // last: made from what stands above
};

int end_of(const SpoolArguments& arguments, const spool::Inspection& inspection) {
    tell_owner(inspection);
    tell_damage(inspection);
    if (arguments.queue.empty() || find_queue(inspection, arguments.queue) != nullptr) {
        return kExitOk;
    }
    return no_such_queue(arguments, inspection);
}

void print_message(const spool::LogEntry& entry, std::size_t body_shown) {
    const OwnedMessage message = message_of(entry);
    std::cout << printable(entry.stream->name) << ' ' << entry.record->seq << "  "
              << iso_time(message.timestamp).substr(0, 19) << "Z";
    if (entry.settled) std::cout << "  settled";
    if (!message.key.empty()) std::cout << "  key=" << printable(message.key);
    for (const auto& [name, value] : message.headers) {
        std::cout << "  " << printable(name) << '=' << printable(value);
    }
    const std::string body = printable(std::string_view(message.body).substr(0, body_shown));
    std::cout << "\n    " << body;
    if (message.body.size() > body_shown) {
        std::cout << "... (" << short_bytes(message.body.size()) << ")";
    }
    std::cout << '\n';
}

void print(const SpoolArguments& arguments, const spool::LogEntry& entry) {
    constexpr std::size_t shown = 200;
    if (arguments.json) {
        std::cout << to_json(message_of(entry), entry.stream->name).dump() << '\n';
    } else {
        print_message(entry, arguments.bodies ? entry.record->body.size() : shown);
    }
}

/// Whether some text matches: a regular expression, or plain text.
class Matcher {
public:
    explicit Matcher(const SpoolArguments& arguments)
        : pattern_(arguments.pattern),
          fixed_(arguments.fixed),
          ignore_case_(arguments.ignore_case) {
        if (fixed_ && !ignore_case_) return;
        auto flags = std::regex::ECMAScript | std::regex::optimize;
        if (ignore_case_) flags |= std::regex::icase;
        try {
            regex_.assign(fixed_ ? escaped(pattern_) : pattern_, flags);
        } catch (const std::regex_error&) {
            throw UsageError("PATTERN: \"" + printable(pattern_) +
                             "\" is no regular expression; --fixed-strings takes it as it is");
        }
    }

    [[nodiscard]] bool operator()(std::string_view text) const {
        if (fixed_ && !ignore_case_) return text.find(pattern_) != std::string_view::npos;
        // The library's matcher recurses: what is very long is looked at in overlapping pieces.
        constexpr std::size_t piece = 8192;
        constexpr std::size_t overlap = 1024;
        for (std::size_t at = 0;; at += piece - overlap) {
            const std::string_view part = text.substr(at, piece);
            if (std::regex_search(part.begin(), part.end(), regex_)) return true;
            if (at + piece >= text.size()) return false;
        }
    }

private:
    static std::string escaped(const std::string& text) {
        std::string out;
        for (const char c : text) {
            if (std::string_view(R"(\^$.|?*+()[]{})").find(c) != std::string_view::npos)
                out += '\\';
            out += c;
        }
        return out;
    }

    const std::string pattern_;
    const bool fixed_;
    const bool ignore_case_;
    std::regex regex_;
};

bool matches(const Matcher& matcher, const OwnedMessage& message) {
    if (matcher(message.body) || matcher(message.key) || matcher(message.id)) return true;
    for (const auto& [name, value] : message.headers) {
        if (matcher(name + "=" + value)) return true;
    }
    return false;
}

}  // namespace

int spool_peek(const SpoolArguments& arguments) {
    const Messages messages(arguments);
    std::uint64_t left = arguments.count == 0 ? 10 : arguments.count;
    messages.each([&](const spool::LogEntry& entry) {
        print(arguments, entry);
        return --left > 0;
    });
    return end_of(arguments, messages.inspection());
}

int spool_grep(const SpoolArguments& arguments) {
    const Matcher matcher(arguments);
    const Messages messages(arguments);
    std::uint64_t found = 0;
    messages.each([&](const spool::LogEntry& entry) {
        if (!matches(matcher, message_of(entry))) return true;
        print(arguments, entry);
        return ++found != arguments.count;
    });
    const int code = end_of(arguments, messages.inspection());
    return code == kExitOk && found == 0 ? kExitNotFound : code;
}

int spool_export(const SpoolArguments& arguments) {
    const Messages messages(arguments);
    std::uint64_t count = 0;
    messages.each([&](const spool::LogEntry& entry) {
        std::cout << to_json(message_of(entry), entry.stream->name).dump() << '\n';
        ++count;
        return true;
    });
    const int code = end_of(arguments, messages.inspection());
    if (code == kExitOk) note(plural(count, "message") + " exported");
    return code;
}

}  // namespace peermq::tools
