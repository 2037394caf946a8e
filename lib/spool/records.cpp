#include "spool/records.hpp"

namespace peermq::spool {

namespace {

/// How often over a part's bytes may be checksummed while looking for the next good record.
constexpr std::size_t kSearchFactor = 16;

class Walk {
public:
    Walk(base::ByteSpan bytes, Run run, record::Seed seed)
        : bytes_(bytes), run_(run), seed_(seed), budget_(bytes.size() * kSearchFactor) {}

    std::vector<Run> go(const VisitRecord& visit) {
        std::size_t at = 0;
        Seq next = run_.first;
        while (next <= run_.last) {
            record::Decoded decoded = record::decode(bytes_.subspan(at), seed_, bytes_.size());
            const bool good = usable(decoded) && decoded.record.seq >= next &&
                              decoded.record.seq <= run_.last;
            if (!good) {
                const auto found = search(at + 8, next);
                if (!found) break;
                at = *found;
                continue;
            }
            if (decoded.record.seq > next) missing_.push_back({next, decoded.record.seq - 1});
            next = decoded.record.seq + 1;
            if (!visit(at, decoded.bytes, decoded.record)) return std::move(missing_);
            at += decoded.bytes;
        }
        if (next <= run_.last) missing_.push_back({next, run_.last});
        return std::move(missing_);
    }

private:
    /// An unknown type is none of the spool's business: the record is kept as it is.
    static bool usable(const record::Decoded& decoded) {
        return decoded.ok() || decoded.error == record::DecodeError::unknown_type;
    }

    std::optional<std::size_t> search(std::size_t from, Seq next) {
        for (std::size_t at = from; at + record::kHeaderBytes <= bytes_.size(); at += 8) {
            const std::byte* here = bytes_.data() + at;
            const Seq seq = record::peek_seq(here);
            const std::uint32_t length = record::peek_length(here);
            if (seq < next || seq > run_.last || length < record::kHeaderBytes || length % 8 != 0 ||
                length > bytes_.size() - at) {
                continue;
            }
            if (length > budget_) return std::nullopt;
            budget_ -= length;
            if (usable(record::decode(bytes_.subspan(at), seed_, bytes_.size()))) return at;
        }
        return std::nullopt;
    }

    base::ByteSpan bytes_;
    Run run_;
    record::Seed seed_;
    std::size_t budget_;
    std::vector<Run> missing_;
};

}  // namespace

std::vector<Run> walk_records(base::ByteSpan bytes, Run run, record::Seed seed,
                              const VisitRecord& visit) {
    return Walk(bytes, run, seed).go(visit);
}

}  // namespace peermq::spool
