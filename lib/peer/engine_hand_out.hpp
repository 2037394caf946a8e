#pragma once

/// Where Group finds records and room: what is in memory, what is read back from the spool, and
/// how much each link takes. Lives for one hand-out or one look. Private to engine*.cpp.

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "delivery/group.hpp"
#include "peer/engine.hpp"
#include "peer/engine_state.hpp"

namespace peermq::detail {

/// Finds records of a stream: in memory, or read back from the spool.
class StreamReader {
public:
    using ReadBack = std::deque<std::shared_ptr<const Chunk>>;

    /// `read_back` keeps what was read lately, from one reader to the next.
    StreamReader(OutStream& stream, spool::Spool* spool, ReadBack& read_back)
        : stream_(stream), spool_(spool), read_back_(read_back) {}

    /// The chunk with `seq`; nothing when it is damaged (then noted as lost), or not to be read
    /// now.
    [[nodiscard]] OutStream::Cached find(base::Seq seq);
    [[nodiscard]] const std::vector<base::Run>& lost() const noexcept { return lost_; }

private:
    OutStream& stream_;
    spool::Spool* spool_;
    ReadBack& read_back_;
    std::vector<base::Run> lost_;
};

class Engine::HandOut final : public delivery::HandOutContext {
public:
    HandOut(Engine& engine, Producer& producer)
        : producer_(producer), reader_(*producer.stream, engine.spool_, producer.read_back) {}

    delivery::Slice slice(base::Run wanted) override;
    std::size_t room(delivery::ConsumerId consumer) override;
    [[nodiscard]] OutStream::Cached find(base::Seq seq) { return reader_.find(seq); }
    [[nodiscard]] const std::vector<base::Run>& lost() const noexcept { return reader_.lost(); }

private:
    Producer& producer_;
    StreamReader reader_;
    std::shared_ptr<const Chunk> held_;
};

}  // namespace peermq::detail
