/// `peermq spool ls|stat|dump|verify`: looks, never changes anything.

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <string_view>

#include "base/file_system.hpp"
#include "exit_codes.hpp"
#include "quantities.hpp"
#include "record/headers.hpp"
#include "spool/inspect.hpp"
#include "spool/names.hpp"
#include "spool_arguments.hpp"
#include "spool_json.hpp"
#include "talk.hpp"
#include "text.hpp"
#include "text_table.hpp"

namespace peermq::tools {
namespace {

using Align = TextTable::Align;

std::string_view text_of(base::ByteSpan bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

// --- ls

void print_summary(const spool::Inspection& inspection, std::ostream& out) {
    out << "spool " << inspection.id.hex() << "  format " << inspection.format_version << "  epoch "
        << inspection.epoch << "  "
        << (inspection.owner.empty() ? "not open" : "open in " + inspection.owner) << "\n\n";

    TextTable segments{{"SEGMENT"},
                       {"STATE"},
                       {"FILE_BYTES", Align::right},
                       {"USED_BYTES", Align::right},
                       {"BATCHES", Align::right},
                       {"RECORDS", Align::right},
                       {"UNSETTLED", Align::right}};
    for (const spool::SegmentSummary& segment : inspection.segments) {
        segments.add({printable(file_name(segment.path)), segment.sealed ? "sealed" : "open",
                      std::to_string(segment.file_bytes), std::to_string(segment.used_bytes),
                      std::to_string(segment.batches), std::to_string(segment.records),
                      std::to_string(segment.unsettled)});
    }
    segments.print(out);
    out << '\n';

    TextTable streams{{"STREAM"},
                      {"KIND"},
                      {"FIRST_UNSETTLED", Align::right},
                      {"END", Align::right},
                      {"UNSETTLED", Align::right},
                      {"BYTES", Align::right},
                      {"RETRIES", Align::right}};
    for (const spool::StreamSummary& stream : inspection.streams) {
        streams.add({printable(stream.info.name), std::string(spool::to_string(stream.info.kind)),
                     stream.unsettled == 0 ? "-" : std::to_string(stream.first_unsettled),
                     std::to_string(stream.end), std::to_string(stream.unsettled),
                     std::to_string(stream.unsettled_bytes), std::to_string(stream.retries)});
    }
    streams.print(out);
}

// --- dump

void print_record(const spool::LogEntry& entry, bool with_bodies, std::ostream& out) {
    const record::Record& record = *entry.record;
    out << " seq " << record.seq << (entry.settled ? "  settled" : "  unsettled") << "  epoch "
        << record.epoch << "  enqueued " << iso_time(record.enqueued);
    if (record.due != base::WallTime{}) out << "  due " << iso_time(record.due);
    if (record.expiry != base::WallTime{}) out << "  expiry " << iso_time(record.expiry);
    if (!record.key.empty()) out << "  key " << printable(record.key);
    if (!record.topic.empty()) out << "  topic " << printable(record.topic);
    if (const auto headers = record::decode_headers(record.headers)) {
        for (const auto& [name, value] : *headers) {
            out << "  " << printable(name) << '=' << printable(value);
        }
    } else {
        out << "  headers undecodable (" << record.headers.size() << " bytes)";
    }
    out << "  body " << record.body.size() << " bytes";
    if (with_bodies) out << ": " << printable(text_of(record.body));
}

void print_entry(const spool::LogEntry& entry, bool with_bodies, std::ostream& out) {
    if (entry.kind == spool::LogEntry::Kind::segment) out << printable(entry.path) << '\n';
    out << std::setw(12) << entry.offset << std::setw(10) << entry.bytes << "  " << std::left
        << std::setw(7) << spool::to_string(entry.kind) << std::right;
    if (entry.stream != nullptr) out << ' ' << printable(entry.stream->name);
    if (entry.record != nullptr) print_record(entry, with_bodies, out);
    if (!entry.text.empty()) out << ' ' << printable(entry.text);
    out << '\n';
}

// --- verify

int exit_code_of(const spool::Damage& damage) {
    switch (damage.kind) {
        case spool::Damage::Kind::torn_tail:
        // Made again from the records when the spool is opened: nothing is lost.
        case spool::Damage::Kind::bad_footer: return kExitTornTail;
        case spool::Damage::Kind::io_error: return kExitFailed;
        default: return kExitDamaged;
    }
}

std::string_view verdict_of(int exit_code) {
    switch (exit_code) {
        case kExitOk: return "clean";
        case kExitTornTail: return "torn_tail";
        case kExitDamaged: return "damaged";
        default: return "unreadable";
    }
}

struct Totals {
    std::uint64_t records = 0;
    std::uint64_t unsettled = 0;
    std::uint64_t bytes = 0;
    std::uint64_t records_lost = 0;
};

Totals totals_of(const spool::Inspection& inspection) {
    Totals totals;
    for (const spool::SegmentSummary& segment : inspection.segments) {
        totals.records += segment.records;
        totals.bytes += segment.used_bytes;
    }
    for (const spool::StreamSummary& stream : inspection.streams)
        totals.unsettled += stream.unsettled;
    for (const spool::Damage& damage : inspection.damage) totals.records_lost += damage.records;
    return totals;
}

void print_damage(const spool::Inspection& inspection, std::ostream& out) {
    TextTable table{{"KIND"},
                    {"PATH"},
                    {"OFFSET", Align::right},
                    {"BYTES", Align::right},
                    {"RECORDS", Align::right},
                    {"TEXT"}};
    for (const spool::Damage& damage : inspection.damage) {
        table.add({std::string(spool::to_string(damage.kind)), printable(damage.path),
                   std::to_string(damage.offset), std::to_string(damage.bytes),
                   std::to_string(damage.records), printable(damage.text)});
    }
    if (!table.empty()) table.print(out);
}

void tell_verdict(const spool::Inspection& inspection, int exit_code) {
    const Totals totals = totals_of(inspection);
    note(std::string(verdict_of(exit_code)) + ": " + plural(inspection.segments.size(), "segment") +
         ", " + plural(totals.records, "record") + ", " + grouped(totals.unsettled) +
         " unsettled, " + short_bytes(totals.bytes) + " checked");
}

Json summary_json(const spool::Inspection& inspection, int exit_code) {
    const Totals totals = totals_of(inspection);
    return {{"type", "summary"},
            {"verdict", verdict_of(exit_code)},
            {"segments", inspection.segments.size()},
            {"records", totals.records},
            {"unsettled", totals.unsettled},
            {"bytes", totals.bytes},
            {"damage", inspection.damage.size()},
            {"records_lost", totals.records_lost}};
}

}  // namespace

spool::Inspection inspect(const SpoolArguments& arguments,
                          const std::function<void(const spool::LogEntry&)>& visit) {
    base::SystemFileSystem files;
    Progress progress("reading " + printable(arguments.directory), "record");
    std::uint64_t records = 0;
    return spool::inspect(files, arguments.directory, [&](const spool::LogEntry& entry) {
        if (entry.kind == spool::LogEntry::Kind::record) progress.update(++records);
        if (visit) visit(entry);
    });
}

void tell_owner(const spool::Inspection& inspection) {
    if (inspection.owner.empty()) return;
    note("the spool is open in " + inspection.owner +
         "; what is being written now may show as a torn tail");
}

void tell_damage(const spool::Inspection& inspection) {
    if (inspection.damage.empty()) return;
    warn(plural(inspection.damage.size(), "finding") +
         " of damage; `peermq spool verify` lists them");
}

const spool::StreamSummary* find_queue(const spool::Inspection& inspection,
                                       const std::string& name) {
    const auto found = std::find_if(inspection.streams.begin(), inspection.streams.end(),
                                    [&](const auto& stream) { return stream.info.name == name; });
    return found == inspection.streams.end() ? nullptr : &*found;
}

int no_such_queue(const SpoolArguments& arguments, const spool::Inspection& inspection) {
    std::string known;
    for (const spool::StreamSummary& stream : inspection.streams) {
        known += (known.empty() ? "" : ", ") + printable(stream.info.name);
        if (known.size() > 120) {
            known += ", ...";
            break;
        }
    }
    complain("no queue \"" + printable(arguments.queue) + "\" in " +
             printable(arguments.directory) +
             (known.empty() ? ", which holds none" : "; it holds " + known));
    return kExitNotFound;
}

int spool_ls(const SpoolArguments& arguments) {
    std::ostream& out = std::cout;
    const spool::Inspection inspection = inspect(arguments);
    if (arguments.json) {
        out << to_json(inspection) << '\n';
        for (const auto& segment : inspection.segments) out << to_json(segment) << '\n';
        for (const auto& stream : inspection.streams) out << to_json(stream) << '\n';
    } else {
        print_summary(inspection, out);
    }
    tell_damage(inspection);
    return kExitOk;
}

int spool_stat(const SpoolArguments& arguments) {
    base::WallTime oldest{};
    base::WallTime newest{};
    std::uint64_t largest = 0;
    const spool::Inspection inspection = inspect(arguments, [&](const spool::LogEntry& entry) {
        if (entry.record == nullptr || entry.settled) return;
        const base::WallTime at = entry.record->enqueued;
        if (oldest == base::WallTime{} || at < oldest) oldest = at;
        newest = std::max(newest, at);
        largest = std::max<std::uint64_t>(largest, entry.record->body.size());
    });
    const Totals totals = totals_of(inspection);
    std::uint64_t file_bytes = 0;
    std::uint64_t unsettled_bytes = 0;
    std::uint64_t dead = 0;
    for (const auto& segment : inspection.segments) file_bytes += segment.file_bytes;
    for (const auto& stream : inspection.streams) {
        unsettled_bytes += stream.unsettled_bytes;
        if (stream.info.kind == spool::StreamKind::dead) dead += stream.unsettled;
    }
    if (arguments.json) {
        std::cout << Json{{"type", "stat"},
                          {"id", inspection.id.hex()},
                          {"owner", inspection.owner},
                          {"segments", inspection.segments.size()},
                          {"streams", inspection.streams.size()},
                          {"file_bytes", file_bytes},
                          {"unsettled", totals.unsettled},
                          {"unsettled_bytes", unsettled_bytes},
                          {"dead_letters", dead},
                          {"largest_body_bytes", largest},
                          {"oldest", iso_time(oldest)},
                          {"newest", iso_time(newest)},
                          {"damage", inspection.damage.size()}}
                  << '\n';
    } else {
        const auto line = [](const char* name, const std::string& value) {
            std::cout << std::left << std::setw(14) << name << std::right << value << '\n';
        };
        line("spool", inspection.id.hex());
        line("open in", inspection.owner.empty() ? "-" : inspection.owner);
        line("files",
             plural(inspection.segments.size(), "segment") + ", " + short_bytes(file_bytes));
        line("streams", grouped(inspection.streams.size()));
        line("unsettled",
             plural(totals.unsettled, "message") + ", " + short_bytes(unsettled_bytes));
        line("dead letters", grouped(dead) + " of them");
        line("largest body", short_bytes(largest));
        line("oldest", iso_time(oldest));
        line("newest", iso_time(newest));
        line("damage",
             inspection.damage.empty() ? "none" : plural(inspection.damage.size(), "finding"));
    }
    tell_damage(inspection);
    return kExitOk;
}

int spool_dump(const SpoolArguments& arguments) {
    std::ostream& out = std::cout;
    const auto visit = [&](const spool::LogEntry& entry) {
        const bool is_wanted = arguments.queue.empty() ||
                               (entry.stream != nullptr && entry.stream->name == arguments.queue);
        if (!is_wanted) return;
        if (arguments.json) {
            out << to_json(entry, arguments.bodies) << '\n';
        } else {
            print_entry(entry, arguments.bodies, out);
        }
    };
    const spool::Inspection inspection = inspect(arguments, visit);
    tell_owner(inspection);
    tell_damage(inspection);

    if (arguments.queue.empty() || find_queue(inspection, arguments.queue) != nullptr) {
        return kExitOk;
    }
    return no_such_queue(arguments, inspection);
}

int spool_verify(const SpoolArguments& arguments) {
    std::ostream& out = std::cout;
    const spool::Inspection inspection = inspect(arguments);
    int exit_code = kExitOk;
    for (const spool::Damage& damage : inspection.damage) {
        exit_code = std::max(exit_code, exit_code_of(damage));
    }
    if (arguments.json) {
        for (const spool::Damage& damage : inspection.damage) out << to_json(damage) << '\n';
        out << summary_json(inspection, exit_code) << '\n';
    } else {
        print_damage(inspection, out);
    }
    tell_owner(inspection);
    tell_verdict(inspection, exit_code);
    return exit_code;
}

}  // namespace peermq::tools
