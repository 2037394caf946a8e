#include "bodies.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "quantities.hpp"
#include "signals.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

std::string shown(const std::string& source) {
    return source == "-" ? "standard input" : printable(source);
}

/// Size of a regular file from where it is read on; nothing for pipes and terminals.
std::optional<std::uint64_t> size_left(int descriptor) {
    struct stat status {};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    const off_t at = ::lseek(descriptor, 0, SEEK_CUR);
    return at < 0 || at > status.st_size
               ? std::nullopt
               : std::optional(static_cast<std::uint64_t>(status.st_size - at));
}

std::uint64_t total_of(const std::vector<std::string>& sources) {
    std::uint64_t total = 0;
    for (const std::string& source : sources) {
        struct stat status {};
        std::optional<std::uint64_t> size;
        if (source == "-") {
            size = size_left(STDIN_FILENO);
        } else if (::stat(source.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
            size = static_cast<std::uint64_t>(status.st_size);
        }
        if (!size) return 0;
        total += *size;
    }
    return total;
}

}  // namespace

void add_body_options(CLI::App& app, BodyArguments& arguments) {
    app.add_option("BODY", arguments.bodies,
                   "Bodies, one message each; without any, and without --file, standard input is "
                   "read, one message a line");
    app.add_option("-f,--file", arguments.files,
                   "Send FILE as one message (with --delimiter or --json: cut up); may be repeated")
        ->type_name("FILE")
        ->allow_extra_args(false);
    CLI::Option* delimiter = app.add_option_function<std::string>(
        "--delimiter",
        [&arguments](const std::string& text) {
            arguments.delimiter = unescaped(text);
            if (!arguments.delimiter || arguments.delimiter->empty()) {
                throw CLI::ValidationError(
                    "--delimiter", R"(")" + printable(text) +
                                       R"(" is no delimiter: ',' or '\n' or '\0' would be)");
            }
        },
        R"(What ends a message, such as '\0' or '\n\n'; default for standard input: '\n')");
    delimiter->type_name("TEXT");
    CLI::Option* whole = app.add_flag("--whole", arguments.whole, "Standard input as one message");
    whole->excludes(delimiter);
    app.add_flag("--json", arguments.json,
                 "Each line is a message in JSON, as `peermq pull --json` prints it")
        ->excludes(delimiter)
        ->excludes(whole);
}

Bodies::Bodies(const BodyArguments& arguments)
    : arguments_(arguments),
      splits_(!arguments.whole &&
              (arguments.files.empty() || arguments.delimiter || arguments.json)),
      delimiter_(arguments.delimiter.value_or("\n")),
      sources_(arguments.files) {
    if (arguments.whole && !arguments.files.empty()) {
        throw UsageError("--whole is for standard input; a file is sent as one message anyway");
    }
    if (!arguments.bodies.empty() && (arguments.delimiter || arguments.whole)) {
        throw UsageError("a BODY on the command line is one message: leave out " +
                         std::string(arguments.whole ? "--whole" : "--delimiter"));
    }
    if (arguments.bodies.empty() && sources_.empty()) sources_.emplace_back("-");
    for (const std::string& source : sources_) {
        if (source != "-" && ::access(source.c_str(), R_OK) != 0) {
            throw std::runtime_error("cannot read " + shown(source) + ": " + std::strerror(errno));
        }
    }
    bytes_total_ = total_of(sources_);
}

Bodies::~Bodies() { close_current(); }

bool Bodies::next(Body& body) {
    if (argument_ < arguments_.bodies.size()) {
        body.bytes = arguments_.bodies[argument_++];
        body.where = "BODY " + std::to_string(argument_);
        if (body.bytes.size() > arguments_.bytes_max) refuse_long();
        return true;
    }
    while (!stop_requested()) {
        if (descriptor_ < 0 && !open_next()) return false;
        if (splits_ ? next_piece(body) : next_whole(body)) return true;
        close_current();
    }
    return false;
}

bool Bodies::open_next() {
    if (source_ == sources_.size()) return false;
    const std::string& source = sources_[source_++];
    if (source == "-") {
        descriptor_ = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        if (::isatty(STDIN_FILENO) != 0) {
            note(splits_ ? "reading messages from the terminal, one a line; Ctrl-D ends"
                         : "reading one message from the terminal; Ctrl-D ends it");
        }
    } else {
        descriptor_ = ::open(source.c_str(), O_RDONLY | O_CLOEXEC);
    }
    if (descriptor_ < 0) {
        throw std::runtime_error("cannot read " + shown(source) + ": " + std::strerror(errno));
    }
    at_end_ = false;
    buffer_.clear();
    begin_ = searched_ = 0;
    piece_ = 0;
    return true;
}

void Bodies::close_current() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

bool Bodies::must_wait() const {
    if (argument_ < arguments_.bodies.size()) return false;
    if (descriptor_ < 0 || at_end_) return false;
    if (buffer_.find(delimiter_, searched_) != std::string::npos) return false;
    pollfd wait{descriptor_, POLLIN, 0};
    return ::poll(&wait, 1, 0) == 0;
}

/// Reads more into the buffer; false at the end of the source and once Ctrl-C came.
bool Bodies::fill() {
    if (at_end_) return false;
    if (begin_ > 0) {
        buffer_.erase(0, begin_);
        searched_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() > arguments_.bytes_max + delimiter_.size()) refuse_long();
    std::array<pollfd, 2> waits{
        {{descriptor_, POLLIN, 0}, {Signals::instance().descriptor(), POLLIN, 0}}};
    while (::poll(waits.data(), waits.size(), -1) < 0 && errno == EINTR) {
    }
    if (waits[1].revents != 0) return false;
    const std::size_t before = buffer_.size();
    buffer_.resize(before + kReadBytes);
    ssize_t got = 0;
    do {
        got = ::read(descriptor_, buffer_.data() + before, kReadBytes);
    } while (got < 0 && errno == EINTR);
    const int error = errno;
    buffer_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
        throw std::runtime_error("cannot read " + shown(sources_[source_ - 1]) + ": " +
                                 std::strerror(error));
    }
    bytes_read_ += static_cast<std::uint64_t>(got);
    at_end_ = got == 0;
    return !at_end_;
}

bool Bodies::next_piece(Body& body) {
    while (true) {
        const std::size_t end = buffer_.find(delimiter_, searched_);
        const bool found = end != std::string::npos;
        if (!found && !at_end_) {
            // A delimiter may begin in what is there and end in what comes.
            const std::size_t overlap = std::min(buffer_.size() - begin_, delimiter_.size() - 1);
            searched_ = buffer_.size() - overlap;
            if (fill()) continue;
            if (stop_requested()) return false;
            continue;
        }
        if (!found && begin_ == buffer_.size()) return false;
        ++piece_;
        const std::size_t stop = found ? end : buffer_.size();
        if (stop - begin_ > arguments_.bytes_max) refuse_long();
        body.bytes.assign(buffer_, begin_, stop - begin_);
        body.where = position();
        begin_ = searched_ = found ? end + delimiter_.size() : buffer_.size();
        return true;
    }
}

bool Bodies::next_whole(Body& body) {
    if (at_end_) return false;
    while (fill()) {
    }
    if (stop_requested()) return false;
    if (buffer_.size() > arguments_.bytes_max) refuse_long();
    body.bytes = std::move(buffer_);
    buffer_.clear();
    body.where = shown(sources_[source_ - 1]);
    return true;
}

std::string Bodies::position() const {
    const std::string unit = delimiter_ == "\n" ? "line " : "piece ";
    return unit + std::to_string(piece_) + " of " + shown(sources_[source_ - 1]);
}

void Bodies::refuse_long() const {
    const bool argument = source_ == 0;
    const std::string where = argument  ? "BODY " + std::to_string(argument_)
                              : splits_ ? "a message in " + shown(sources_[source_ - 1])
                                        : shown(sources_[source_ - 1]);
    throw std::runtime_error(where + " is longer than " + short_bytes(arguments_.bytes_max) +
                             ": raise --max-message, here and at the consumers");
}

}  // namespace peermq::tools
