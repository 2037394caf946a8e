#pragma once

/// Files on a disk that can be made to hang, with every call or in the next one of a kind, until it
/// is told to go on.
///
/// Threads: any; the files themselves as in base/file_system.hpp.

#include <memory>
#include <string>

#include "base/file_system.hpp"

namespace peermq::test {

class HangingFileSystem final : public base::FileSystem {
public:
    /// Over the files of the system unless others are given, which must outlive it.
    explicit HangingFileSystem(base::FileSystem* files = nullptr);
    ~HangingFileSystem() override;

    std::unique_ptr<base::Directory> open(const std::string& path, bool create) override;

    void hang();
    void go_on();
    /// Calls that wait at this moment.
    [[nodiscard]] int waiting() const;

    /// The next call of this name (of File; "rename", "unlink", "sync" or "free_bytes" of
    /// Directory) waits, alone.
    void stop_next(const std::string& call);
    /// Returns when that call has come; false when it does not.
    [[nodiscard]] bool await_stopped(const std::string& call) const;
    void release(const std::string& call);

    struct Gate;

private:
    std::shared_ptr<Gate> gate_;
    base::SystemFileSystem system_;
    base::FileSystem& files_;
};

}  // namespace peermq::test
