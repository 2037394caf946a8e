#include "support/fake_file_data.hpp"

#include <algorithm>

namespace peermq::test {
namespace {

/// More versions of one page than this are not told apart: enough to have every order of a few
/// small writes, without paying for a page per write where nobody syncs.
constexpr std::size_t kVersionsMax = 4;
constexpr std::size_t kSizesMax = 16;
constexpr std::size_t kSectors = kPageBytes / kSectorBytes;

std::size_t pages_for(std::uint64_t bytes) {
    return static_cast<std::size_t>((bytes + kPageBytes - 1) / kPageBytes);
}

bool is_zero(const std::byte* sector) {
    return std::all_of(sector, sector + kSectorBytes,
                       [](std::byte byte) { return byte == std::byte{0}; });
}

bool is_zero_sector(const PageRef& page, std::size_t sector) {
    return !page || is_zero(page->data() + sector * kSectorBytes);
}

void copy_sector(Page& to, const PageRef& from, std::size_t sector) {
    std::byte* out = to.data() + sector * kSectorBytes;
    if (from) {
        std::memcpy(out, from->data() + sector * kSectorBytes, kSectorBytes);
    } else {
        std::memset(out, 0, kSectorBytes);
    }
}

}  // namespace

std::size_t FakeFileData::read(std::span<std::byte> out, std::uint64_t offset) const {
    if (offset >= size()) return 0;
    const auto total = static_cast<std::size_t>(
        std::min<std::uint64_t>(out.size(), size() - offset));
    for (std::size_t done = 0; done < total;) {
        const auto index = static_cast<std::size_t>((offset + done) / kPageBytes);
        const auto within = static_cast<std::size_t>((offset + done) % kPageBytes);
        const std::size_t count = std::min(total - done, kPageBytes - within);
        if (index < slots_.size() && slots_[index].page) {
            std::memcpy(out.data() + done, slots_[index].page->data() + within, count);
        } else {
            std::memset(out.data() + done, 0, count);
        }
        done += count;
    }
    return total;
}

void FakeFileData::remember(std::size_t index) {
    if (index >= slots_.size()) slots_.resize(index + 1);
    Slot& slot = slots_[index];
    if (slot.dirty < 0) {
        slot.dirty = static_cast<std::int32_t>(dirty_.size());
        dirty_.push_back({static_cast<std::uint32_t>(index), false, call_, {slot.page}});
        return;
    }
    Dirty& dirty = dirty_[static_cast<std::size_t>(slot.dirty)];
    if (!dirty.lost && dirty.call != call_ && dirty.versions.size() < kVersionsMax) {
        dirty.versions.push_back(slot.page);
    }
    dirty.lost = false;
    dirty.call = call_;
}

Page* FakeFileData::writable(std::size_t index, DiskSpace& space) {
    const bool hole = index >= slots_.size() || !slots_[index].page;
    if (hole && space.full()) return nullptr;
    remember(index);
    PageRef& page = slots_[index].page;
    if (hole) {
        ++space.used_pages;
        page = std::make_shared<Page>();
    } else if (page.use_count() > 1) {
        page = std::make_shared<Page>(*page);
    }
    return page.get();
}

void FakeFileData::drop(std::size_t index, DiskSpace& space) {
    if (index >= slots_.size() || !slots_[index].page) return;
    remember(index);
    slots_[index].page.reset();
    --space.used_pages;
}

void FakeFileData::set_size(std::uint64_t bytes) {
    if (bytes == sizes_.back()) return;
    if (sizes_.size() < kSizesMax) {
        sizes_.push_back(bytes);
    } else {
        sizes_.back() = bytes;
    }
}

std::size_t FakeFileData::write(base::ByteSpan bytes, std::uint64_t offset, DiskSpace& space) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const auto index = static_cast<std::size_t>((offset + done) / kPageBytes);
        const auto within = static_cast<std::size_t>((offset + done) % kPageBytes);
        const std::size_t count = std::min(bytes.size() - done, kPageBytes - within);
        Page* page = writable(index, space);
        if (!page) break;
        std::memcpy(page->data() + within, bytes.data() + done, count);
        done += count;
    }
    if (done > 0) {
        set_size(std::max(size(), offset + done));
        written_end_ = std::max(written_end_, offset + done);
    }
    return done;
}

bool FakeFileData::allocate(std::uint64_t offset, std::uint64_t bytes, DiskSpace& space) {
    const auto first = static_cast<std::size_t>(offset / kPageBytes);
    const std::size_t end = pages_for(offset + bytes);
    std::uint64_t wanted = 0;
    for (std::size_t i = first; i < end; ++i) {
        wanted += i >= slots_.size() || !slots_[i].page ? 1 : 0;
    }
    if (wanted > space.capacity_pages - std::min(space.capacity_pages, space.used_pages)) {
        return false;
    }
    if (slots_.size() < end) slots_.resize(end);
    for (std::size_t i = first; i < end; ++i) {
        // Not dirty: an allocated page reads as zeros whether or not the allocation survives.
        if (!slots_[i].page) slots_[i].page = space.zero;
    }
    space.used_pages += wanted;
    set_size(std::max(size(), offset + bytes));
    return true;
}

void FakeFileData::truncate(std::uint64_t bytes, DiskSpace& space) {
    begin_write();
    const std::size_t end = pages_for(bytes);
    for (std::size_t i = end; i < slots_.size(); ++i) drop(i, space);
    const auto within = static_cast<std::size_t>(bytes % kPageBytes);
    if (bytes < size() && within != 0 && end <= slots_.size() && slots_[end - 1].page) {
        Page* page = writable(end - 1, space);
        std::memset(page->data() + within, 0, kPageBytes - within);
    }
    set_size(bytes);
}

void FakeFileData::trim() {
    while (!slots_.empty() && !slots_.back().page && slots_.back().dirty < 0) slots_.pop_back();
}

void FakeFileData::sync() {
    std::size_t kept = 0;
    for (Dirty& dirty : dirty_) {
        Slot& slot = slots_[dirty.index];
        if (!dirty.lost) {
            slot.dirty = -1;
            continue;
        }
        slot.dirty = static_cast<std::int32_t>(kept);
        if (&dirty != &dirty_[kept]) dirty_[kept] = std::move(dirty);
        ++kept;
    }
    dirty_.resize(kept);
    durable_end_ = written_end_;
    sizes_.erase(sizes_.begin(), sizes_.end() - 1);
    trim();
}

PageRef FakeFileData::survivor(const Dirty& dirty, const PageRef& newest,
                               CrashChoices& choices) const {
    if (dirty.lost) return dirty.versions[0];
    const auto options = static_cast<std::uint32_t>(dirty.versions.size() + 1);
    const auto version = [&](std::uint32_t number) -> const PageRef& {
        return number < dirty.versions.size() ? dirty.versions[number] : newest;
    };
    if (choices.choose(Pending::tear, 2) == 0) {
        return version(choices.choose(Pending::page, options));
    }
    auto torn = std::make_shared<Page>();
    for (std::size_t sector = 0; sector < kSectors; ++sector) {
        copy_sector(*torn, version(choices.choose(Pending::sector, options)), sector);
        // What held durable bytes, be they zeros that a program wrote, is written whole or not at
        // all; what did not may hold anything.
        const std::uint64_t offset = dirty.index * kPageBytes + sector * kSectorBytes;
        if (offset >= durable_end_ && is_zero_sector(dirty.versions[0], sector) &&
            !is_zero_sector(newest, sector) && choices.choose(Pending::garbage, 2) == 1) {
            choices.garbage(std::span(*torn).subspan(sector * kSectorBytes, kSectorBytes));
        }
    }
    return torn;
}

void FakeFileData::fail_sync(CrashChoices& choices) {
    for (Dirty& dirty : dirty_) {
        if (dirty.lost) continue;
        PageRef on_disk = survivor(dirty, slots_[dirty.index].page, choices);
        dirty.versions.assign(1, std::move(on_disk));
        dirty.lost = true;
    }
}

void FakeFileData::clear_beyond(std::uint64_t bytes, DiskSpace& space) {
    const std::size_t end = pages_for(bytes);
    if (slots_.size() > end) slots_.resize(end);
    const auto within = static_cast<std::size_t>(bytes % kPageBytes);
    if (within == 0 || slots_.size() < end || !slots_[end - 1].page) return;
    PageRef& page = slots_[end - 1].page;
    if (page == space.zero) return;
    page = std::make_shared<Page>(*page);
    std::memset(page->data() + within, 0, kPageBytes - within);
}

void FakeFileData::crash(CrashChoices& choices, DiskSpace& space) {
    for (const Dirty& dirty : dirty_) {
        Slot& slot = slots_[dirty.index];
        slot.page = survivor(dirty, slot.page, choices);
        slot.dirty = -1;
    }
    dirty_.clear();
    if (sizes_.size() > 1) {
        const auto options = static_cast<std::uint32_t>(sizes_.size());
        sizes_.assign(1, sizes_[choices.choose(Pending::size, options)]);
    }
    clear_beyond(size(), space);
    trim();
}

std::uint64_t FakeFileData::pages_used() const noexcept {
    return static_cast<std::uint64_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.page; }));
}

}  // namespace peermq::test
