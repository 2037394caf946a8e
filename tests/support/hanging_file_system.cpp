#include "support/hanging_file_system.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

#include "support/wait.hpp"

namespace peermq::test {

struct HangingFileSystem::Gate {
    void pass(const std::string& call = {}) {
        std::unique_lock lock(mutex);
        if (const auto stop = stops.find(call); stop != stops.end() && !stop->second) {
            stop->second = true;
            changed.notify_all();
            changed.wait(lock, [&] { return !stops.contains(call); });
        }
        ++waiting;
        changed.wait(lock, [this] { return !hanging; });
        --waiting;
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool hanging = false;
    int waiting = 0;
    std::map<std::string, bool> stops;  ///< by call; whether it has come
};

namespace {

using GatePtr = std::shared_ptr<HangingFileSystem::Gate>;

class HangingFile final : public base::File {
public:
    HangingFile(GatePtr gate, std::unique_ptr<base::File> file)
        : gate_(std::move(gate)), file_(std::move(file)) {}

    base::IoResult read_at(std::span<std::byte> out, std::uint64_t offset) override {
        gate_->pass("read_at");
        return file_->read_at(out, offset);
    }
    base::IoResult write_at(std::span<const base::ByteSpan> parts, std::uint64_t offset) override {
        gate_->pass("write_at");
        return file_->write_at(parts, offset);
    }
    int sync_data() override {
        gate_->pass("sync_data");
        return file_->sync_data();
    }
    int sync_all() override {
        gate_->pass("sync_all");
        return file_->sync_all();
    }
    int allocate(std::uint64_t offset, std::uint64_t bytes) override {
        gate_->pass("allocate");
        return file_->allocate(offset, bytes);
    }
    int truncate(std::uint64_t bytes) override {
        gate_->pass("truncate");
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
        gate_->pass("rename");
        return directory_->rename(from, to);
    }
    int unlink(std::string_view name) override {
        gate_->pass("unlink");
        return directory_->unlink(name);
    }
    int list(std::vector<base::DirectoryEntry>& out) override {
        gate_->pass();
        return directory_->list(out);
    }
    int sync() override {
        gate_->pass("sync");
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
        gate_->pass("free_bytes");
        return directory_->free_bytes(bytes);
    }
    std::string path() const override { return directory_->path(); }

private:
    const GatePtr gate_;
    const std::unique_ptr<base::Directory> directory_;
};

}  // namespace

HangingFileSystem::HangingFileSystem(base::FileSystem* files)
    : gate_(std::make_shared<Gate>()), files_(files != nullptr ? *files : system_) {}

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
    gate_->stops.clear();
    gate_->changed.notify_all();
}

void HangingFileSystem::stop_next(const std::string& call) {
    const std::lock_guard lock(gate_->mutex);
    gate_->stops.emplace(call, false);
}

bool HangingFileSystem::await_stopped(const std::string& call) const {
    std::unique_lock lock(gate_->mutex);
    return gate_->changed.wait_for(lock, kLong, [&] { return gate_->stops.at(call); });
}

void HangingFileSystem::release(const std::string& call) {
    const std::lock_guard lock(gate_->mutex);
    gate_->stops.erase(call);
    gate_->changed.notify_all();
}

int HangingFileSystem::waiting() const {
    const std::lock_guard lock(gate_->mutex);
    return gate_->waiting;
}

}  // namespace peermq::test
