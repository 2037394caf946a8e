#include "spool/names.hpp"

namespace peermq::spool {

std::string_view to_string(Damage::Kind kind) noexcept {
    switch (kind) {
        case Damage::Kind::torn_tail: return "torn_tail";
        case Damage::Kind::corrupt_records: return "corrupt_records";
        case Damage::Kind::missing_segment: return "missing_segment";
        case Damage::Kind::foreign_segment: return "foreign_segment";
        case Damage::Kind::duplicate_segment: return "duplicate_segment";
        case Damage::Kind::bad_footer: return "bad_footer";
        case Damage::Kind::rolled_back: return "rolled_back";
        case Damage::Kind::io_error: return "io_error";
    }
    return "unknown";
}

std::string_view to_string(StreamKind kind) noexcept {
    switch (kind) {
        case StreamKind::queue: return "queue";
        case StreamKind::topic: return "topic";
        case StreamKind::service: return "service";
        case StreamKind::dead: return "dead";
        case StreamKind::reply: return "reply";
    }
    return "unknown";
}

std::string_view to_string(LogEntry::Kind kind) noexcept {
    switch (kind) {
        case LogEntry::Kind::segment: return "segment";
        case LogEntry::Kind::batch: return "batch";
        case LogEntry::Kind::record: return "record";
        case LogEntry::Kind::state: return "state";
        case LogEntry::Kind::footer: return "footer";
        case LogEntry::Kind::damage: return "damage";
    }
    return "unknown";
}

}  // namespace peermq::spool
