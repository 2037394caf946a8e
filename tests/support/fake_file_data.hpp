#pragma once

/// The bytes of one file of the fake disk: what programs see, and what would survive a power cut.
///
/// Content lies in shared pages that are copied when written, so a snapshot costs pointers. Since
/// the last sync, a page remembers the versions it went through: at a crash each page independently
/// ends up as any of them, or torn, each sector for itself. Sectors that were durable and not
/// written again never change. Sizes have a history of the same kind.
///
/// Threads: none. Callers: FakeFileSystem.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"

namespace peermq::test {

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kSectorBytes = 512;

using Page = std::array<std::byte, kPageBytes>;
using PageRef = std::shared_ptr<Page>;

/// What a crash decides about.
enum class Pending : std::uint8_t {
    page,     ///< which version of an unsynced page survives
    tear,     ///< 1: the sectors of this page survive each for itself
    sector,   ///< which version of a sector of a torn page survives
    garbage,  ///< 1: a sector that never was durable holds anything
    size,     ///< which of the sizes since the last sync survives
    create,   ///< 1: the new name survives
    unlink,   ///< 1: the removal survives
    rename,   ///< 1: both names are there; 2: the renaming survives
};

/// Decides what becomes of everything unsynced. Random in simulations; counted through when all
/// outcomes are wanted.
class CrashChoices {
public:
    virtual ~CrashChoices() = default;
    /// A number in [0, options): 0 = as last synced, options - 1 = as last written.
    virtual std::uint32_t choose(Pending kind, std::uint32_t options) = 0;
    /// Fills a sector that is to hold anything.
    virtual void garbage(std::span<std::byte> sector) = 0;
};

/// How full the disk is. Counts whole pages.
struct DiskSpace {
    std::uint64_t capacity_pages = UINT64_MAX;
    std::uint64_t used_pages = 0;
    /// Stands for every page that is allocated but was never written.
    PageRef zero = std::make_shared<Page>();

    [[nodiscard]] bool full() const noexcept { return used_pages >= capacity_pages; }
};

class FakeFileData {
public:
    [[nodiscard]] std::uint64_t size() const noexcept { return sizes_.back(); }
    /// Copies what lies in [offset, offset + out.size()), returns how much there was.
    std::size_t read(std::span<std::byte> out, std::uint64_t offset) const;

    /// Opens a new call of write(): a page written twice within a call has no version in between.
    void begin_write() noexcept { ++call_; }
    /// Writes until the disk is full; returns how much was written.
    std::size_t write(base::ByteSpan bytes, std::uint64_t offset, DiskSpace& space);
    /// False when the disk has too little room; then nothing has changed.
    bool allocate(std::uint64_t offset, std::uint64_t bytes, DiskSpace& space);
    void truncate(std::uint64_t bytes, DiskSpace& space);

    /// Makes everything durable, except pages that an earlier failed sync has lost.
    void sync();
    /// A sync that fails as on Linux: of each page the disk has one version or another, and all are
    /// marked clean. Programs still read what they wrote, a later sync finds nothing to do, and a
    /// crash shows the truth. Writing a page again makes it dirty again.
    void fail_sync(CrashChoices& choices);
    /// What is left after a power cut.
    void crash(CrashChoices& choices, DiskSpace& space);

    [[nodiscard]] std::size_t unsynced_pages() const noexcept { return dirty_.size(); }
    [[nodiscard]] bool is_durable() const noexcept { return dirty_.empty() && sizes_.size() == 1; }
    [[nodiscard]] std::uint64_t pages_used() const noexcept;

private:
    struct Slot {
        PageRef page;             ///< null = a hole
        std::int32_t dirty = -1;  ///< index in dirty_
    };
    struct Dirty {
        std::uint32_t index = 0;
        bool lost = false;  ///< clean for the kernel, but the disk has versions[0]
        std::uint64_t call = 0;
        std::vector<PageRef> versions;  ///< oldest first; [0] is durable, the slot has the newest
    };

    void remember(std::size_t index);
    /// The page, ready to be written in place; null when the disk is full.
    Page* writable(std::size_t index, DiskSpace& space);
    void drop(std::size_t index, DiskSpace& space);
    void set_size(std::uint64_t bytes);
    void clear_beyond(std::uint64_t bytes, DiskSpace& space);
    void trim();
    [[nodiscard]] PageRef survivor(const Dirty& dirty, const PageRef& newest,
                                   CrashChoices& choices) const;

    std::vector<Slot> slots_;
    std::vector<Dirty> dirty_;
    std::vector<std::uint64_t> sizes_{0};  ///< oldest first; [0] is durable, the last is seen
    std::uint64_t call_ = 0;
    std::uint64_t written_end_ = 0;  ///< beyond it nothing was ever written
    std::uint64_t durable_end_ = 0;  ///< written_end_ as last synced
};

}  // namespace peermq::test
