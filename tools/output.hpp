#pragma once

/// Standard output for data that must not be lost: what write() has returned for is the reader's.
///
/// Reacts to a stop while the reader is slow. A reader who leaves (EPIPE) is an ordinary end: the
/// command settles what it holds, then ends as SIGPIPE would have ended it.
/// Threads: any; each write() is whole.

#include <mutex>
#include <stdexcept>
#include <string_view>

namespace peermq::tools {

/// Nobody reads standard output any more.
struct ReaderGone : std::runtime_error {
    ReaderGone() : std::runtime_error("the reader of standard output has left") {}
};

/// Standard output cannot be written: a full disk, for example.
struct OutputFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Output {
public:
    /// Ignores SIGPIPE from here on.
    Output();
    /// Writes all of it. False when the stop came first: then part of it may be out.
    /// Throws ReaderGone, OutputFailed.
    [[nodiscard]] bool write(std::string_view bytes);

private:
    std::mutex mutex_;
};

/// Ends the process as a writer into a closed pipe ends.
[[noreturn]] void end_by_sigpipe();

}  // namespace peermq::tools
