#pragma once

/// The work itself: digest and counts of one file, read once and in pieces.

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include "durable_file.hpp"
#include "row.hpp"

/// Counts as `wc` does in the C locale.
class TextCounter {
public:
    void add(const unsigned char* data, std::size_t size, Row& row) {
        for (std::size_t i = 0; i < size; ++i) {
            const unsigned char c = data[i];
            const bool is_space = c == ' ' || (c >= '\t' && c <= '\r');
            if (c == '\n') ++row.lines;
            if (!is_space && !in_word_) ++row.words;
            in_word_ = !is_space;
        }
        row.bytes += size;
    }

private:
    bool in_word_ = false;
};

inline std::string hex(const unsigned char* data, std::size_t size) {
    std::string text(size * 2 + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), data, size);
    text.pop_back();
    return text;
}

/// Throws std::system_error or std::runtime_error when `path` is no regular file that can be read.
inline Row describe(const std::string& path) {
    constexpr std::size_t buffer_bytes = 256 * 1024;
    // Without O_NONBLOCK, a pipe that has taken the file's place would hang the handler.
    const FileHandle file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat status {};
    if (::fstat(file.fd(), &status) != 0) file.fail("stat");
    if (!S_ISREG(status.st_mode))
        throw std::runtime_error(path + " is not a regular file any more");

    Row row;
    row.path = path;
    TextCounter counter;
    crypto_hash_sha256_state hash;
    crypto_hash_sha256_init(&hash);
    thread_local std::vector<unsigned char> buffer(buffer_bytes);
    for (;;) {
        const ssize_t got = ::read(file.fd(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) file.fail("read");
        if (got == 0) break;
        const auto size = static_cast<std::size_t>(got);
        crypto_hash_sha256_update(&hash, buffer.data(), size);
        counter.add(buffer.data(), size, row);
    }
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&hash, digest);
    row.sha256 = hex(digest, sizeof digest);
    return row;
}
