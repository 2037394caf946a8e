#pragma once

/// Aligned columns for people and for `awk`: one line per row, two spaces between columns.

#include <cstddef>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

namespace peermq::tools {

class TextTable {
public:
    enum class Align { left, right };
    struct Column {
        std::string head;
        Align align = Align::left;
    };

    explicit TextTable(std::initializer_list<Column> columns) : columns_(columns) {}

    /// One cell per column; cells are printable already.
    void add(std::vector<std::string> cells);
    /// The head line, then the rows; nothing after the last cell of a line.
    void print(std::ostream& out) const;
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

private:
    void print_line(std::ostream& out, const std::vector<std::string>& cells,
                    const std::vector<std::size_t>& widths) const;

    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace peermq::tools
