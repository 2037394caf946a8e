/// The blocks of a spool's files, each with its right checksum: refused, or the same after being
/// encoded again. The first byte of the input chooses the block.

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "fuzz/repair.hpp"
#include "spool/format.hpp"
#include "spool/state.hpp"

namespace {

using namespace peermq;
using namespace peermq::spool;
using test::require;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kSeed = 7;

bool same_but(base::ByteSpan a, base::ByteSpan b, std::size_t from, std::size_t to) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const bool reserved = i >= from && i < to;
        if (!reserved && a[i] != b[i]) return false;
    }
    return true;
}

void check_manifest(Bytes bytes) {
    test::repair_block(bytes, 0);
    Manifest manifest;
    if (decode_manifest(bytes, manifest) != BlockState::ok) return;
    // Apart from the reserved fields, and so from the checksum.
    Bytes again = encode_manifest(manifest);
    require(again.size() == bytes.size(), "nothing is added or lost");
    std::fill(bytes.begin() + 80, bytes.begin() + 96, std::byte{0});
    test::repair_block(bytes, 0);
    require(again == bytes, "one manifest has one form");
}

void check_header(Bytes bytes) {
    if (bytes.size() < kSegmentHeaderBytes) return;
    bytes.resize(kSegmentHeaderBytes);
    test::repair_block(bytes, 0);
    SegmentHeader header;
    if (decode_segment_header(bytes, header) != BlockState::ok) return;
    require(same_but(encode_segment_header(header), bytes, 76, kSegmentHeaderBytes),
            "one header has one form");
}

void check_footer(Bytes bytes) {
    if (bytes.size() < 96) return;
    base::store(bytes.data() + bytes.size() - 16, std::uint64_t{bytes.size()});
    test::repair_block(std::span(bytes).last(kFooterTailBytes), kSeed);
    base::store(bytes.data(),
                checksum(base::ByteSpan(bytes).first(bytes.size() - 32).subspan(8), kSeed));
    const auto footer = decode_footer(bytes, kSeed);
    if (!footer) return;
    const Bytes again = encode_footer(*footer, kSeed);
    require(again.size() == bytes.size(), "nothing is added or lost");
    const auto second = decode_footer(again, kSeed);
    require(second.has_value(), "what was encoded can be decoded");
    require(encode_footer(*second, kSeed) == again, "one footer has one form");
}

/// One state entry, written again by the function of its kind; empty for those without one.
Bytes encoded(const StateEntry& entry) {
    Bytes out;
    switch (entry.kind) {
        case StateKind::stream: append_stream(out, entry.info, entry.end); break;
        case StateKind::settled:
            append_change(
                out,
                {StateChange::Kind::settled, entry.stream, entry.group, entry.runs.front(), 0, {}});
            break;
        case StateKind::mark:
            append_change(out,
                          {StateChange::Kind::mark, entry.stream, entry.group, {}, entry.mark, {}});
            break;
        case StateKind::retry:
            append_change(
                out, {StateChange::Kind::retry, entry.stream, entry.group, {}, 0, entry.retry});
            break;
        case StateKind::group:
            append_change(
                out,
                {StateChange::Kind::group, entry.stream, entry.group, {}, 0, {}, entry.group_info});
            break;
        case StateKind::chain: append_chain(out, entry.chain); break;
        case StateKind::runs: break;
    }
    return out;
}

void check_state(base::ByteSpan bytes) {
    DeliveryState state;
    std::size_t entries = 0;
    static_cast<void>(visit_state(bytes, [&](const StateEntry& entry) {
        ++entries;
        const Bytes again = encoded(entry);
        if (!again.empty()) {
            base::ByteSpan rest = again;
            const auto second = next_state_entry(rest);
            require(second.has_value() && rest.empty(), "what was encoded can be decoded");
            require(encoded(*second) == again, "one entry has one form");
        }
        static_cast<void>(state.apply(entry));
    }));
    require(entries <= bytes.size() / 16, "entries take their bytes");

    // What was taken up survives a checkpoint.
    DeliveryState second;
    for (const Bytes& block : state.checkpoint({})) {
        const bool good = visit_state(block, [&](const StateEntry& entry) {
            require(second.apply(entry), "a checkpoint names each stream before its state");
        });
        require(good, "a checkpoint can be read");
    }
    require(second.checkpoint({}) == state.checkpoint({}), "a checkpoint keeps all of the state");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const Bytes bytes = test::bytes_of(data + 1, size - 1);
    switch (data[0] % 4) {
        case 0: check_manifest(bytes); break;
        case 1: check_header(bytes); break;
        case 2: check_footer(bytes); break;
        default: check_state(bytes); break;
    }
    return 0;
}
