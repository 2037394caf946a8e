/// The open files and directories of FakeFileSystem.

#include <algorithm>
#include <utility>

#include "support/fake_file_state.hpp"

namespace peermq::test {
namespace {

using base::ByteSpan;
using base::IoResult;
using State = FakeFileSystem::State;
using Lock = std::lock_guard<std::recursive_mutex>;

bool is_plain_name(std::string_view name) {
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
           name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

class FakeFile final : public base::File {
public:
    FakeFile(std::shared_ptr<State> state, NodeId node, bool writable)
        : state_(std::move(state)), node_(node), boot_(state_->boot), writable_(writable) {
        ++state_->node(node_).handles;
    }

    ~FakeFile() override {
        const Lock lock(state_->mutex);
        forget();
    }

    IoResult read_at(std::span<std::byte> out, std::uint64_t offset) override {
        const Lock lock(state_->mutex);
        if (!open_) return {0, EBADF};
        if (const int error = state_->begin(Operation::read, boot_)) return {0, error};
        if (state_->strikes(Fault::read_error)) return {0, EIO};
        const IoResult result{data().read(out, offset), 0};
        state_->end();
        return result;
    }

    IoResult write_at(std::span<const ByteSpan> parts, std::uint64_t offset) override {
        const Lock lock(state_->mutex);
        if (!open_ || !writable_) return {0, EBADF};
        int error = state_->begin(Operation::write, boot_);
        if (error != 0 && (state_->dead || boot_ != state_->boot)) return {0, error};
        std::size_t wanted = 0;
        for (const ByteSpan& part : parts) wanted += part.size();
        std::size_t allowed = wanted;
        if (error == 0) static_cast<void>(state_->strikes(Fault::interrupted));
        if (error == 0 && state_->strikes(Fault::write_error)) error = EIO;
        if (error == 0 && state_->strikes(Fault::no_space)) error = ENOSPC;
        // At least one byte without an error, else it would look like a write that never ends.
        if (error != 0 || state_->crashes_halfway()) {
            allowed = state_->random.below(wanted + 1);
        } else if (wanted > 1 && state_->strikes(Fault::short_write)) {
            allowed = state_->random.between(1, wanted - 1);
        }
        IoResult result{put(parts, offset, allowed), error};
        if (result.bytes < allowed && result.bytes == 0) {
            result.error = ENOSPC;
            ++state_->counters.no_space;
        }
        state_->counters.bytes_written += result.bytes;
        state_->end();
        return result;
    }

    int sync_data() override { return sync(); }
    int sync_all() override { return sync(); }

    int allocate(std::uint64_t offset, std::uint64_t bytes) override {
        const Lock lock(state_->mutex);
        if (!open_ || !writable_) return EBADF;
        if (const int error = state_->begin(Operation::allocate, boot_)) return error;
        if (state_->strikes(Fault::no_space)) return ENOSPC;
        if (!data().allocate(offset, bytes, state_->space)) {
            ++state_->counters.no_space;
            return ENOSPC;
        }
        state_->end();
        return 0;
    }

    int truncate(std::uint64_t bytes) override {
        const Lock lock(state_->mutex);
        if (!open_ || !writable_) return EBADF;
        if (const int error = state_->begin(Operation::truncate, boot_)) return error;
        data().truncate(bytes, state_->space);
        state_->end();
        return 0;
    }

    int size(std::uint64_t& bytes) override {
        const Lock lock(state_->mutex);
        if (!open_) return EBADF;
        if (const int error = state_->begin(Operation::size, boot_)) return error;
        bytes = data().size();
        state_->end();
        return 0;
    }

    int lock() override {
        const Lock guard(state_->mutex);
        if (!open_) return EBADF;
        if (const int error = state_->begin(Operation::lock, boot_)) return error;
        bool& taken = state_->node(node_).locked;
        if (taken && !locked_) return EWOULDBLOCK;
        taken = locked_ = true;
        state_->end();
        return 0;
    }

    int close() override {
        const Lock lock(state_->mutex);
        if (!open_) return 0;
        // Whatever the error, the file is closed.
        const int error = state_->begin(Operation::close, boot_);
        forget();
        state_->end();
        return error;
    }

private:
    [[nodiscard]] FakeFileData& data() { return state_->node(node_).data; }

    std::size_t put(std::span<const ByteSpan> parts, std::uint64_t offset, std::size_t allowed) {
        data().begin_write();
        std::size_t done = 0;
        for (const ByteSpan& part : parts) {
            const ByteSpan piece = part.first(std::min(part.size(), allowed - done));
            const std::size_t put = data().write(piece, offset + done, state_->space);
            done += put;
            if (put < part.size()) break;
        }
        return done;
    }

    int sync() {
        const Lock lock(state_->mutex);
        if (!open_) return EBADF;
        int error = state_->begin(Operation::sync, boot_);
        if (state_->dead || boot_ != state_->boot) return error;
        ++state_->counters.syncs;
        if (error == 0) static_cast<void>(state_->strikes(Fault::interrupted));
        if (error == 0 && state_->strikes(Fault::sync_error)) error = EIO;
        if (error != 0) {
            FakeFileCounters not_a_crash;
            RandomChoices choices(state_->random, CrashPolicy::any(state_->random), not_a_crash);
            data().fail_sync(choices);
        } else if (!state_->lying) {
            data().sync();
        }
        state_->end();
        return error;
    }

    void forget() {
        if (!std::exchange(open_, false) || boot_ != state_->boot) return;
        if (locked_) state_->node(node_).locked = false;
        state_->release(node_);
    }

    std::shared_ptr<State> state_;
    NodeId node_;
    std::uint64_t boot_;
    bool writable_;
    bool open_ = true;
    bool locked_ = false;
};

class FakeDirectory final : public base::Directory {
public:
    FakeDirectory(std::shared_ptr<State> state, NodeId node, std::string path)
        : state_(std::move(state)), node_(node), boot_(state_->boot), path_(std::move(path)) {
        ++state_->node(node_).handles;
    }

    ~FakeDirectory() override {
        const Lock lock(state_->mutex);
        if (boot_ == state_->boot) state_->release(node_);
    }

    int open_file(std::string_view name, base::OpenMode mode,
                  std::unique_ptr<base::File>& out) override {
        const Lock lock(state_->mutex);
        if (!is_plain_name(name)) return EINVAL;
        if (const int error = state_->begin(Operation::open, boot_)) return error;
        if (state_->strikes(Fault::open_error)) return EMFILE;
        auto found = names().find(name);
        const bool may_create = mode == base::OpenMode::create ||
                                mode == base::OpenMode::open_or_create;
        if (found && mode == base::OpenMode::create) return EEXIST;
        if (found && state_->node(*found).is_directory) return EISDIR;
        if (!found && !may_create) return ENOENT;
        if (!found) {
            if (state_->strikes(Fault::no_space)) return ENOSPC;
            found = state_->add_node(false);
            names().create(name, *found);
        }
        out = make_fake_file(state_, *found, mode != base::OpenMode::read);
        state_->end();
        return 0;
    }

    int rename(std::string_view from, std::string_view to) override {
        const Lock lock(state_->mutex);
        if (!is_plain_name(from) || !is_plain_name(to)) return EINVAL;
        if (const int error = state_->begin(Operation::rename, boot_)) return error;
        if (!names().find(from)) return ENOENT;
        const auto replaced = names().find(to);
        if (replaced && state_->node(*replaced).is_directory) return EISDIR;
        if (state_->strikes(Fault::no_space)) return ENOSPC;
        if (from != to) names().rename(from, to);
        if (replaced && from != to) state_->uncharge_if_unnamed(*replaced);
        state_->end();
        return 0;
    }

    int unlink(std::string_view name) override {
        const Lock lock(state_->mutex);
        if (!is_plain_name(name)) return EINVAL;
        if (const int error = state_->begin(Operation::unlink, boot_)) return error;
        const auto found = names().find(name);
        if (!found) return ENOENT;
        if (state_->node(*found).is_directory) return EISDIR;
        names().unlink(name);
        state_->uncharge_if_unnamed(*found);
        state_->end();
        return 0;
    }

    int list(std::vector<base::DirectoryEntry>& out) override {
        const Lock lock(state_->mutex);
        out.clear();
        if (const int error = state_->begin(Operation::list, boot_)) return error;
        for (const auto& [name, node] : names().all()) {
            out.push_back({name, !state_->node(node).is_directory});
        }
        state_->end();
        return 0;
    }

    int sync() override {
        const Lock lock(state_->mutex);
        int error = state_->begin(Operation::sync_names, boot_);
        if (state_->dead || boot_ != state_->boot) return error;
        if (error == 0 && state_->strikes(Fault::sync_names_error)) error = EIO;
        sync_names(error);
        state_->end();
        return error;
    }

    int open_directory(std::string_view name, bool create,
                       std::unique_ptr<base::Directory>& out) override {
        const Lock lock(state_->mutex);
        if (!is_plain_name(name)) return EINVAL;
        if (const int error = state_->begin(Operation::open, boot_)) return error;
        state_->end();
        auto found = names().find(name);
        if (!found && !create) return ENOENT;
        if (found && !state_->node(*found).is_directory) return ENOTDIR;
        const bool missing = !found;
        if (missing) {
            NodeId made = 0;
            if (const int error = state_->make_directory(node_, name, boot_, made)) return error;
            found = made;
        }
        // Also of one that was there already, as the real one does: who made it may have died
        // before the sync. Where nothing is unsynced there is nothing that could fail.
        if (missing || (create && names().unsynced() > 0)) {
            if (const int error = sync()) {
                if (!state_->dead && state_->node(*found).names.all().empty()) names().unlink(name);
                return error;
            }
        }
        out = make_fake_directory(state_, *found, path_ + "/" + std::string(name));
        return 0;
    }

    int free_bytes(std::uint64_t& bytes) override {
        const Lock lock(state_->mutex);
        if (const int error = state_->begin(Operation::free_bytes, boot_)) return error;
        const DiskSpace& space = state_->space;
        const std::uint64_t free = space.full() ? 0 : space.capacity_pages - space.used_pages;
        bytes = free > UINT64_MAX / kPageBytes ? UINT64_MAX : free * kPageBytes;
        state_->end();
        return 0;
    }

    std::string path() const override { return path_; }

private:
    [[nodiscard]] FakeNames& names() { return state_->node(node_).names; }

    void sync_names(int error) {
        if (error != 0) {
            FakeFileCounters not_a_crash;
            RandomChoices choices(state_->random, CrashPolicy::any(state_->random), not_a_crash);
            names().fail_sync(choices);
        } else if (!state_->lying) {
            names().sync();
        }
        state_->collect();
    }

    std::shared_ptr<State> state_;
    NodeId node_;
    std::uint64_t boot_;
    std::string path_;
};

}  // namespace

std::unique_ptr<base::Directory> make_fake_directory(std::shared_ptr<FakeFileSystem::State> state,
                                                     NodeId node, std::string path) {
    return std::make_unique<FakeDirectory>(std::move(state), node, std::move(path));
}

std::unique_ptr<base::File> make_fake_file(std::shared_ptr<FakeFileSystem::State> state,
                                           NodeId node, bool writable) {
    return std::make_unique<FakeFile>(std::move(state), node, writable);
}

}  // namespace peermq::test
