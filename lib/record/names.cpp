#include "record/record.hpp"

namespace peermq::record {

std::string_view to_string(DecodeError error) noexcept {
    switch (error) {
        case DecodeError::none: return "none";
        case DecodeError::truncated: return "truncated";
        case DecodeError::bad_length: return "bad_length";
        case DecodeError::bad_checksum: return "bad_checksum";
        case DecodeError::unknown_type: return "unknown_type";
    }
    return "unknown";
}

}  // namespace peermq::record
