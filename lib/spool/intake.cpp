#include "spool/intake.hpp"

#include <algorithm>
#include <cerrno>

#include "base/limits.hpp"
#include "peermq/error.hpp"
#include "spool/scan.hpp"

namespace peermq::spool {

namespace limits = base::limits;

namespace {

/// A name with a number further ahead than this is no segment of ours.
constexpr std::uint64_t kNumberAhead = std::uint64_t{1} << 32;

struct Candidate {
    std::string name;
    std::uint64_t named = 0;  ///< number in the name
    bool header_ok = false;
    std::shared_ptr<Segment> segment;
};

[[noreturn]] void newer_version(const std::string& path, base::ByteSpan block) {
    throw Error(ErrorCode::version_mismatch,
                path + " has format " + std::to_string(block_version(block)) +
                    ", which a newer version of peermq writes; this one reads format " +
                    std::to_string(kFormatVersion) +
                    ". Nothing was changed: open the spool with the newer version");
}

/// False when the file is too short. A disk that does not answer is no damage: it throws.
bool read_block(base::File& file, std::span<std::byte> out, std::uint64_t offset,
                const std::string& path) {
    while (!out.empty()) {
        const base::IoResult got = file.read_at(out, offset);
        if (!got.ok()) {
            throw Error(ErrorCode::io_error, "cannot read " + path + ": " + errno_text(got.error));
        }
        if (got.bytes == 0) return false;
        out = out.subspan(got.bytes);
        offset += got.bytes;
    }
    return true;
}

class Intaker {
public:
    Intaker(Files& files, base::OpenMode mode, Recovered& out)
        : files_(files), mode_(mode), out_(out) {}

    Intake go() {
        std::vector<base::DirectoryEntry> entries;
        if (const int error = files_.list(entries); error != 0) {
            throw Error(ErrorCode::io_error,
                        "cannot list " + files_.path() + ": " + errno_text(error));
        }
        bool manifest_damaged = false;
        const auto manifest = load_manifest(files_, manifest_damaged);
        if (manifest) out_.manifest = *manifest;
        result_.have_manifest = manifest.has_value();
        std::erase_if(out_.manifest.live, [&](const Manifest::Live& live) {
            if (live.random_id == 0) set_aside_.push_back(live.number);
            return live.random_id == 0;
        });
        collect(entries);
        if (!manifest && candidates_.empty()) {
            if (manifest_damaged) {
                throw Error(ErrorCode::corrupt,
                            files_.path(kManifestName) +
                                " is damaged and there are no segments to rebuild "
                                "it from; restore the directory or remove it");
            }
            out_.created = true;
        } else if (!manifest) {
            rebuild_manifest();
        }
        out_.created = out_.created || (out_.manifest.next_number == 1 && candidates_.empty());
        out_.next_number = std::max(out_.next_number, out_.manifest.next_number);
        out_.epoch = std::max(out_.epoch, out_.manifest.epoch);
        admit();
        return std::move(result_);
    }

private:
    void collect(const std::vector<base::DirectoryEntry>& entries) {
        for (const base::DirectoryEntry& entry : entries) {
            if (is_temporary(entry.name)) out_.stale.push_back(entry.name);
            const auto number = segment_number(entry.name);
            const bool near = number && *number > 0 &&
                              (!result_.have_manifest ||
                               *number < out_.manifest.next_number + kNumberAhead) &&
                              *number < ~std::uint64_t{0} - kNumberAhead;
            if (!near || !entry.is_regular_file) continue;
            out_.next_number = std::max(out_.next_number, *number + 1);
            if (std::count(set_aside_.begin(), set_aside_.end(), *number) != 0) {
                out_.aside.push_back(*number);
                continue;
            }
            look_at(entry.name, *number);
        }
    }

    void look_at(const std::string& name, std::uint64_t number) {
        Candidate candidate{name, number, false, std::make_shared<Segment>()};
        Segment& segment = *candidate.segment;
        segment.name = name;
        segment.header.number = number;
        std::unique_ptr<base::File> file;
        int error = files_.open(name, mode_, file);
        if (error == ENOENT && mode_ == base::OpenMode::read) return;
        if (error == 0) error = file->size(segment.file_bytes);
        if (error != 0) {
            throw Error(ErrorCode::io_error,
                        "cannot open " + files_.path(name) + ": " + errno_text(error));
        }
        segment.file = std::move(file);
        for (const std::uint64_t at : {std::uint64_t{0}, kSegmentHeaderCopyAt}) {
            std::vector<std::byte> bytes(kSegmentHeaderBytes);
            if (!read_block(*segment.file, bytes, at, files_.path(name))) continue;
            SegmentHeader header;
            const BlockState state = decode_segment_header(bytes, header);
            if (state == BlockState::newer) newer_version(files_.path(name), bytes);
            if (state != BlockState::ok) continue;
            segment.header = header;
            candidate.header_ok = true;
            break;
        }
        if (is_reclaimed(candidate)) {
            // A crash undid its unlink; everything in it is finished.
            out_.stale.push_back(name);
            return;
        }
        candidates_.push_back(std::move(candidate));
    }

    [[nodiscard]] bool is_reclaimed(const Candidate& candidate) const {
        const auto gone = [&](std::uint64_t number) {
            return result_.have_manifest && number < out_.manifest.next_number &&
                   listed(out_.manifest, number) == nullptr;
        };
        // What is not certainly ours is not ours to remove, whatever its name.
        const SegmentHeader& header = candidate.segment->header;
        return gone(candidate.named) && candidate.header_ok &&
               header.spool == out_.manifest.spool && gone(header.number);
    }

    void rebuild_manifest() {
        for (const Candidate& candidate : candidates_) {
            if (!candidate.header_ok) continue;
            out_.manifest.spool = candidate.segment->header.spool;
            out_.manifest.peer = candidate.segment->header.peer;
        }
        if (out_.manifest.spool.is_zero()) {
            throw Error(ErrorCode::corrupt, files_.path() +
                                                " holds no readable manifest and no "
                                                "readable segment header");
        }
        report(Damage::Kind::corrupt_records, files_.path(kManifestName), 0, 0, 0,
               "the manifest is missing or damaged; it was rebuilt from the segments");
    }

    /// Sorts out what does not belong here; the rest are the segments.
    void admit() {
        for (Candidate& candidate : candidates_) {
            Segment& segment = *candidate.segment;
            const std::string path = files_.path(candidate.name);
            if (candidate.header_ok && segment.header.spool != out_.manifest.spool) {
                report(Damage::Kind::foreign_segment, path, 0, segment.file_bytes, 0,
                       "belongs to another spool; left alone");
                out_.aside.push_back(candidate.named);
                continue;
            }
            if (candidate.header_ok && segment.number() != candidate.named &&
                !admit_misnamed(candidate)) {
                continue;
            }
            const Manifest::Live* live = listed(out_.manifest, segment.number());
            if (candidate.header_ok && live != nullptr &&
                live->random_id != segment.header.random_id) {
                report(Damage::Kind::rolled_back, path, 0, segment.file_bytes, 0,
                       "is another segment of that number, from an older copy of the spool; left "
                       "alone");
                out_.aside.push_back(candidate.named);
                continue;
            }
            if (!candidate.header_ok && live != nullptr) {
                segment.header = {
                    out_.manifest.spool, out_.manifest.peer, candidate.named, live->random_id, {}};
            }
            add_segment(candidate);
        }
    }

    void add_segment(Candidate& candidate) {
        Segment& segment = *candidate.segment;
        out_.epoch = std::max(out_.epoch, segment.header.epoch.counter);
        auto& slot = result_.segments[segment.number()];
        if (slot) {
            // Two files of one number: the one under its own name counts.
            Candidate* loser = &candidate;
            if (segment_name(segment.number()) == candidate.name) {
                std::swap(slot, candidate.segment);
            }
            report(Damage::Kind::duplicate_segment, files_.path(loser->segment->name), 0,
                   loser->segment->file_bytes, 0,
                   "is a copy of segment " + std::to_string(slot->number()) + "; left alone");
            out_.aside.push_back(*segment_number(loser->segment->name));
            return;
        }
        slot = candidate.segment;
        if (!candidate.header_ok) result_.headerless.push_back(segment.number());
    }

    /// A file under the wrong name is still the segment that its header says, unless that is gone.
    bool admit_misnamed(const Candidate& candidate) {
        const std::uint64_t number = candidate.segment->number();
        const std::string path = files_.path(candidate.name);
        if (result_.have_manifest && number < out_.manifest.next_number &&
            listed(out_.manifest, number) == nullptr) {
            report(Damage::Kind::rolled_back, path, 0, candidate.segment->file_bytes, 0,
                   "holds segment " + std::to_string(number) +
                       ", which was finished and reclaimed; left alone");
            out_.aside.push_back(candidate.named);
            return false;
        }
        const bool has_own = std::any_of(
            candidates_.begin(), candidates_.end(), [&](const Candidate& c) {
                return c.named == number && c.header_ok && c.segment->number() == number;
            });
        if (!has_own) {
            report(Damage::Kind::foreign_segment, path, 0, candidate.segment->file_bytes, 0,
                   "is out of order: it holds segment " + std::to_string(number) +
                       "; its records are used");
        }
        out_.next_number = std::max(out_.next_number, number + 1);
        return true;
    }

    void report(Damage::Kind kind, const std::string& path, std::uint64_t offset,
                std::uint64_t bytes, std::uint64_t records, const std::string& text) {
        out_.report.damage.push_back({kind, path, offset, bytes, records, path + ": " + text});
    }

    Files& files_;
    base::OpenMode mode_;
    Recovered& out_;
    Intake result_;
    std::vector<Candidate> candidates_;
    std::vector<std::uint64_t> set_aside_;  // by an earlier opening
};

}  // namespace

Intake take_in(Files& files, base::OpenMode mode, Recovered& out) {
    return Intaker(files, mode, out).go();
}

const Manifest::Live* listed(const Manifest& manifest, std::uint64_t number) {
    for (const Manifest::Live& live : manifest.live) {
        if (live.number == number) return &live;
    }
    return nullptr;
}

void refuse_foreign(Files& files, const std::vector<base::DirectoryEntry>& entries) {
    std::string stranger;
    for (const base::DirectoryEntry& entry : entries) {
        if (entry.name == kManifestName || segment_number(entry.name)) return;
        const bool ours = entry.name == kLockName || entry.name == kQuarantineName ||
                          is_temporary(entry.name) || entry.name == "lost+found";
        if (!ours && stranger.empty()) stranger = entry.name;
    }
    if (stranger.empty()) return;
    throw Error(ErrorCode::corrupt, files.path() + " is not a spool: it has no " +
                                        std::string(kManifestName) +
                                        " and no segments, but holds \"" + stranger +
                                        "\"; give the spool a directory of its own");
}

std::optional<Manifest> load_manifest(Files& files, bool& damaged) {
    damaged = false;
    std::unique_ptr<base::File> file;
    int error = files.open(kManifestName, base::OpenMode::read, file);
    if (error == ENOENT) return std::nullopt;
    std::uint64_t size = 0;
    if (error == 0) error = file->size(size);
    if (error != 0) {
        throw Error(ErrorCode::io_error,
                    "cannot open " + files.path(kManifestName) + ": " + errno_text(error));
    }
    damaged = true;
    if (size > limits::kManifestBytesMax) return std::nullopt;
    std::vector<std::byte> bytes(size);
    if (!read_block(*file, bytes, 0, files.path(kManifestName))) return std::nullopt;
    Manifest manifest;
    const BlockState state = decode_manifest(bytes, manifest);
    if (state == BlockState::newer) newer_version(files.path(kManifestName), bytes);
    if (state != BlockState::ok) return std::nullopt;
    damaged = false;
    return manifest;
}

}  // namespace peermq::spool
