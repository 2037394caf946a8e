#pragma once

/// A living peer: the engine with real sockets, files, time and threads.
///
/// Two roles, neither bound to a thread. The *owner role* (a mutex, so a full fence) may touch the
/// engine and the sockets; whoever has something for the engine takes it for one step. The *driver*
/// waits for the sockets: a thread in receive() when there is one, so that a message needs no
/// hand-over between threads, else the background thread. Waiting happens outside the owner role,
/// so the committer, for example, sends what it has just made durable by itself.
///
/// Threads: background (drives when nobody else does), committer (stores what is pending), keeper
/// (prepares and retires segments); one for event callbacks when there are any; one that closes.
///
/// Lifetime: whoever is inside keeps it alive: handles, calls of streams that outlive their handles
/// (StreamHost), and its threads. So nothing that is stuck in the disk when close() must return
/// loses what it stands on; it ends by itself when the disk answers.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.hpp"
#include "base/file_system.hpp"
#include "base/random.hpp"
#include "net/network.hpp"
#include "peer/calls.hpp"
#include "peer/commit_queue.hpp"
#include "peer/engine.hpp"
#include "peer/event_queue.hpp"
#include "peer/in_stream.hpp"
#include "peer/out_stream.hpp"
#include "peer/process.hpp"
#include "peermq/options.hpp"
#include "peermq/replier.hpp"
#include "peermq/requester.hpp"
#include "peermq/stats.hpp"
#include "spool/spool.hpp"

namespace peermq::detail {

/// How requests are handed out.
[[nodiscard]] delivery::GroupOptions service_group_options(const RequesterOptions& options);
/// "memory", "os" or "disk".
[[nodiscard]] std::string_view to_string(Durability durability);

class Runtime final : public StreamHost,
                      public InStreamHost,
                      public CallHost,
                      public CommitListener,
                      public std::enable_shared_from_this<Runtime> {
public:
    /// A running peer. Throws Error like Peer's constructor.
    [[nodiscard]] static std::shared_ptr<Runtime> start(
        PeerOptions options, std::shared_ptr<base::FileSystem> files = nullptr);
    /// The last handle lets go. In a forked child all is left as it is: the threads are not there,
    /// locks and condition variables may be in use by them, and the sockets are the parent's.
    static void release(Runtime* runtime) noexcept;
    ~Runtime() override = default;

    std::string bind(std::string_view endpoint);
    void connect(std::string_view endpoint);
    /// The queue with the options that it has, else with the default ones.
    [[nodiscard]] std::shared_ptr<OutStream> open_push_as_it_is(std::string_view queue);
    [[nodiscard]] std::shared_ptr<OutStream> open_push(std::string_view queue,
                                                       const PushOptions& options);
    [[nodiscard]] std::shared_ptr<InStream> open_pull(std::string_view queue,
                                                      const PullOptions& options);
    [[nodiscard]] std::shared_ptr<OutStream> open_publisher(std::string_view name,
                                                            const PublisherOptions& options);
    [[nodiscard]] std::shared_ptr<InStream> open_subscriber(std::string_view pattern,
                                                            const SubscriberOptions& options);
    /// Changes what a subscription takes; the version that its publishers will confirm.
    std::uint32_t change_subscription(
        InStream& stream, const std::function<void(std::vector<std::string>& patterns)>& change);
    [[nodiscard]] std::vector<std::string> patterns(const InStream& stream);
    [[nodiscard]] std::vector<SubscriptionStats> subscriptions(OutStream& stream);
    /// Changes what `stream` keeps of its subscriptions; durable on return.
    void manage(OutStream& stream, const std::function<void(Engine&)>& change);
    void close_pull(const std::shared_ptr<InStream>& stream);
    /// `make_client` makes what the pattern keeps with the table.
    [[nodiscard]] std::shared_ptr<Calls> open_requester(
        std::string_view service, const RequesterOptions& options,
        const std::function<std::shared_ptr<void>(base::Clock&)>& make_client);
    [[nodiscard]] std::shared_ptr<InStream> open_replier(std::string_view service,
                                                         const ReplierOptions& options);
    [[nodiscard]] std::vector<std::shared_ptr<Calls>> each_replier(
        std::string_view service,
        const std::function<std::shared_ptr<void>(base::Clock&)>& make_client);
    void close_replier(const std::shared_ptr<InStream>& stream);
    /// See Peer::close(). To be called before the last handle lets go.
    bool close(base::Duration timeout);
    /// The same with PeerOptions::close_timeout; in a forked child it leaves everything be.
    void close_by_destructor() noexcept;

    std::uint64_t purge(OutStream& stream);
    void pause(const OutStream& stream, bool paused);
    [[nodiscard]] PushStats push_stats(OutStream& stream);
    [[nodiscard]] PullStats pull_stats(InStream& stream);
    [[nodiscard]] PublisherStats publisher_stats(OutStream& stream);
    [[nodiscard]] SubscriberStats subscriber_stats(InStream& stream);
    [[nodiscard]] RequesterStats requester_stats(Calls& calls);
    [[nodiscard]] ReplierStats replier_stats(InStream& stream);
    [[nodiscard]] PeerStats stats();
    void report_io_error(const std::string& text) {
        events_.emit({EventKind::io_error, "", "", 1, text});
    }
    [[nodiscard]] base::PeerId id() const noexcept { return peer_; }
    [[nodiscard]] base::Clock& clock() noexcept { return clock_; }
    [[nodiscard]] std::size_t message_bytes_max() const noexcept {
        return options_.message_bytes_max;
    }

    // StreamHost
    void records_pending(const std::shared_ptr<OutStream>& stream) override;
    bool reserve(const OutStream& stream, std::uint64_t bytes) override;
    void unreserve(const OutStream& stream, std::uint64_t bytes) override;
    bool make_room(OutStream& stream, std::uint64_t bytes) override;
    bool commit_now() override;
    // InStreamHost
    void flush_wanted(InStream& stream, bool at_once) override;
    bool drive(const std::function<bool()>& done, base::Time deadline, Place place) override;
    void check_process() const override;
    // CallHost
    void calls_changed(const std::shared_ptr<Calls>& calls, bool at_once) override;
    bool drive_for_reply(const std::function<bool()>& done, base::Time deadline,
                         bool quick) override;
    // CommitListener
    void committed(const std::vector<std::shared_ptr<OutStream>>& streams,
                   std::uint64_t ticket) override;
    void commit_failed(ErrorCode code, const std::string& text) override;
    void space_changed(bool full, const std::string& text) override;

private:
    enum class Driver { nobody, background, application };

    Runtime(PeerOptions options, std::shared_ptr<base::FileSystem> files);
    void open();
    void require_open();
    void open_spool();
    void recover_streams();
    /// Requests and replies that the spool holds become calls again.
    void recover_services(const std::vector<spool::RecoveredStream>& streams);
    void recover_requests(Calls& calls, const spool::RecoveredStream& recovered);
    void recover_replies(Calls& calls, const spool::RecoveredStream& recovered);
    /// Calls `use(record, epoch, pin)` for every unsettled record.
    void read_unsettled(const spool::RecoveredStream& recovered,
                        const std::function<void(base::ByteSpan record, const base::Epoch& epoch,
                                                 const std::shared_ptr<const void>& pin)>& use);
    [[nodiscard]] std::shared_ptr<Calls> make_calls(std::string_view service,
                                                    const RequesterOptions& options);
    void recover_publisher(const spool::RecoveredStream& recovered);
    void report_damage(const spool::Damage& damage);
    void start_threads();
    /// The work of close(), which may wait for the disk for ever.
    bool close_all(base::Time deadline);
    /// What can be done without it: nobody starts anything any more.
    void give_up_closing();
    /// After its last commit.
    void stop_committer();
    void tell_to_stop();
    /// And waits until nobody waits for the sockets any more.
    void stop_threads();
    std::shared_ptr<OutStream> new_stream(std::string_view name, spool::StreamKind kind,
                                          Durability durability, const PushOptions& options);
    /// The same, kept among the queues or the publishers.
    std::shared_ptr<OutStream> make_stream(std::string_view name, spool::StreamKind kind,
                                           Durability durability, const PushOptions& options);
    std::shared_ptr<OutStream> dead_letters_of(std::string_view name, Durability durability);
    /// Every stream that this peer sends on.
    [[nodiscard]] std::vector<std::shared_ptr<OutStream>> out_streams();
    std::shared_ptr<OutStream> make_queue(std::string_view name, Durability durability,
                                          const PushOptions& options);

    /// Lets the engine work, in this thread if the role is free, else in the thread that has it.
    void nudge() noexcept;
    void report_failed_turn(const std::exception& error) noexcept;
    /// Wakes a thread that will let the engine work, soon.
    void kick();
    /// One turn of the engine, in the owner role; true when the sockets have more already.
    bool step();
    /// The same for threads of our own, which no exception may leave: it becomes an event.
    bool guarded_step();
    void wait_for_sockets(base::Time deadline);
    /// Waits until then, or for the network, while nobody else wakes this thread.
    void nap(base::Time until);
    [[nodiscard]] bool background_drives();
    bool become_driver();
    void leave_driving();
    void run_background();
    /// Until the application wants to drive; called and left with `lock` on driver_mutex_.
    void drive_in_background(std::unique_lock<std::mutex>& lock);
    void run_keeper();
    template <typename Work>
    auto with_engine(Work&& work);

    PeerOptions options_;
    const unsigned process_generation_;
    /// Of the process: streams outlive the peer in Receipts and Deliveries, and ask it for the
    /// time.
    inline static base::SystemClock clock_;
    base::SystemRandom random_;
    const std::shared_ptr<base::FileSystem> files_;
    base::PeerId peer_;
    EventQueue events_;
    std::unique_ptr<spool::Spool> spool_;
    std::unique_ptr<CommitQueue> commits_;
    std::unique_ptr<net::Network> network_;
    std::unique_ptr<Engine> engine_;

    std::mutex role_;  ///< the owner role
    std::atomic<std::uint64_t> handed_out_{0};
    std::atomic<std::uint64_t> taken_in_{0};
    std::atomic<bool> flush_pending_{false};  ///< settlements wait, but not long, to be sent
    std::atomic<bool> napping_{false};  ///< the background thread looks again by itself in a moment
    std::atomic<bool> work_pending_{false};  ///< somebody could not take the role and left it work
    std::atomic<base::Time> next_deadline_{base::Time{}};  ///< of the engine and the network
    bool network_ended_ = false;                           ///< guarded by role_

    std::mutex driver_mutex_;
    std::condition_variable driver_changed_;
    Driver driver_ = Driver::nobody;
    bool application_wants_ = false;
    std::uint64_t drives_ = 0;                     ///< counts changes of the driver
    bool background_parked_ = false;               ///< the background thread sleeps until told
    std::atomic<bool> background_looking_{false};  ///< it sleeps for a moment, then looks again
    std::atomic<bool> driver_waiting_{false};
    std::atomic<base::Time> waiting_until_{base::Time{}};

    std::mutex closing_;  ///< held by close(), so that a second one waits for the first
    std::optional<bool> close_result_;  ///< guarded by closing_
    std::mutex streams_mutex_;          ///< guards what follows, up to closed_
    std::map<std::string, std::shared_ptr<OutStream>, std::less<>> pushes_;
    std::map<std::string, PushOptions, std::less<>>
        push_options_;  ///< of those that were asked for
    std::map<std::string, std::shared_ptr<InStream>, std::less<>> pulls_;
    std::map<std::string, std::shared_ptr<OutStream>, std::less<>> publishers_;
    std::map<std::string, PublisherOptions, std::less<>> publisher_options_;  ///< as asked for
    std::vector<std::weak_ptr<InStream>> subscribers_;
    struct Service {
        std::shared_ptr<Calls> calls;
        std::optional<RequesterOptions> options;  ///< as asked for; none: only recovered yet
    };
    std::map<std::string, Service, std::less<>> services_;
    std::map<std::string, std::shared_ptr<InStream>, std::less<>> repliers_;
    bool closed_ = false;
    std::atomic<std::uint64_t> damage_{0};

    std::atomic<bool> stopping_{false};
    std::mutex keeper_mutex_;
    std::condition_variable keeper_wanted_;
    std::thread background_;
    std::thread committer_;
    std::thread keeper_;
};

template <typename Work>
auto Runtime::with_engine(Work&& work) {
    struct Finish {
        Runtime& runtime;
        ~Finish() {
            if (runtime.work_pending_.load()) runtime.nudge();
        }
    };
    const Finish finish{*this};
    const std::lock_guard lock(role_);
    engine_->set_now(clock_.now(), clock_.wall_now());
    return work(*engine_);
}

}  // namespace peermq::detail
