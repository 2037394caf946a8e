#include "text_table.hpp"

#include <algorithm>
#include <ostream>
#include <utility>

namespace peermq::tools {
namespace {

/// Characters, not bytes: names and paths may hold any UTF-8.
std::size_t width_of(const std::string& cell) {
    return static_cast<std::size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

}  // namespace

void TextTable::add(std::vector<std::string> cells) {
    cells.resize(columns_.size());
    rows_.push_back(std::move(cells));
}

void TextTable::print(std::ostream& out) const {
    std::vector<std::string> heads;
    std::vector<std::size_t> widths;
    for (const Column& column : columns_) {
        heads.push_back(column.head);
        widths.push_back(width_of(column.head));
    }
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width_of(row[i]));
    }
    print_line(out, heads, widths);
    for (const auto& row : rows_) print_line(out, row, widths);
}

void TextTable::print_line(std::ostream& out, const std::vector<std::string>& cells,
                           const std::vector<std::size_t>& widths) const {
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::string padding(widths[i] - width_of(cells[i]), ' ');
        const bool is_last = i + 1 == cells.size();
        if (i > 0) out << "  ";
        if (columns_[i].align == Align::right) {
            out << padding << cells[i];
        } else {
            out << cells[i] << (is_last ? std::string() : padding);
        }
    }
    out << '\n';
}

}  // namespace peermq::tools
