#include "push_command.hpp"

#include <algorithm>
#include <deque>
#include <iostream>
#include <thread>

#include "bodies.hpp"
#include "exit_codes.hpp"
#include "message_arguments.hpp"
#include "message_json.hpp"
#include "output.hpp"
#include "peer_arguments.hpp"
#include "peermq/control.hpp"
#include "peermq/error.hpp"
#include "peermq/push.hpp"
#include "quantities.hpp"
#include "signals.hpp"
#include "talk.hpp"

namespace peermq::tools {
namespace {

using Clock = std::chrono::steady_clock;

/// How long an attempt to post waits before it tries again, and how often a wait looks for Ctrl-C.
constexpr auto kRetryWait = std::chrono::milliseconds(1);
constexpr auto kLook = std::chrono::milliseconds(100);
/// Receipts that are kept to print ids.
constexpr std::size_t kReceiptsMax = 8192;
constexpr auto kCloseTimeout = std::chrono::seconds(5);

struct PushArguments {
    std::string queue;
    PeerArguments peer;
    BodyArguments bodies;
    PropertyArguments properties;
    std::string via;
    std::string wait;
    std::optional<nanoseconds> timeout;
    bool ids = false;
};

NewMessage message_of(const PushArguments& arguments, const Properties& properties,
                      const Body& body) {
    NewMessage message;
    if (arguments.bodies.json) {
        try {
            message = message_of_json(body.bytes);
        } catch (const std::runtime_error& error) {
            throw std::runtime_error(body.where + " " + error.what());
        }
    } else {
        message.body = body.bytes;
    }
    properties.apply(message);
    return message;
}

class Pusher {
public:
    explicit Pusher(const PushArguments& arguments)
        : arguments_(arguments),
          bodies_(arguments.bodies),
          properties_(arguments.properties),
          memory_only_(arguments.peer.spool.empty() || arguments.peer.durability == "memory"),
          until_(arguments.wait == "acked" || (arguments.wait.empty() && memory_only_)
                     ? Until::acked
                     : Until::durable),
          deadline_(arguments.timeout ? Clock::now() + *arguments.timeout
                                      : Clock::time_point::max()) {}

    int run() {
        if (memory_only_ && until_ == Until::durable) {
            throw UsageError(
                "--wait durable means nothing for messages in memory, which end with this "
                "process: give --spool DIR, or --wait acked");
        }
        if (arguments_.peer.spool.empty() && arguments_.peer.bind.empty() &&
            arguments_.peer.connect.empty()) {
            throw UsageError(
                "nothing would keep the messages: give --spool DIR, --via DIR of a running peer, "
                "or "
                "--connect ENDPOINT or --bind ENDPOINT to hand them out at once");
        }
        if (until_ == Until::acked && arguments_.peer.bind.empty() &&
            arguments_.peer.connect.empty()) {
            throw UsageError("nobody could ack: give --connect ENDPOINT or --bind ENDPOINT too");
        }
        peer_ = open_peer_alone(arguments_.peer);
        push_.emplace(
            peer_->push(arguments_.queue, {.durability = durability_of(arguments_.peer)}));
        return finish(post_all());
    }

private:
    enum class End { done, timeout, stopped };

    End post_all() {
        Progress progress("pushing", "message");
        Body body;
        while (bodies_.next(body)) {
            if (const End end = post(body); end != End::done) return end;
            const std::uint64_t total = bodies_.bytes_total();
            progress.update(
                posted_,
                total == 0 ? "" : short_bytes(bodies_.bytes_read()) + " of " + short_bytes(total));
            if (receipts_.size() >= kReceiptsMax) {
                if (const End end = print_ids(); end != End::done) return end;
            }
        }
        return stop_requested() ? End::stopped : End::done;
    }

    End post(const Body& body) {
        const NewMessage message = message_of(arguments_, properties_, body);
        const Message view = message.view();
        while (true) {
            std::optional<Receipt> receipt = try_post(view, body.where);
            if (receipt) {
                ++posted_;
                if (arguments_.ids) receipts_.push_back({*receipt, message.id});
                return End::done;
            }
            if (stop_requested()) return End::stopped;
            if (Clock::now() >= deadline_) return End::timeout;
            std::this_thread::sleep_for(kRetryWait);
        }
    }

    std::optional<Receipt> try_post(const Message& message, const std::string& where) {
        try {
            return push_->try_post(message);
        } catch (const Error& error) {
            if (error_class(error.code()) != ErrorClass::fix_the_call) throw;
            throw std::runtime_error(where + ": " + error.what());
        }
    }

    /// Waits in short steps, so that Ctrl-C is heard.
    template <typename Wait>
    End wait_for(Wait&& wait) {
        while (true) {
            const auto left = deadline_ == Clock::time_point::max()
                                  ? nanoseconds(kLook)
                                  : std::clamp<nanoseconds>(deadline_ - Clock::now(),
                                                            nanoseconds(0), kLook);
            if (wait(left)) return End::done;
            if (stop_requested()) return End::stopped;
            if (Clock::now() >= deadline_) return End::timeout;
        }
    }

    End wait_all() {
        Progress progress(until_ == Until::acked ? "waiting for acks" : "waiting for the disk",
                          "message", posted_);
        return wait_for([&](nanoseconds time) {
            const PushStats stats = push_->stats();
            progress.update(posted_ - std::min(posted_, stats.depth));
            return push_->flush(until_, time);
        });
    }

    /// Prints the ids of what is as safe as was asked for.
    End print_ids() {
        std::string lines;
        End end = End::done;
        while (!receipts_.empty() && end == End::done) {
            const Sent& sent = receipts_.front();
            end = wait_for([&](nanoseconds time) { return sent.receipt.wait(until_, time); });
            if (end != End::done) break;
            lines += (sent.id.empty() ? sent.receipt.id() : sent.id) + '\n';
            receipts_.pop_front();
        }
        (void)output_.write(lines);
        return end;
    }

    int finish(End end) {
        if (end == End::done) end = print_ids();
        if (end == End::done) end = wait_all();
        // What was posted is in the spool's hands; a moment is enough to store it.
        const bool safe = !memory_only_ && end != End::done &&
                          push_->flush(Until::durable, kCloseTimeout);
        const std::uint64_t open = push_->stats().depth;
        push_.reset();
        const bool closed = peer_->close(end == End::done ? kCloseTimeout : nanoseconds(0));
        const std::string sent = plural(posted_, "message");
        switch (end) {
            case End::done:
                if (closed || until_ == Until::durable) {
                    if (arguments_.peer.verbose) {
                        note(sent + (until_ == Until::acked ? " acked" : " durable"));
                    }
                    return kExitOk;
                }
                [[fallthrough]];
            case End::timeout:
                complain("time is over: of " + sent + ", " + grouped(std::min(open, posted_)) +
                         (memory_only_ ? " were not acked and are lost with this process"
                          : safe       ? " are durable in the spool, not yet acked"
                                       : " are not yet acked; those in the spool stay there"));
                return kExitTimeout;
            case End::stopped:
                complain("stopped: " + sent + " posted" +
                         (memory_only_ ? ", " + grouped(std::min(open, posted_)) +
                                             " not acked and lost with this process"
                          : safe ? ", all durable"
                                 : "") +
                         "; the rest of the input was not read");
                return Signals::instance().exit_code();
        }
        return kExitFailed;
    }

    struct Sent {
        Receipt receipt;
        std::string id;
    };

    const PushArguments& arguments_;
    Bodies bodies_;
    const Properties properties_;
    const bool memory_only_;
    const Until until_;
    const Clock::time_point deadline_;
    std::unique_ptr<Peer> peer_;
    std::optional<Push> push_;
    std::deque<Sent> receipts_;
    std::uint64_t posted_ = 0;
    Output output_;
};

/// Hands each message to a running peer, which keeps it: this process needs no spool of its own.
class Forwarder {
public:
    explicit Forwarder(const PushArguments& arguments)
        : arguments_(arguments), properties_(arguments.properties), bodies_(arguments.bodies) {}

    int run() {
        const PeerArguments& peer = arguments_.peer;
        if (!peer.spool.empty() || !peer.bind.empty() || !peer.connect.empty()) {
            throw UsageError(
                "--via hands messages to another peer: leave out --spool, --bind and "
                "--connect");
        }
        if (arguments_.wait == "acked") {
            throw UsageError(
                "--via ends once the messages are durable there: leave out --wait acked");
        }
        static_cast<void>(Signals::instance());
        Talk::instance().set_quiet(peer.quiet);
        Control control(arguments_.via, arguments_.timeout.value_or(std::chrono::seconds(30)));
        Progress progress("handing over", "message");
        Body body;
        while (bodies_.next(body)) {
            const NewMessage message = message_of(arguments_, properties_, body);
            const std::string id = hand_over(control, message, body.where);
            progress.update(++count_);
            if (arguments_.ids) (void)output_.write(id + '\n');
        }
        if (peer.verbose) note(plural(count_, "message") + " durable at the peer");
        if (!stop_requested()) return kExitOk;
        complain("stopped: " + plural(count_, "message") + " handed over; the rest was not read");
        return Signals::instance().exit_code();
    }

private:
    std::string hand_over(Control& control, const NewMessage& message, const std::string& where) {
        try {
            return control.push(arguments_.queue, message.view());
        } catch (const Error& error) {
            const std::string done = count_ == 0
                                         ? ""
                                         : "; " + plural(count_, "message") + " before it are safe";
            throw Error(error.code(), where + ": " + error.what() + done);
        }
    }

    const PushArguments& arguments_;
    const Properties properties_;
    Bodies bodies_;
    Output output_;
    std::uint64_t count_ = 0;
};

}  // namespace

void add_push_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<PushArguments>();
    CLI::App* command = app.add_subcommand("push", "Send messages to a queue");
    command->group("Messages");
    command->add_option("QUEUE", arguments->queue, "Name of the queue")->required();
    add_body_options(*command, arguments->bodies);
    add_property_options(*command, arguments->properties);
    add_spool_options(*command, arguments->peer);
    command
        ->add_option("--via", arguments->via,
                     "Hand the messages to the running peer that has the spool DIR open; it keeps "
                     "them and hands them out")
        ->type_name("DIR");
    add_choice(*command, "--wait", arguments->wait,
               "What ends with 0 waits for: durable (kept as --durability asks; default with a "
               "spool) or acked (handled by consumers; default without)",
               {"durable", "acked"});
    add_duration(*command, "--timeout", arguments->timeout,
                 "Longest time for all of it; default: none");
    command->add_flag("--ids", arguments->ids,
                      "Print the id of each message, once it is as safe as --wait asks");
    add_peer_options(*command, arguments->peer);
    set_guide(*command,
              {.more = "Ends with 0 only when every message is as safe as --wait asks. Messages in "
                       "a spool that nobody has acked yet stay there: `peermq serve DIR` hands "
                       "them out.",
               .examples =
                   {"peermq push jobs 'resize cat.jpg' --spool ./spool",
                    "seq 1000 | peermq push numbers --spool ./spool --bind tcp://127.0.0.1:7000",
                    "find . -name '*.log' -print0 | peermq push files --delimiter '\\0' -s ./spool",
                    "peermq push jobs -f report.pdf --header type=pdf --key customer-7 -s ./spool",
                    "peermq push jobs hello --connect tcp://127.0.0.1:7000 --timeout 10s"},
               .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitTimeout, kExitLocked,
                              kExitUsage, kExitOutput, kExitInterrupted, kExitTerminated}});
    command->callback([&chosen, arguments] {
        chosen = [arguments] {
            arguments->bodies.bytes_max = arguments->peer.message_bytes_max;
            return arguments->via.empty() ? Pusher(*arguments).run() : Forwarder(*arguments).run();
        };
    });
}

}  // namespace peermq::tools
