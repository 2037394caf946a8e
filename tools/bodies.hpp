#pragma once

/// Where the bodies of messages come from: arguments, files, standard input; whole, or cut at a
/// delimiter.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"

namespace peermq::tools {

struct BodyArguments {
    std::vector<std::string> bodies;
    std::vector<std::string> files;
    std::optional<std::string> delimiter;  ///< unescaped
    bool whole = false;
    bool json = false;
    std::uint64_t bytes_max = std::uint64_t{16} << 20;  ///< of one body
};

/// BODY..., --file, --delimiter, --whole, --json.
void add_body_options(CLI::App& app, BodyArguments& arguments);

/// One body, and where it stands ("line 3 of standard input") for what has to be said of it.
struct Body {
    std::string bytes;
    std::string where;
};

class Bodies {
public:
    explicit Bodies(const BodyArguments& arguments);
    ~Bodies();
    Bodies(const Bodies&) = delete;
    Bodies& operator=(const Bodies&) = delete;

    /// The next one, waiting for it; nothing at the end, or once Ctrl-C came. Throws
    /// std::runtime_error: a file cannot be read, a body is too long.
    [[nodiscard]] bool next(Body& body);
    /// Bytes read so far, and of all files together when that is known (else 0): for progress.
    [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
    [[nodiscard]] std::uint64_t bytes_total() const noexcept { return bytes_total_; }
    /// True when the next body would have to be waited for.
    [[nodiscard]] bool must_wait() const;

private:
    [[nodiscard]] bool open_next();
    void close_current();
    [[nodiscard]] bool fill();
    [[nodiscard]] bool next_piece(Body& body);
    [[nodiscard]] bool next_whole(Body& body);
    [[nodiscard]] std::string position() const;
    [[noreturn]] void refuse_long() const;

    const BodyArguments arguments_;
    const bool splits_;
    const std::string delimiter_;
    std::size_t argument_ = 0;
    std::size_t source_ = 0;
    std::vector<std::string> sources_;  ///< file names; "-" = standard input
    int descriptor_ = -1;
    bool at_end_ = false;
    std::string buffer_;
    std::size_t begin_ = 0;     ///< of what is unread in buffer_
    std::size_t searched_ = 0;  ///< no delimiter begins before it
    std::uint64_t piece_ = 0;
    std::uint64_t bytes_read_ = 0;
    std::uint64_t bytes_total_ = 0;
};

}  // namespace peermq::tools
