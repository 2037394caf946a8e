#include "req_rep_commands.hpp"

#include <deque>
#include <thread>

#include "bodies.hpp"
#include "child.hpp"
#include "delivery_output.hpp"
#include "exit_codes.hpp"
#include "message_arguments.hpp"
#include "output.hpp"
#include "peer_arguments.hpp"
#include "peermq/error.hpp"
#include "quantities.hpp"
#include "signals.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 50ms;
constexpr auto kCloseTimeout = 5s;

// --- req

struct ReqArguments {
    std::string service;
    PeerArguments peer;
    BodyArguments bodies;
    PropertyArguments properties;
    std::optional<nanoseconds> timeout;
    std::uint64_t in_flight = 1;
    bool idempotent = false;
};

class Asking {
public:
    explicit Asking(const ReqArguments& arguments)
        : arguments_(arguments), properties_(arguments.properties), bodies_(arguments.bodies) {}

    int run() {
        const std::unique_ptr<Peer> peer = open_peer(arguments_.peer);
        RequesterOptions options;
        options.in_flight_max = static_cast<std::uint32_t>(arguments_.in_flight);
        Requester requester = peer->requester(arguments_.service, options);
        Progress progress("asking", "request");
        Body body;
        bool more = true;
        while (!stop_requested()) {
            more = more && asked_.size() < arguments_.in_flight && bodies_.next(body);
            if (more) {
                ask(requester, body);
                continue;
            }
            if (asked_.empty()) break;
            take_front();
            progress.update(++count_);
            more = true;
        }
        const bool stopped = stop_requested();
        asked_.clear();
        (void)peer->close(stopped ? nanoseconds(0) : nanoseconds(kCloseTimeout));
        if (stopped) complain("stopped: " + plural(count_, "request") + " answered");
        return stopped ? Signals::instance().exit_code() : worst_;
    }

private:
    struct Asked {
        PendingReply reply;
        std::string where;
    };

    void ask(Requester& requester, const Body& body) {
        NewMessage message;
        if (arguments_.bodies.json) {
            try {
                message = message_of_json(body.bytes);
            } catch (const std::runtime_error& error) {
                throw std::runtime_error(body.where + " " + error.what());
            }
        } else {
            message.body = body.bytes;
        }
        properties_.apply(message);
        RequestOptions options;
        options.timeout = arguments_.timeout;
        options.idempotent = arguments_.idempotent;
        try {
            asked_.push_back({requester.request(message.view(), options), body.where});
        } catch (const Error& error) {
            throw Error(error.code(), body.where + ": " + error.what());
        }
    }

    /// Replies come out in the order of the requests.
    void take_front() {
        Asked& front = asked_.front();
        try {
            while (!stop_requested()) {
                const std::optional<Reply> reply = front.reply.next(kLook);
                if (!reply) continue;
                print(*reply);
                if (reply->is_last()) break;
            }
        } catch (const Error& error) {
            worst_ = std::max(worst_,
                              error.code() == ErrorCode::timeout ? kExitTimeout : kExitRefused);
            complain(front.where + ": " + printable(error.what()));
        }
        asked_.pop_front();
    }

    void print(const Reply& reply) {
        if (reply.is_progress()) {
            if (!arguments_.peer.quiet) note("progress: " + printable(reply.text()));
            return;
        }
        (void)output_.write(std::string(reply.text()) + "\n");
    }

    const ReqArguments& arguments_;
    const Properties properties_;
    Bodies bodies_;
    std::deque<Asked> asked_;
    std::uint64_t count_ = 0;
    int worst_ = kExitOk;
    Output output_;
};

// --- rep

struct RepArguments {
    std::string service;
    PeerArguments peer;
    std::string exec;
    std::uint64_t concurrency = 1;
    std::uint64_t count = 0;
    std::optional<nanoseconds> timeout;
    bool echo = false;
};

class Answering {
public:
    explicit Answering(const RepArguments& arguments) : arguments_(arguments) {}

    int run() {
        if (arguments_.exec.empty() == !arguments_.echo) {
            throw UsageError("give --exec COMMAND, which answers with what it prints, or --echo");
        }
        const std::unique_ptr<Peer> peer = open_peer(arguments_.peer);
        ReplierOptions options;
        options.concurrency = static_cast<std::uint32_t>(arguments_.concurrency);
        Replier replier = peer->replier(arguments_.service, options);
        {
            std::vector<std::jthread> workers;
            for (std::uint64_t i = 1; i < arguments_.concurrency; ++i) {
                workers.emplace_back([&] { work(replier); });
            }
            work(replier);
        }
        replier.stop();
        (void)peer->close(kCloseTimeout);
        if (failed_.load() > 0) note(plural(failed_.load(), "request") + " failed");
        if (late_.load()) {
            note("no request for " + short_duration(*arguments_.timeout) + "; " +
                 plural(answered_.load(), "request") + " answered");
            return kExitTimeout;
        }
        if (stop_requested() && arguments_.count != 0) return Signals::instance().exit_code();
        return failed_.load() > 0 ? kExitRefused : kExitOk;
    }

private:
    void work(Replier& replier) {
        auto last = std::chrono::steady_clock::now();
        while (!stop_requested()) {
            if (arguments_.count != 0 && taken_.fetch_add(1) >= arguments_.count) return;
            std::optional<Request> request;
            while (!stop_requested() && !(request = replier.receive(kLook))) {
                const auto waited = std::chrono::steady_clock::now() - last;
                if (arguments_.timeout && waited >= *arguments_.timeout) {
                    late_ = true;
                    return;
                }
            }
            if (!request) return;
            answer(*request);
            last = std::chrono::steady_clock::now();
        }
    }

    void answer(Request& request) {
        try {
            if (arguments_.echo) {
                request.reply(request.body());
            } else {
                execute(request);
            }
            ++answered_;
        } catch (const std::exception& error) {
            ++failed_;
            complain(printable(error.what()));
            if (!request.answered()) request.fail("handler_failed", error.what());
        }
    }

    void execute(Request& request) {
        const Environment environment{{"PEERMQ_SERVICE", request.service()},
                                      {"PEERMQ_ID", request.id()},
                                      {"PEERMQ_CORRELATION_ID", request.correlation_id()},
                                      {"PEERMQ_CONTENT_TYPE", std::string(request.content_type())},
                                      {"PEERMQ_HEADERS", headers_json(request.headers())}};
        ChildResult result = run_child(arguments_.exec, request.text(), environment,
                                       ChildOutput::capture, arguments_.peer.message_bytes_max);
        if (result.status == 0) {
            // As in $(COMMAND): the newline that ends its last line is no part of the reply.
            if (result.output.ends_with('\n')) result.output.pop_back();
            request.reply(result.output);
            return;
        }
        ++failed_;
        note("request " + request.id() + ": the command ended with " + result.reason());
        request.fail("command_failed", result.reason());
    }

    const RepArguments& arguments_;
    std::atomic<std::uint64_t> taken_{0};
    std::atomic<std::uint64_t> answered_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::atomic<bool> late_{false};
};

}  // namespace

void add_req_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<ReqArguments>();
    CLI::App* command = app.add_subcommand("req", "Ask a service, and print its replies");
    command->group("Messages");
    command->add_option("SERVICE", arguments->service, "Name of the service")->required();
    add_body_options(*command, arguments->bodies);
    add_property_options(*command, arguments->properties);
    add_duration(*command, "--timeout", arguments->timeout,
                 "Longest time for each reply; default 30s");
    add_count(*command, "-j,--in-flight", arguments->in_flight,
              "Requests under way at the same time; default 1", 1, 1'000'000);
    command->add_flag("--idempotent", arguments->idempotent,
                      "A request may run twice: it goes to another replier when its own is lost");
    add_peer_options(*command, arguments->peer);
    set_guide(
        *command,
        {.more = "Replies are printed one a line, in the order of the requests; a failure is one "
                 "line on standard error.",
         .examples =
             {"peermq req price 'cat food' --connect tcp://127.0.0.1:7000",
              "cut -f1 list.tsv | peermq req price -c tcp://127.0.0.1:7000 -j 16 --timeout 2s"},
         .exit_codes = {kExitOk, kExitFailed, kExitTimeout, kExitRefused, kExitUsage, kExitOutput,
                        kExitInterrupted, kExitTerminated}});
    command->callback([&chosen, arguments] {
        arguments->bodies.bytes_max = arguments->peer.message_bytes_max;
        chosen = [arguments] { return Asking(*arguments).run(); };
    });
}

void add_rep_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<RepArguments>();
    CLI::App* command = app.add_subcommand("rep", "Answer the requests of a service");
    command->group("Messages");
    command->add_option("SERVICE", arguments->service, "Name of the service")->required();
    CLI::Option* exec = command->add_option(
        "-x,--exec", arguments->exec,
        "Run COMMAND (by sh) for each request: its standard input is the request, its standard "
        "output, without its last newline, the reply; an exit code other than 0 is a failure at "
        "the requester");
    exec->type_name("COMMAND");
    command->add_flag("--echo", arguments->echo, "Answer with the request itself")->excludes(exec);
    add_count(*command, "-j,--concurrency", arguments->concurrency,
              "Commands that run at the same time; default 1", 1, 1024);
    add_count(*command, "-n,--count", arguments->count, "End after N requests", 1);
    add_duration(*command, "--timeout", arguments->timeout,
                 "End with 5 when no request comes for so long");
    add_peer_options(*command, arguments->peer);
    set_guide(*command,
              {.more = "Ctrl-C lets running commands finish.",
               .examples = {"peermq rep upper --bind tcp://127.0.0.1:7000 --exec 'tr a-z A-Z'",
                            "peermq rep price -c tcp://127.0.0.1:7000 -j 8 --exec ./price"},
               .exit_codes = {kExitOk, kExitFailed, kExitTimeout, kExitRefused, kExitUsage,
                              kExitInterrupted, kExitTerminated}});
    command->callback(
        [&chosen, arguments] { chosen = [arguments] { return Answering(*arguments).run(); }; });
}

}  // namespace peermq::tools
