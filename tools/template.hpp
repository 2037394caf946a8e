#pragma once

/// `--format`: how a message is written out.

#include <string>
#include <string_view>
#include <vector>

#include "peermq/delivery.hpp"

namespace peermq::tools {

/// "{key}: {body}\n" and the like. Fields: body, key, id, queue, topic, seq, attempt, redelivered,
/// timestamp, content_type, correlation_id, reply_to, size, headers (all, as name=value),
/// header:NAME, json (all of it). "{{" is a brace; \n, \t, \r, \0, \\ and \xNN are what they are
/// elsewhere.
class Template {
public:
    /// Throws std::runtime_error that says what is wrong and what would be right.
    explicit Template(std::string_view text);

    void append(const Delivery& delivery, std::string& out) const;
    /// The line that `--json` prints.
    static void append_json(const Delivery& delivery, std::string& out);

private:
    struct Piece {
        enum class Kind {
            text,
            body,
            key,
            id,
            queue,
            topic,
            seq,
            attempt,
            redelivered,
            timestamp,
            content_type,
            correlation_id,
            reply_to,
            size,
            headers,
            header,
            json,
        };
        Kind kind = Kind::text;
        std::string text{};  ///< literal, or the header's name
    };
    [[nodiscard]] static Piece piece_of(std::string_view field);
    static void append_piece(const Piece& piece, const Delivery& delivery, std::string& out);

    std::vector<Piece> pieces_;
};

}  // namespace peermq::tools
