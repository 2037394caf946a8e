#pragma once

/// A disk in memory that crashes, tears, lies and fills up, the same way for the same seed.
///
/// Nothing survives crash() for certain but what was synced: data by File::sync_*, names by
/// Directory::sync. Everything else is kept, dropped or torn, each part for itself (CrashChoices).
/// Open files and directories of before a crash answer EIO and change nothing; the FakeFileSystem
/// itself is the machine and goes on.
///
///     FakeFileSystem files(seed);
///     { auto spool = Spool::open(files, ...); ...; files.crash(); }   // the power is cut
///     auto spool = Spool::open(files, ...);                           // what is left
///
/// Threads: any; one lock around every call. Copies are independent and cost pointers, not bytes.

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.hpp"
#include "support/fake_file_data.hpp"
#include "support/seeded_random.hpp"

namespace peermq::test {

enum class Operation : std::uint8_t {
    open,
    read,
    write,
    sync,
    allocate,
    truncate,
    size,
    lock,
    close,
    rename,
    unlink,
    list,
    sync_names,
    make_directory,
    free_bytes,
    any,
};

/// Faults that come by rate, in times per million calls that can suffer it.
enum class Fault : std::uint8_t {
    sync_error,        ///< EIO from File::sync_*; the pages are clean from then on, and may be lost
    sync_names_error,  ///< EIO from Directory::sync; the names may be lost
    write_error,       ///< EIO after a part
    read_error,
    no_space,     ///< ENOSPC from write (after a part), allocate, open, rename, make_directory
    short_write,  ///< a part, without an error
    interrupted,  ///< EINTR, which the layer hides: counted, no effect
    open_error,   ///< EMFILE
};
inline constexpr std::size_t kFaults = 8;

/// How likely each outcome is at a crash, in percent.
struct CrashPolicy {
    unsigned keep_pages = 50;  ///< as last written; the rest is one of the older versions
    unsigned tear_pages = 0;   ///< torn instead
    unsigned garbage = 0;      ///< of sectors of torn pages that never were durable
    unsigned keep_sizes = 50;
    unsigned keep_names = 50;

    static CrashPolicy keep_all() { return {100, 0, 0, 100, 100}; }
    static CrashPolicy drop_all() { return {0, 0, 0, 0, 0}; }
    static CrashPolicy keep_data_drop_names() { return {100, 0, 0, 100, 0}; }
    static CrashPolicy drop_data_keep_names() { return {0, 0, 0, 100, 100}; }
    static CrashPolicy tear() { return {30, 70, 0, 50, 50}; }
    static CrashPolicy corrupt() { return {10, 90, 50, 80, 50}; }
    /// A mixture that differs from crash to crash.
    static CrashPolicy any(SeededRandom& random);
};

/// When within a call crash_call() cuts the power.
enum class CrashPoint : std::uint8_t {
    before,
    half,  ///< a write has done a part; other calls as before
    after,
};

/// Thrown out of the call at which crash_call() strikes. Not a std::exception, so that nobody takes
/// it for a failure that can be handled.
struct FakeCrash {};

struct FakeFileCounters {
    std::uint64_t calls = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t syncs = 0;
    std::array<std::uint64_t, kFaults> faults{};
    std::uint64_t no_space = 0;  ///< because the disk was really full
    std::uint64_t crashes = 0;
    std::uint64_t pages_kept = 0;  ///< at crashes, of unsynced ones
    std::uint64_t pages_dropped = 0;
    std::uint64_t pages_torn = 0;
    std::uint64_t names_kept = 0;
    std::uint64_t names_dropped = 0;
};

class FakeFileSystem final : public base::FileSystem {
public:
    explicit FakeFileSystem(std::uint64_t seed = 1);
    /// The disk as it is, with what is unsynced, faults and counters, but nothing open or locked.
    FakeFileSystem(const FakeFileSystem& other);
    FakeFileSystem& operator=(const FakeFileSystem& other);
    ~FakeFileSystem() override;

    std::unique_ptr<base::Directory> open(const std::string& path, bool create) override;

    // --- the end of a process or of the machine
    /// The process dies: handles are dead and locks free, the page cache lives on.
    void kill();
    /// The power is cut.
    void crash(const CrashPolicy& policy);
    void crash(CrashChoices& choices);
    /// The `number`-th call from now on (1 = the next) throws FakeCrash. Until kill() or crash(),
    /// every later call answers EIO and does nothing.
    void crash_call(std::uint64_t number, CrashPoint point);

    // --- faults
    void set_rate(Fault fault, std::uint32_t per_million);
    void clear_rates();
    /// The `number`-th call of this kind from now on (1 = the next) fails with `error`; with
    /// `sticky`, all later ones do too.
    void fail_call(Operation operation, std::uint64_t number, int error, bool sticky = false);
    void clear_failures();
    /// Syncs answer 0 and do nothing: a negative control, with which losses must be found.
    void set_lying_sync(bool lying);
    /// What is used already stays, also when it is more.
    void set_capacity(std::uint64_t bytes);

    // --- looking and meddling from outside: no faults, not counted
    [[nodiscard]] FakeFileCounters counters() const;
    /// Unsynced pages and names in all: what a crash would decide about.
    [[nodiscard]] std::size_t unsynced() const;
    [[nodiscard]] std::uint64_t used_bytes() const;
    /// A hash of all that programs can see.
    [[nodiscard]] std::uint64_t hash() const;
    /// Names of files in a directory, sorted; empty when it does not exist.
    [[nodiscard]] std::vector<std::string> files(const std::string& directory) const;
    [[nodiscard]] bool exists(const std::string& path) const;
    /// Throws std::out_of_range when there is no such file.
    [[nodiscard]] std::vector<std::byte> contents(const std::string& path) const;
    /// Replaces or creates a file in an existing directory, durable at once.
    void set_contents(const std::string& path, base::ByteSpan bytes);
    /// Durable at once.
    void remove(const std::string& path);

    struct State;

private:
    std::shared_ptr<State> state_;
};

}  // namespace peermq::test
