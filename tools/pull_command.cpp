#include "pull_command.hpp"

#include "exit_codes.hpp"
#include "peer_arguments.hpp"
#include "receiving.hpp"

namespace peermq::tools {
namespace {

struct PullArguments {
    std::string queue;
    PeerArguments peer;
    ReceiveArguments receive;
    bool single_producer = false;
};

PullOptions options_of(const PullArguments& arguments) {
    PullOptions options;
    options.concurrency = static_cast<std::uint32_t>(arguments.receive.concurrency);
    options.prefetch = prefetch_of(arguments.receive);
    options.prefetch_bytes = arguments.receive.prefetch_bytes;
    if (arguments.receive.max_processing)
        options.max_processing = *arguments.receive.max_processing;
    options.single_producer = arguments.single_producer;
    return options;
}

int run(const PullArguments& arguments) {
    check(arguments.receive);
    (void)DeliveryFormat(arguments.receive.format);  // refused before anybody is connected
    const std::unique_ptr<Peer> peer = open_peer(arguments.peer);
    Pull pull = peer->pull(arguments.queue, options_of(arguments));
    Receiver receiver(arguments.receive, source_of(pull));
    return receiver.run(*peer);
}

}  // namespace

void add_pull_command(CLI::App& app, Command& chosen) {
    const auto arguments = std::make_shared<PullArguments>();
    CLI::App* command = app.add_subcommand("pull", "Receive messages of a queue and print them");
    command->group("Messages");
    command
        ->add_option("QUEUE", arguments->queue, "Name of the queue; NAME.dead reads dead letters")
        ->required();
    add_receive_options(*command, arguments->receive, true);
    command->add_flag("--single-producer", arguments->single_producer,
                      "Refuse a second producer of the queue");
    add_peer_options(*command, arguments->peer);
    set_guide(
        *command,
        {.more = "A message is acked once it was written, or its command has ended with 0. "
                 "Ctrl-C ends in order: running commands finish, the rest goes back to the "
                 "queue; a second Ctrl-C kills them.",
         .examples =
             {"peermq pull jobs --connect tcp://127.0.0.1:7000",
              "peermq pull jobs --connect ./spool --exit-at-end --json > jobs.jsonl",
              "peermq pull jobs -c tcp://127.0.0.1:7000 --format '{key}\\t{body}\\n' --count 10",
              "peermq pull images -c tcp://127.0.0.1:7000 --exec 'convert - out-$PEERMQ_ID.png' -j "
              "4",
              "peermq pull jobs.dead -c tcp://127.0.0.1:7000 -e --format "
              "'{header:peermq-dead-reason}\\n'"},
         .exit_codes = {kExitOk, kExitFailed, kExitTimeout, kExitRefused, kExitUsage, kExitOutput,
                        kExitInterrupted, kExitTerminated}});
    command->callback([&chosen, arguments] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace peermq::tools
