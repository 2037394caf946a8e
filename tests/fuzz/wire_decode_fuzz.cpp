/// Frames of any bytes are refused or survive being encoded again.

#include <vector>

#include "fuzz/fuzz.hpp"
#include "support/random_frames.hpp"
#include "wire/frames.hpp"

namespace {

using namespace peermq;
using test::require;

std::vector<std::byte> encoded(const wire::Frame& frame) {
    std::vector<std::byte> bytes;
    wire::encode(frame.header.stream, frame.header.nonce, frame.body, bytes);
    return bytes;
}

bool same_frame(const wire::Frame& a, const wire::Frame& b) {
    return a.header.type == b.header.type && a.header.stream == b.header.stream &&
           a.header.nonce == b.header.nonce && test::same_body(a.body, b.body);
}

void check(base::ByteSpan bytes) {
    const wire::DecodedFrame decoded = wire::decode(bytes);
    if (!decoded.ok() || std::holds_alternative<wire::Skipped>(decoded.frame.body)) return;
    const std::vector<std::byte> again = encoded(decoded.frame);
    // Flags, reserved fields and what a later HELLO adds are all that may be lost.
    require(again.size() <= bytes.size(), "nothing is added");
    const wire::DecodedFrame second = wire::decode(again);
    require(second.ok(), "what was encoded can be decoded");
    require(same_frame(second.frame, decoded.frame), "all fields are kept");
    require(encoded(second.frame) == again, "one frame has one form");
}

/// In two parts, as a payload of its own arrives: the same as in one.
void check_parts(base::ByteSpan bytes) {
    if (bytes.size() < wire::kFrameHeaderBytes) return;
    const std::size_t told = wire::kFrameHeaderBytes + base::load<std::uint32_t>(bytes.data() + 16);
    if (told > bytes.size()) return;
    const wire::DecodedFrame whole = wire::decode(bytes);
    const wire::DecodedFrame parts = wire::decode_parts(bytes.first(told), bytes.subspan(told));
    require(whole.error == parts.error, "one part or two makes no difference");
    if (whole.ok()) require(same_frame(whole.frame, parts.frame), "two parts are read as one");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes = test::bytes_of(data, size);
    check(bytes);
    check_parts(bytes);
    if (size >= wire::kFrameHeaderBytes) {
        // The whole as fields: most types have no payload.
        base::store(bytes.data() + 16, static_cast<std::uint32_t>(size - wire::kFrameHeaderBytes));
        check(bytes);
    }
    return 0;
}
