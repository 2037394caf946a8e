#include "support/hanging_file_system.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace peermq::test {

struct HangingFileSystem::Gate {
    void pass() {
        std::unique_lock lock(mutex);
        ++waiting;
        changed.wait(lock, [this] { return !hanging; });
        --waiting;
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool hanging = false;
    int waiting = 0;
};

namespace {

using GatePtr = std::shared_ptr<HangingFileSystem::Gate>;

class HangingFile final : public base::File {
public:
    HangingFile(GatePtr gate, std::unique_ptr<base::File> file)
        : gate_(std::move(gate)), file_(std::move(file)) {}

    base::IoResult read_at(std::span<std::byte> out, std::uint64_t offset) override {
        gate_->pass();
        return file_->read_at(out, offset);
    }
    base::IoResult write_at(std::span<const base::ByteSpan> parts, std::uint64_t offset) override {
        gate_->pass();
        return file_->write_at(parts, offset);
    }
    int sync_data() override {
        gate_->pass();
        return file_->sync_data();
    }
    int sync_all() override {
        gate_->pass();
        return file_->sync_all();
    }
    int allocate(std::uint64_t offset, std::uint64_t bytes) override {
        gate_->pass();
        return file_->allocate(offset, bytes);
    }
    int truncate(std::uint64_t bytes) override {
        gate_->pass();
        return file_->truncate(bytes);
    }
    int size(std::uint64_t& bytes) override {
        gate_->pass();
        return file_->size(bytes);
    }
    int lock() override {
        gate_->pass();
        return file_->lock();
    }
    int close() override {
        gate_->pass();
        return file_->close();
    }

private:
    const GatePtr gate_;
    const std::unique_ptr<base::File> file_;
};

class HangingDirectory final : public base::Directory {
public:
    HangingDirectory(GatePtr gate, std::unique_ptr<base::Directory> directory)
        : gate_(std::move(gate)), directory_(std::move(directory)) {}

    int open_file(std::string_view name, base::OpenMode mode,
                  std::unique_ptr<base::File>& out) override {
        gate_->pass();
        std::unique_ptr<base::File> file;
        const int error = directory_->open_file(name, mode, file);
        if (error == 0) out = std::make_unique<HangingFile>(gate_, std::move(file));
        return error;
    }
    int rename(std::string_view from, std::string_view to) override {
        gate_->pass();
        return directory_->rename(from, to);
    }
    int unlink(std::string_view name) override {
        gate_->pass();
        return directory_->unlink(name);
    }
    int list(std::vector<base::DirectoryEntry>& out) override {
        gate_->pass();
        return directory_->list(out);
    }
    int sync() override {
        gate_->pass();
        return directory_->sync();
    }
    int open_directory(std::string_view name, bool create,
                       std::unique_ptr<base::Directory>& out) override {
        gate_->pass();
        std::unique_ptr<base::Directory> directory;
        const int error = directory_->open_directory(name, create, directory);
        if (error == 0) out = std::make_unique<HangingDirectory>(gate_, std::move(directory));
        return error;
    }
    int free_bytes(std::uint64_t& bytes) override {
        gate_->pass();
        return directory_->free_bytes(bytes);
    }
    std::string path() const override { return directory_->path(); }

private:
    const GatePtr gate_;
    const std::unique_ptr<base::Directory> directory_;
};

}  // namespace

HangingFileSystem::HangingFileSystem() : gate_(std::make_shared<Gate>()) {}

HangingFileSystem::~HangingFileSystem() { go_on(); }

std::unique_ptr<base::Directory> HangingFileSystem::open(const std::string& path, bool create) {
    gate_->pass();
    return std::make_unique<HangingDirectory>(gate_, files_.open(path, create));
}

void HangingFileSystem::hang() {
    const std::lock_guard lock(gate_->mutex);
    gate_->hanging = true;
}

void HangingFileSystem::go_on() {
    const std::lock_guard lock(gate_->mutex);
    gate_->hanging = false;
    gate_->changed.notify_all();
}

int HangingFileSystem::waiting() const {
    const std::lock_guard lock(gate_->mutex);
    return gate_->waiting;
}

}  // namespace peermq::test
