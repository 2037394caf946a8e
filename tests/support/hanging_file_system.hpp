#pragma once

/// Files of the system on a disk that can be made to hang: then every call waits until the disk is
/// told to go on.
///
/// Threads: any; the files themselves as in base/file_system.hpp.

#include <memory>
#include <string>

#include "base/file_system.hpp"

namespace peermq::test {

class HangingFileSystem final : public base::FileSystem {
public:
    HangingFileSystem();
    ~HangingFileSystem() override;

    std::unique_ptr<base::Directory> open(const std::string& path, bool create) override;

    void hang();
    void go_on();
    /// Calls that wait at this moment.
    [[nodiscard]] int waiting() const;

    struct Gate;

private:
    std::shared_ptr<Gate> gate_;
    base::SystemFileSystem files_;
};

}  // namespace peermq::test
