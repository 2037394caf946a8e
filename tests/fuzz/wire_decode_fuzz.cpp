// libFuzzer target: frames of any bytes are refused or survive being encoded again.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Ilib -Iinclude -Itests \
//       tests/fuzz/wire_decode_fuzz.cpp lib/wire/*.cpp lib/base/assert.cpp -o wire_decode_fuzz

#include <cstdlib>
#include <vector>

#include "support/random_frames.hpp"
#include "wire/frames.hpp"

namespace {

using namespace peermq;

void require(bool holds) {
    if (!holds) std::abort();
}

void check(base::ByteSpan bytes) {
    const wire::DecodedFrame decoded = wire::decode(bytes);
    if (!decoded.ok() || std::holds_alternative<wire::Skipped>(decoded.frame.body)) return;
    const wire::Frame& frame = decoded.frame;
    std::vector<std::byte> again;
    wire::encode(frame.header.stream, frame.header.nonce, frame.body, again);
    // Not longer: flags, reserved fields and what a later HELLO adds are all that may be lost.
    require(again.size() <= bytes.size());
    const wire::DecodedFrame second = wire::decode(again);
    require(second.ok());
    require(second.frame.header.type == frame.header.type);
    require(second.frame.header.stream == frame.header.stream);
    require(second.frame.header.nonce == frame.header.nonce);
    require(test::same_body(second.frame.body, frame.body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    check(bytes);
    if (size >= wire::kFrameHeaderBytes) {
        // The whole as fields: most types have no payload.
        base::store(bytes.data() + 16, static_cast<std::uint32_t>(size - wire::kFrameHeaderBytes));
        check(bytes);
    }
    return 0;
}
