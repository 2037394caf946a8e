#include "template.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "message_json.hpp"
#include "text.hpp"

namespace peermq::tools {

Template::Template(std::string_view text) {
    const auto whole = unescaped(text);
    if (!whole) {
        throw std::runtime_error(
            "a backslash must be followed by n, t, r, 0, x and two digits, or "
            "another backslash");
    }
    std::string literal;
    for (std::size_t at = 0; at < whole->size(); ++at) {
        const char c = (*whole)[at];
        const bool doubled = at + 1 < whole->size() && (*whole)[at + 1] == c;
        if ((c == '{' || c == '}') && doubled) {
            literal += c;
            ++at;
        } else if (c == '{') {
            const std::size_t end = whole->find('}', at);
            if (end == std::string::npos) throw std::runtime_error("a { has no }; {{ prints one");
            if (!literal.empty()) pieces_.push_back({Piece::Kind::text, std::move(literal)});
            literal.clear();
            pieces_.push_back(piece_of(std::string_view(*whole).substr(at + 1, end - at - 1)));
            at = end;
        } else if (c == '}') {
            throw std::runtime_error("a } has no {; }} prints one");
        } else {
            literal += c;
        }
    }
    if (!literal.empty()) pieces_.push_back({Piece::Kind::text, std::move(literal)});
}

Template::Piece Template::piece_of(std::string_view field) {
    using Kind = Piece::Kind;
    static constexpr std::array<std::pair<std::string_view, Kind>, 15> kFields{{
        {"body", Kind::body},
        {"key", Kind::key},
        {"id", Kind::id},
        {"queue", Kind::queue},
        {"topic", Kind::topic},
        {"seq", Kind::seq},
        {"attempt", Kind::attempt},
        {"redelivered", Kind::redelivered},
        {"timestamp", Kind::timestamp},
        {"content_type", Kind::content_type},
        {"correlation_id", Kind::correlation_id},
        {"reply_to", Kind::reply_to},
        {"size", Kind::size},
        {"headers", Kind::headers},
        {"json", Kind::json},
    }};
    if (field.starts_with("header:")) return {Kind::header, std::string(field.substr(7))};
    const auto found = std::find_if(kFields.begin(), kFields.end(),
                                    [&](const auto& known) { return known.first == field; });
    if (found != kFields.end()) return {found->second};
    std::string known;
    for (const auto& [name, kind] : kFields) known += std::string(name) + ", ";
    throw std::runtime_error("{" + printable(field) + "} is no field; these are: " + known +
                             "header:NAME");
}

void Template::append(const Delivery& delivery, std::string& out) const {
    for (const Piece& piece : pieces_) append_piece(piece, delivery, out);
}

void Template::append_json(const Delivery& delivery, std::string& out) {
    out += to_json(delivery.take(), delivery.queue(), delivery.topic()).dump();
}

void Template::append_piece(const Piece& piece, const Delivery& delivery, std::string& out) {
    using Kind = Piece::Kind;
    switch (piece.kind) {
        case Kind::text: out += piece.text; break;
        case Kind::body: out += delivery.text(); break;
        case Kind::key: out += delivery.key(); break;
        case Kind::id: out += delivery.id(); break;
        case Kind::queue: out += delivery.queue(); break;
        case Kind::topic: out += delivery.topic(); break;
        case Kind::seq: out += std::to_string(delivery.sequence()); break;
        case Kind::attempt: out += std::to_string(delivery.attempt()); break;
        case Kind::redelivered: out += delivery.redelivered() ? "true" : "false"; break;
        case Kind::timestamp: out += iso_time(delivery.timestamp()); break;
        case Kind::content_type: out += delivery.content_type(); break;
        case Kind::correlation_id: out += delivery.correlation_id(); break;
        case Kind::reply_to: out += delivery.reply_to(); break;
        case Kind::size: out += std::to_string(delivery.body().size()); break;
        case Kind::header: out += delivery.header(piece.text).value_or(std::string_view{}); break;
        case Kind::json: append_json(delivery, out); break;
        case Kind::headers: {
            bool first = true;
            for (const auto& [name, value] : delivery.headers()) {
                if (!std::exchange(first, false)) out += ' ';
                out.append(name).append("=").append(value);
            }
            break;
        }
    }
}

}  // namespace peermq::tools
