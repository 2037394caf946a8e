#include "pub_sub_commands.hpp"

#include <algorithm>

#include "bodies.hpp"
#include "exit_codes.hpp"
#include "message_arguments.hpp"
#include "peer_arguments.hpp"
#include "peermq/error.hpp"
#include "quantities.hpp"
#include "receiving.hpp"
#include "signals.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kLook = 100ms;
constexpr auto kCloseTimeout = 5s;

// --- pub

struct PubArguments {
    std::string topic;
    std::string publisher;
    PeerArguments peer;
    BodyArguments bodies;
    PropertyArguments properties;
    std::optional<std::uint64_t> subscribers;
    std::uint64_t subscribers_given = 1;
    std::optional<nanoseconds> timeout;
    bool ids = false;
};

/// Before anybody is waited for.
void check_topic(const std::string& topic) {
    const bool joined = topic.starts_with('.') || topic.ends_with('.') ||
                        topic.find("..") != std::string::npos;
    if (topic.empty() || joined || topic.find_first_of(" *#") != std::string::npos) {
        throw UsageError("TOPIC: \"" + printable(topic) +
                         "\" is no topic: tokens joined by dots, without space, * and #, would be");
    }
}

class Publishing {
public:
    explicit Publishing(const PubArguments& arguments)
        : arguments_(arguments),
          properties_(arguments.properties),
          bodies_(arguments.bodies),
          stored_(!arguments.peer.spool.empty() && arguments.peer.durability != "memory"),
          deadline_(arguments.timeout ? Clock::now() + *arguments.timeout
                                      : Clock::time_point::max()) {}

    int run() {
        check_topic(arguments_.topic);
        const std::unique_ptr<Peer> peer = open_peer(arguments_.peer);
        const std::string& topic = arguments_.topic;
        const std::string name = arguments_.publisher.empty() ? topic.substr(0, topic.find('.'))
                                                              : arguments_.publisher;
        Publisher publisher = peer->publisher(name, {.durability = durability_of(arguments_.peer)});
        const int code = publish_all(publisher);
        (void)peer->close(code == kExitOk ? nanoseconds(kCloseTimeout) : nanoseconds(0));
        return code;
    }

private:
    int publish_all(Publisher& publisher) {
        const std::uint64_t wanted = arguments_.subscribers.value_or(stored_ ? 0 : 1);
        if (wanted > 0) note("waiting for " + plural(wanted, "subscription"));
        if (wanted > 0 &&
            !wait([&](nanoseconds time) { return publisher.wait_for_subscribers(wanted, time); })) {
            return ended("subscribers: nothing was published");
        }
        Progress progress("publishing", "message");
        Body body;
        while (bodies_.next(body)) {
            NewMessage message;
            try {
                if (arguments_.bodies.json) {
                    message = message_of_json(body.bytes);
                } else {
                    message.body = body.bytes;
                }
            } catch (const std::runtime_error& error) {
                throw std::runtime_error(body.where + " " + error.what());
            }
            properties_.apply(message);
            std::optional<Receipt> receipt;
            const Message view = message.view();
            const bool posted = wait([&](nanoseconds time) {
                receipt = publisher.post_within(arguments_.topic, view, time);
                return receipt.has_value();
            });
            if (!posted) return ended("room: " + plural(count_, "message") + " published");
            ++count_;
            if (arguments_.ids) {
                (void)receipt->wait(Until::durable);
                (void)output_.write((message.id.empty() ? receipt->id() : message.id) + '\n');
            }
            progress.update(count_);
        }
        // What lies in memory only must be with its subscribers before this process ends.
        const Until until = stored_ ? Until::durable : Until::acked;
        if (!wait([&](nanoseconds time) { return publisher.flush(until, time); })) {
            return ended(stored_ ? "the disk" : "subscribers to take all of it");
        }
        if (stop_requested()) return ended("the rest of the input");
        if (arguments_.peer.verbose) note(plural(count_, "message") + " published");
        return kExitOk;
    }

    /// In short steps, so that Ctrl-C is heard; false when that or the deadline came first.
    template <typename Wait>
    bool wait(Wait&& done) {
        while (true) {
            const nanoseconds left = deadline_ == Clock::time_point::max()
                                         ? nanoseconds(kLook)
                                         : std::clamp<nanoseconds>(deadline_ - Clock::now(),
                                                                   nanoseconds(0), kLook);
            if (done(left)) return true;
            if (stop_requested() || Clock::now() >= deadline_) return false;
        }
    }

    [[nodiscard]] int ended(const std::string& what) const {
        if (stop_requested()) {
            complain("stopped while waiting for " + what);
            return Signals::instance().exit_code();
        }
        complain("time is over while waiting for " + what);
        return kExitTimeout;
    }

    const PubArguments& arguments_;
    const Properties properties_;
    Bodies bodies_;
    const bool stored_;
    const Clock::time_point deadline_;
    Output output_;
    std::uint64_t count_ = 0;
};

// --- sub

struct SubArguments {
    std::vector<std::string> patterns;
    std::string name;
    std::string from;
    std::vector<std::string> headers;
    PeerArguments peer;
    ReceiveArguments receive;
};

SubscriberOptions options_of(const SubArguments& arguments) {
    SubscriberOptions options;
    options.name = arguments.name;
    for (const std::string& header : arguments.headers) {
        const std::size_t equals = header.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw UsageError("--header: \"" + printable(header) +
                             "\" is no header: name=value would be");
        }
        options.headers.emplace_back(header.substr(0, equals), header.substr(equals + 1));
    }
    if (arguments.from == "start") options.from = From::start();
    options.prefetch = prefetch_of(arguments.receive);
    options.prefetch_bytes = arguments.receive.prefetch_bytes;
    options.concurrency = static_cast<std::uint32_t>(arguments.receive.concurrency);
    if (arguments.receive.max_processing)
        options.max_processing = *arguments.receive.max_processing;
    return options;
}

int subscribe(const SubArguments& arguments) {
    check(arguments.receive);
    (void)DeliveryFormat(arguments.receive.format);  // refused before anybody is connected
    const SubscriberOptions options = options_of(arguments);
    const std::unique_ptr<Peer> peer = open_peer(arguments.peer);
    Subscriber subscriber = peer->subscriber(arguments.patterns.front(), options);
    for (std::size_t i = 1; i < arguments.patterns.size(); ++i) {
        for (const std::string& refusal : subscriber.subscribe(arguments.patterns[i]).refusals) {
            warn(printable(refusal));
        }
    }
    Receiver receiver(arguments.receive,
                      {.receive = [&](nanoseconds time) { return subscriber.receive(time); },
                       .stop = [&] { subscriber.stop(); },
                       .stopped = [&] { return subscriber.stopped(); },
                       .stats = {}});
    return receiver.run(*peer);
}

}  // namespace

void add_pub_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<PubArguments>();
    CLI::App* command = app.add_subcommand("pub", "Publish messages under a topic");
    command->group("Messages");
    command
        ->add_option("TOPIC", arguments->topic, "Tokens joined by dots, such as orders.eu.created")
        ->required();
    add_body_options(*command, arguments->bodies);
    add_property_options(*command, arguments->properties);
    add_spool_options(*command, arguments->peer);
    command
        ->add_option("--publisher", arguments->publisher,
                     "Name of the publisher, with which TOPIC begins; default: its first token")
        ->type_name("NAME");
    add_count(*command, "--subscribers", arguments->subscribers_given,
              "Wait for N subscriptions first; default 1, with a spool 0");
    add_duration(*command, "--timeout", arguments->timeout,
                 "Longest time for all of it; default: none");
    command->add_flag("--ids", arguments->ids, "Print the id of each message");
    add_peer_options(*command, arguments->peer);
    set_guide(
        *command,
        {.more = "A live subscription gets what is published while it is there. Ends with 0 when "
                 "all subscriptions have it; with --spool, when it is durable here.",
         .examples = {"peermq pub orders.eu.created '{\"id\":1}' --bind tcp://127.0.0.1:7000",
                      "tail -f app.log | peermq pub logs.web --connect tcp://127.0.0.1:7000",
                      "peermq pub orders.eu.created hello --spool ./spool --bind "
                      "tcp://127.0.0.1:7000 --subscribers 2"},
         .exit_codes = {kExitOk, kExitFailed, kExitTimeout, kExitLocked, kExitUsage, kExitOutput,
                        kExitInterrupted, kExitTerminated}});
    const CLI::Option* given = command->get_option("--subscribers");
    command->callback([&chosen, arguments, given] {
        if (given->count() > 0) arguments->subscribers = arguments->subscribers_given;
        arguments->bodies.bytes_max = arguments->peer.message_bytes_max;
        chosen = [arguments] { return Publishing(*arguments).run(); };
    });
}

void add_sub_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<SubArguments>();
    CLI::App* command = app.add_subcommand("sub",
                                           "Receive what is published under matching topics");
    command->group("Messages");
    command
        ->add_option(
            "PATTERN", arguments->patterns,
            "Topics; * stands for one token, # at the end for the rest, such as 'orders.#'")
        ->required();
    command
        ->add_option("--name", arguments->name,
                     "A durable subscription of this name: publishers keep its messages until they "
                     "are acked here; default: a live one")
        ->type_name("NAME");
    add_choice(*command, "--from", arguments->from,
               "Where a new subscription begins: now (default) or start, with all that is retained",
               {"now", "start"});
    command
        ->add_option("-H,--header", arguments->headers,
                     "Only messages with this header; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    add_receive_options(*command, arguments->receive, false);
    add_peer_options(*command, arguments->peer);
    set_guide(
        *command,
        {.more = "A gap, messages that a slow subscription has missed, is told on standard "
                 "error, with how many.",
         .examples =
             {"peermq sub 'orders.#' --connect tcp://127.0.0.1:7000",
              "peermq sub 'logs.*' 'alerts.#' -c tcp://127.0.0.1:7000 --format '{topic} {body}\\n'",
              "peermq sub 'orders.#' --name billing -c tcp://127.0.0.1:7000 --exec ./bill"},
         .exit_codes = {kExitOk, kExitFailed, kExitTimeout, kExitRefused, kExitUsage, kExitOutput,
                        kExitInterrupted, kExitTerminated}});
    command->callback(
        [&chosen, arguments] { chosen = [arguments] { return subscribe(*arguments); }; });
}

}  // namespace peermq::tools
