#pragma once

/// A fresh directory of mode 0700 that goes away with all it holds. Two test runs never share one.

#include <string>
#include <string_view>

namespace peermq::test {

class TemporaryDirectory {
public:
    /// Below $TMPDIR, else /tmp. Throws std::system_error.
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// The path of `name` inside it.
    [[nodiscard]] std::string operator/(std::string_view name) const;

private:
    std::string path_;
};

}  // namespace peermq::test
