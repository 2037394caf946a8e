#include "support/temporary_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace peermq::test {

TemporaryDirectory::TemporaryDirectory() {
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent && *parent ? parent : "/tmp") + "/peermq-test-XXXXXX";
    if (!::mkdtemp(path_.data())) {
        throw std::system_error(errno, std::generic_category(), "mkdtemp " + path_);
    }
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

}  // namespace peermq::test
