#pragma once

/// One process with a peer in it: the real engine, streams, commit queue and spool, and an
/// application that sends, works and settles. Lives until it is killed; the Node stays.
///
/// Invariants: nothing of it runs but by start(), run() and the destructor; FakeCrash passes
/// through all of them, after which only the destructor may be called.
///
/// Threads: none. Callers: World.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "peer/commit_queue.hpp"
#include "peer/engine.hpp"
#include "peer/in_stream.hpp"
#include "peer/out_stream.hpp"
#include "sim/recorder.hpp"
#include "sim/scenario.hpp"
#include "sim/spool_tap.hpp"
#include "sim/transport.hpp"
#include "support/fake_clock.hpp"
#include "support/fake_file_system.hpp"

namespace peermq::sim {

/// What outlives a process.
struct Node {
    NodePlan plan;
    HostId host = 0;
    ActorId actor = 0;         ///< of what is stored and consumed
    ActorId memory_actor = 0;  ///< of streams in memory
    /// Of pulls that took the place of closed ones: consumers of their own. Numbers are not used
    /// again, so those of ended processes stay.
    std::vector<ActorId> later_actors;
    test::FakeClock clock;
    std::unique_ptr<test::FakeFileSystem> disk;
    std::vector<std::uint32_t> left;  ///< messages still to be sent, per push
    std::vector<Event> letters;       ///< dead letters that may have reached the disk
    /// Of level os, written by a process that was killed: durable once the next one has opened the
    /// spool, lost if the power goes before.
    std::vector<Event> unsynced;
    bool wrote = false;  ///< since its spool was opened
};

/// What processes share.
struct Surroundings {
    Network& network;
    Recorder& recorder;
    std::vector<std::unique_ptr<Node>>& nodes;
    const std::map<std::uint32_t, std::uint32_t>& running;  ///< pid -> node
    Canary canary = Canary::none;
    bool calm = false;
    std::uint64_t next_message = 1;
};

inline constexpr std::uint16_t kPort = 1;

class Process final : public detail::StreamHost,
                      public detail::InStreamHost,
                      public detail::CommitListener,
                      public detail::EventSink,
                      public TransportWatcher {
public:
    /// Opens the spool and everything else. Throws Error when the spool cannot be opened.
    Process(Surroundings& around, Node& node, std::uint32_t pid, test::SeededRandom random);
    ~Process() override;

    void take(NetworkEvent event) { mailbox_.push_back(std::move(event)); }
    /// Does all that is due.
    void run(Time now);
    [[nodiscard]] Time next_wake();
    /// Storing has failed for good: whoever runs it has to start it anew.
    [[nodiscard]] bool broken() const noexcept { return broken_; }

    /// Before it is killed: what its users know to be durable, and what was only written.
    void record_end();
    /// Stops handing out and taking; over when closed() is true.
    void begin_close();
    [[nodiscard]] bool closed();
    void say_bye();
    /// Closes a pull in order, beside the others, and opens another for the same queue.
    void replace_pull();
    /// Forgets all that nobody holds of one queue, or its oldest messages.
    void purge();

    /// Nothing to send, hand out, work on, confirm or store is left.
    [[nodiscard]] bool drained();
    /// Tells the recorder what is still there of streams that nobody reads.
    void record_remains();
    void check_invariants() const { engine_->check_invariants(); }
    /// Why it is not drained, for people.
    [[nodiscard]] std::string describe();
    [[nodiscard]] std::uint32_t pid() const noexcept { return pid_; }
    [[nodiscard]] std::uint64_t turns() const noexcept { return turns_; }

    // TransportWatcher
    bool is_running(std::uint32_t pid) const override;
    void heard(HostId remote) override;
    bool tracing() const override { return recorder_.tracing(); }
    void sending(HostId remote, const std::string& text) override;
    void settling(const base::StreamId& stream, const wire::Settle& settle) override;
    // StreamHost
    void records_pending(const std::shared_ptr<detail::OutStream>& stream) override;
    bool reserve(const detail::OutStream& stream, std::uint64_t bytes) override;
    void unreserve(const detail::OutStream& stream, std::uint64_t bytes) override;
    bool make_room(detail::OutStream& stream, std::uint64_t bytes) override;
    bool commit_now() override;
    // InStreamHost
    void flush_wanted(detail::InStream& stream, bool at_once) override;
    bool drive(const std::function<bool()>& done, Time deadline, Place place) override;
    void check_process() const override {}
    // CommitListener
    void committed(const std::vector<std::shared_ptr<detail::OutStream>>& streams,
                   std::uint64_t ticket) override;
    void commit_failed(ErrorCode code, const std::string& text) override;
    void space_changed(bool full, const std::string& text) override;
    // EventSink
    void emit(peermq::Event event) override;
    void refused(const std::shared_ptr<detail::InStream>& stream, std::string id) override;

private:
    struct Receipt {
        base::Seq seq = 0;
        std::uint64_t message = 0;
        std::uint64_t key = 0;
    };
    struct Push {
        const PushPlan* plan = nullptr;
        std::size_t index = 0;
        std::shared_ptr<detail::OutStream> stream;
        std::shared_ptr<detail::OutStream> dead;
        std::deque<Receipt> receipts;  ///< not yet told to be durable
        Time next_burst{};
    };
    struct Work {
        delivery::SourceId source = 0;
        base::StreamId stream;
        Event name;  ///< of the message: stream, epoch, seq
        base::LeaseId lease;
        Time done_at{};
        delivery::SettleKind kind{};
        std::optional<Duration> delay;
    };
    struct Pull {
        const PullPlan* plan = nullptr;
        ActorId actor = 0;
        std::shared_ptr<detail::InStream> stream;
        delivery::Item item;  ///< the last one taken: it keeps hold of its batch
        std::vector<Work> running;
        std::vector<Work> asked;  ///< settled, outcome not known
    };

    // process_start.cpp
    void open_spool();
    void recover_streams();
    void open_pushes();
    void open_pulls();
    void open_pull(const PullPlan& plan, ActorId actor);
    std::shared_ptr<detail::OutStream> make_stream(const std::string& name, spool::StreamKind kind,
                                                   Durability level);
    std::shared_ptr<detail::OutStream> make_queue(const std::string& name, Durability level,
                                                  const delivery::GroupOptions& options);
    void declare(const detail::OutStream& stream);

    void take_mail();
    void lapse_the_silent();
    void post(Push& push);
    void post_one(Push& push);
    std::optional<base::Seq> append(Push& push, record::Record& record);
    void drop_oldest(Push& push, std::uint64_t bytes);
    /// Does `forget`, and tells the recorder which messages it may have ended.
    void record_forgotten(detail::OutStream& stream, const std::function<void()>& forget);
    void finish(Pull& pull);
    void start(Pull& pull);
    void deliver(Pull& pull, const delivery::Item& item);
    void decide(const PullPlan& plan, Work& work);
    void learn_outcomes(Pull& pull);
    void collect_receipts(Push& push);
    [[nodiscard]] Event durable_event(const Push& push, const Receipt& receipt);
    void commit_if_due();
    void maintain_if_due();
    void step();
    [[nodiscard]] Duration draw(Duration most);

    Surroundings& around_;
    Node& node_;
    Recorder& recorder_;
    const std::uint32_t pid_;
    test::SeededRandom random_;
    test::SeededRandom engine_random_;
    HostTransport transport_;
    std::unique_ptr<SpoolTap> spool_;
    std::unique_ptr<detail::CommitQueue> commits_;
    std::map<std::string, std::shared_ptr<detail::OutStream>> streams_;
    std::vector<Push> pushes_;
    std::vector<Pull> pulls_;
    std::unique_ptr<detail::Engine> engine_;

    std::deque<NetworkEvent> mailbox_;
    std::map<ActorId, Time> heard_at_;
    std::map<ActorId, bool> lapsed_;
    Time started_at_{};
    bool outcomes_due_ = false;
    bool engine_due_ = true;
    bool broken_ = false;
    bool closing_ = false;
    Time flush_at_ = base::kNever;
    Time commit_at_ = base::kNever;
    Time maintain_at_{};
    std::uint64_t turns_ = 0;
    std::string body_;
    /// For the streams, which may ask for it only while it is there.
    std::shared_ptr<Process> self_{this, [](Process*) {}};
};

}  // namespace peermq::sim
