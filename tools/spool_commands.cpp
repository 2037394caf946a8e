#include "spool_commands.hpp"

#include "exit_codes.hpp"
#include "peermq/error.hpp"
#include "spool_arguments.hpp"
#include "talk.hpp"
#include "text.hpp"

namespace peermq::tools {
namespace {

using Arguments = std::shared_ptr<SpoolArguments>;

/// A directory that is no spool ends alike whatever is wrong with it.
int run_spool_command(int (*command)(const SpoolArguments&), const SpoolArguments& arguments) {
    try {
        return command(arguments);
    } catch (const Error& error) {
        complain(printable(error.what()));
        if (error.code() == ErrorCode::invalid_argument) return kExitUsage;
        return error.code() == ErrorCode::locked ? kExitLocked : kExitFailed;
    }
}

struct Adder {
    CLI::App& spool;
    Command& chosen;
    Arguments arguments;

    CLI::App* operator()(const char* name, const char* about,
                         int (*command)(const SpoolArguments&)) const {
        CLI::App* app = spool.add_subcommand(name, about);
        app->add_option("DIR", arguments->directory, "The spool directory")->required();
        app->callback([this_chosen = &chosen, given = arguments, command] {
            *this_chosen = [given, command] { return run_spool_command(command, *given); };
        });
        return app;
    }
};

CLI::Option* add_queue_option(CLI::App& app, const Arguments& arguments, const char* about) {
    return app.add_option("--queue,--stream", arguments->queue, about)->type_name("NAME");
}

void add_json_flag(CLI::App& app, const Arguments& arguments) {
    app.add_flag("--json", arguments->json, "One JSON object per line");
}

void add_looking(const Adder& add) {
    const Arguments& arguments = add.arguments;
    CLI::App* ls = add("ls", "List segments and queues, with what is unsettled", spool_ls);
    ls->group("Look");
    add_json_flag(*ls, arguments);
    set_guide(*ls,
              {.examples = {"peermq spool ls ./spool",
                            "peermq spool ls --json ./spool | jq 'select(.type == \"stream\")'"},
               .exit_codes = {kExitOk, kExitFailed, kExitUsage, kExitOutput}});

    CLI::App* stat = add("stat", "Sum up a spool: sizes, depth, age, dead letters", spool_stat);
    stat->group("Look");
    add_json_flag(*stat, arguments);
    set_guide(*stat, {.examples = {"peermq spool stat ./spool",
                                   "peermq spool stat --json ./spool | jq .unsettled"},
                      .exit_codes = {kExitOk, kExitFailed, kExitUsage, kExitOutput}});

    CLI::App* dump = add("dump", "Print everything in the log, in order", spool_dump);
    dump->group("Look");
    add_queue_option(*dump, arguments, "Only what belongs to the queue NAME");
    dump->add_flag("--bodies", arguments->bodies, "Bodies of messages too");
    add_json_flag(*dump, arguments);
    set_guide(*dump,
              {.examples = {"peermq spool dump ./spool | less",
                            "peermq spool dump --queue orders --bodies ./spool",
                            "peermq spool dump --json ./spool | jq 'select(.settled == false)'"},
               .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitUsage, kExitOutput}});

    CLI::App* verify = add("verify", "Check every checksum; name damage by path, offset and count",
                           spool_verify);
    verify->group("Look");
    add_json_flag(*verify, arguments);
    set_guide(*verify,
              {.more = "0 is clean; 1 a torn tail or damage that was repaired, which costs "
                       "nothing that was durable; 2 damage.",
               .examples = {"peermq spool verify ./spool && echo clean",
                            "peermq spool verify --json /mnt/backup/spool"},
               .exit_codes = {kExitOk, kExitTornTail, kExitDamaged, kExitFailed, kExitUsage,
                              kExitOutput}});
}

void add_messages(const Adder& add) {
    const Arguments& arguments = add.arguments;
    const auto common = [&](CLI::App& app) {
        app.group("Messages");
        add_queue_option(app, arguments,
                         "Only those of the queue NAME; NAME.dead for dead letters");
        app.add_flag("--all", arguments->all, "Settled ones too, as far as they are still there");
    };
    CLI::App* peek = add("peek", "Show the first messages, without taking them", spool_peek);
    common(*peek);
    add_count(*peek, "-n,--count", arguments->count, "Show N messages; default 10", 1);
    peek->add_flag("--bodies", arguments->bodies, "Whole bodies, not only their first 200 bytes");
    add_json_flag(*peek, arguments);
    set_guide(*peek,
              {.examples = {"peermq spool peek ./spool --queue orders",
                            "peermq spool peek ./spool --queue orders.dead -n 1 --json | jq"},
               .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitUsage, kExitOutput}});

    CLI::App* grep = add("grep", "Find messages by body, key, id or header", spool_grep);
    grep->add_option("PATTERN", arguments->pattern,
                     "Regular expression; headers are matched as name=value")
        ->required();
    common(*grep);
    grep->add_flag("-F,--fixed-strings", arguments->fixed, "PATTERN is plain text");
    grep->add_flag("-i,--ignore-case", arguments->ignore_case, "Upper and lower case are alike");
    add_count(*grep, "-n,--count", arguments->count, "End after N messages", 1);
    grep->add_flag("--bodies", arguments->bodies, "Whole bodies, not only their first 200 bytes");
    add_json_flag(*grep, arguments);
    set_guide(*grep,
              {.examples = {"peermq spool grep ./spool 'customer-(7|8)'",
                            "peermq spool grep ./spool -F 'tenant=a' --queue orders --json"},
               .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitUsage, kExitOutput}});

    CLI::App* save = add("export", "Print messages as lines of JSON, for import or push --json",
                         spool_export);
    common(*save);
    set_guide(*save,
              {.examples = {"peermq spool export ./spool > spool.jsonl",
                            "peermq spool export ./spool --queue orders | gzip > orders.gz"},
               .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitUsage, kExitOutput}});
}

void add_changing(const Adder& add) {
    const Arguments& arguments = add.arguments;
    const auto common = [&](CLI::App& app) {
        app.group("Change");
        app.add_flag("--yes", arguments->yes, "Do it; without, only what would be done is said");
    };
    CLI::App* repair = add("repair", "Mend a damaged spool: keep what is whole, give up the rest",
                           spool_repair);
    common(*repair);
    add_json_flag(*repair, arguments);
    set_guide(*repair,
              {.more = "Prints what was found. Copies of damaged segments stay in "
                       "quarantine/ below DIR.",
               .examples = {"peermq spool repair ./spool", "peermq spool repair ./spool --yes"},
               .exit_codes = {kExitOk, kExitDamaged, kExitFailed, kExitLocked, kExitUsage}});

    CLI::App* load = add("import", "Add messages from lines of JSON, as export prints them",
                         spool_import);
    common(*load);
    load->add_option("-f,--file", arguments->files, "Read FILE; default: standard input")
        ->type_name("FILE")
        ->allow_extra_args(false);
    add_queue_option(*load, arguments, "Put all of them into the queue NAME");
    set_guide(*load,
              {.more = "The spool is made when it is missing. Dead letters go back into their "
                       "queue.",
               .examples = {"peermq spool export old | peermq spool import new --yes",
                            "peermq spool import ./spool -f orders.jsonl --queue orders --yes"},
               .exit_codes = {kExitOk, kExitFailed, kExitLocked, kExitUsage, kExitInterrupted,
                              kExitTerminated}});

    CLI::App* redrive = add("redrive", "Move dead letters back into their queue", spool_redrive);
    common(*redrive);
    add_queue_option(*redrive, arguments, "The queue whose dead letters are moved")->required();
    add_count(*redrive, "-n,--count", arguments->count, "Only the first N", 1);
    set_guide(*redrive, {.more = "Killed midway, one may be in both places; none is lost.",
                         .examples = {"peermq spool redrive ./spool --queue orders",
                                      "peermq spool redrive ./spool --queue orders -n 10 --yes"},
                         .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitLocked,
                                        kExitUsage, kExitInterrupted, kExitTerminated}});

    CLI::App* purge = add("purge", "Remove all messages of a queue, or its dead letters",
                          spool_purge);
    common(*purge);
    add_queue_option(*purge, arguments, "The queue; NAME.dead for dead letters")->required();
    set_guide(*purge,
              {.examples = {"peermq spool purge ./spool --queue orders.dead",
                            "peermq spool purge ./spool --queue orders.dead --yes"},
               .exit_codes = {kExitOk, kExitFailed, kExitNotFound, kExitLocked, kExitUsage}});
}

}  // namespace

void add_spool_commands(CLI::App& app, Command& chosen) {
    CLI::App* spool = app.add_subcommand(
        "spool", "Look into a spool directory, also one copied from a dead machine; mend it");
    spool->group("Spools");
    spool->require_subcommand(1);
    set_guide(*spool, {.more = "Commands that look change nothing and work beside the process that "
                               "has the spool open. Commands that change say what they would do; "
                               "with --yes they do it."});
    const Adder add{*spool, chosen, std::make_shared<SpoolArguments>()};
    add_looking(add);
    add_messages(add);
    add_changing(add);
}

}  // namespace peermq::tools
