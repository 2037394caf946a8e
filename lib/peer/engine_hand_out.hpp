#pragma once

/// Where Group finds records and room: what is in memory, what is read back from the spool, and
/// how much each link takes. Lives for one hand-out or one look. Private to engine*.cpp.

#include <cstddef>
#include <memory>
#include <vector>

#include "delivery/group.hpp"
#include "peer/engine.hpp"
#include "peer/engine_state.hpp"

namespace peermq::detail {

class Engine::HandOut final : public delivery::HandOutContext {
public:
    HandOut(Engine& engine, Producer& producer) : engine_(engine), producer_(producer) {}

    delivery::Slice slice(base::Run wanted) override;
    std::size_t room(delivery::ConsumerId consumer) override;
    /// The chunk with `seq`, from memory or read back; nothing when it is damaged (then noted as
    /// lost).
    [[nodiscard]] OutStream::Cached find(base::Seq seq);
    [[nodiscard]] const std::vector<base::Run>& lost() const noexcept { return lost_; }

private:
    Engine& engine_;
    Producer& producer_;
    std::shared_ptr<const Chunk> held_;
    std::vector<base::Run> lost_;
};

}  // namespace peermq::detail
