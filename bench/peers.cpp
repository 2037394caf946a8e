#include "peers.hpp"

#include <stdexcept>
#include <vector>

#include "clock.hpp"

namespace peermq::bench {

namespace {

using namespace std::chrono_literals;

/// Far more than any round needs: a message is lost, or the machine stands still.
constexpr auto kSettleTimeout = 60s;
constexpr std::uint64_t kConsumersTimeout = 60 * kSecond;

class PeerOutlet final : public Outlet {
public:
    PeerOutlet(System system, const std::filesystem::path& directory, int queues,
               std::uint64_t quota_bytes)
        : peer_(producer_options(system, directory, quota_bytes)),
          endpoint_(peer_.bind("tcp://127.0.0.1:*")) {
        PushOptions options{.durability = durability_of(system)};
        if (quota_bytes > 0) options.memory_bytes_max = quota_bytes;
        for (int index = 0; index < queues; ++index) {
            pushes_.push_back(peer_.push(queue_name(index), options));
        }
    }

    [[nodiscard]] std::string endpoint() const override { return endpoint_; }

    void send(std::span<const std::byte> body) override {
        pushes_[next_].post({.body = body});
        if (++next_ == pushes_.size()) next_ = 0;
    }

    void settle() override {
        for (Push& push : pushes_) {
            if (!push.flush(Until::acked, kSettleTimeout)) {
                throw std::runtime_error("not acked within a minute: " +
                                         std::to_string(push.stats().depth) + " messages");
            }
        }
    }

private:
    Peer peer_;
    std::string endpoint_;
    std::vector<Push> pushes_;
    std::size_t next_ = 0;
};

}  // namespace

std::uint32_t prefetch_for(std::size_t size) {
    if (size <= 16) return 131072;
    if (size <= 128) return 65536;
    if (size <= 1024) return 8192;
    return 160;
}

Durability durability_of(System system) {
    switch (system) {
        case System::memory: return Durability::memory;
        case System::os: return Durability::os;
        case System::disk: return Durability::disk;
        case System::raw: break;
    }
    throw std::logic_error("raw libzmq has no durability");
}

PeerOptions producer_options(System system, const std::filesystem::path& directory,
                             std::uint64_t quota_bytes) {
    PeerOptions options;
    if (system != System::memory) options.spool = (directory / "spool").string();
    if (quota_bytes > 0) options.spool_bytes_max = quota_bytes;
    return options;
}

std::unique_ptr<Outlet> make_peer_outlet(System system, const std::filesystem::path& directory,
                                         int queues, std::uint64_t quota_bytes) {
    return std::make_unique<PeerOutlet>(system, directory, queues, quota_bytes);
}

std::string queue_name(int index) { return index == 0 ? kQueue : kQueue + std::to_string(index); }

void run_peer_worker(Channel& channel, const std::string& endpoint, const PullOptions& options,
                     const std::function<void(Delivery&)>& handler) {
    Peer peer;
    peer.connect(endpoint);
    Pull pull = peer.pull(kQueue, options);
    channel.send({{"ready", true}});
    const StopListener listener(channel, [&] { pull.stop(); });
    for (auto& delivery : pull) {
        handler(delivery);
        delivery.ack();
    }
    peer.close(5s);
}

void wait_for_consumers(const Push& push, std::uint64_t count) {
    const std::uint64_t deadline = now_ns() + kConsumersTimeout;
    while (push.stats().consumers < count) {
        if (now_ns() > deadline) {
            throw std::runtime_error(std::to_string(push.stats().consumers) + " of " +
                                     std::to_string(count) + " workers came within a minute");
        }
        sleep_for_ns(kMillisecond);
    }
}

}  // namespace peermq::bench
