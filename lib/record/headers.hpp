#pragma once

/// Message headers as they lie in a record: one msgpack map of str to str. Pure; any thread.
///
/// Written and read by hand rather than through a msgpack library, because this small part of the
/// format then needs no allocation to look one header up, and refuses everything else by its shape.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace peermq::record {

using HeaderView = std::pair<std::string_view, std::string_view>;

/// Appends the msgpack map of `headers` to `out`; nothing for an empty list. Repeated names are
/// kept in order. The caller bounds the result by limits::kHeadersBytesMax.
void encode_headers(std::span<const HeaderView> headers, std::string& out);

/// The headers in `bytes` as views into them; nullopt when they are not a flat msgpack map of str
/// to str, are longer than limits::kHeadersBytesMax, or have bytes left over. Empty bytes: no
/// headers.
[[nodiscard]] std::optional<std::vector<HeaderView>> decode_headers(base::ByteSpan bytes);

/// The value of the first header called `name`, without building the list; bytes after it are not
/// looked at.
[[nodiscard]] std::optional<std::string_view> find_header(base::ByteSpan bytes,
                                                          std::string_view name);

}  // namespace peermq::record
