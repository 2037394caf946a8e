#include "peermq/error.hpp"

#include <array>

namespace peermq {
namespace {

struct CodeRow {
    ErrorCode code;
    std::string_view name;
    ErrorClass error_class;
};

constexpr std::array kCodes{
    CodeRow{ErrorCode::not_connected, "not_connected", ErrorClass::retry},
    CodeRow{ErrorCode::quota, "quota", ErrorClass::retry},
    CodeRow{ErrorCode::circuit_open, "circuit_open", ErrorClass::retry},
    CodeRow{ErrorCode::invalid_argument, "invalid_argument", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::invalid_state, "invalid_state", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::too_large, "too_large", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::not_found, "not_found", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::unsupported, "unsupported", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::denied, "denied", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::address_in_use, "address_in_use", ErrorClass::fix_the_call},
    CodeRow{ErrorCode::closed, "closed", ErrorClass::final},
    CodeRow{ErrorCode::locked, "locked", ErrorClass::final},
    CodeRow{ErrorCode::no_space, "no_space", ErrorClass::final},
    CodeRow{ErrorCode::io_error, "io_error", ErrorClass::final},
    CodeRow{ErrorCode::corrupt, "corrupt", ErrorClass::final},
    CodeRow{ErrorCode::version_mismatch, "version_mismatch", ErrorClass::final},
    CodeRow{ErrorCode::timeout, "timeout", ErrorClass::request},
    CodeRow{ErrorCode::remote_error, "remote_error", ErrorClass::request},
    CodeRow{ErrorCode::outcome_unknown, "outcome_unknown", ErrorClass::request},
    CodeRow{ErrorCode::cancelled, "cancelled", ErrorClass::request},
};

const CodeRow* find(ErrorCode code) noexcept {
    for (const CodeRow& row : kCodes) {
        if (row.code == code) return &row;
    }
    return nullptr;
}

}  // namespace

std::string_view to_string(ErrorCode code) noexcept {
    const CodeRow* row = find(code);
    return row ? row->name : "unknown";
}

ErrorClass error_class(ErrorCode code) noexcept {
    const CodeRow* row = find(code);
    return row ? row->error_class : ErrorClass::final;
}

Error::Error(ErrorCode code, const std::string& text)
    : std::runtime_error(std::string(to_string(code)) + ": " + text), code_(code) {}

}  // namespace peermq
