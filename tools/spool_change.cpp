/// `peermq spool repair|import|redrive|purge`: what changes a spool. Each opens it as a peer does,
/// so that nobody else may have it open; without --yes each only says what it would do.

#include <algorithm>
#include <iostream>
#include <map>
#include <thread>

#include "arguments.hpp"
#include "base/file_system.hpp"
#include "base/random.hpp"
#include "bodies.hpp"
#include "exit_codes.hpp"
#include "message_json.hpp"
#include "peer_arguments.hpp"
#include "peermq/error.hpp"
#include "quantities.hpp"
#include "signals.hpp"
#include "spool/names.hpp"
#include "spool/repair.hpp"
#include "spool_arguments.hpp"
#include "spool_json.hpp"
#include "talk.hpp"
#include "text.hpp"
#include "text_table.hpp"

namespace peermq::tools {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kDeadSuffix = ".dead";

void say_dry_run(const std::string& what) { note("would " + what + "; --yes does it"); }

/// Throws Error locked when a running process has the spool open.
void require_unused(const spool::Inspection& inspection, const SpoolArguments& arguments) {
    if (inspection.owner.empty()) return;
    throw Error(ErrorCode::locked, printable(arguments.directory) + " is open in " +
                                       inspection.owner + ": end that process first");
}

std::unique_ptr<Peer> open_spool(const SpoolArguments& arguments) {
    PeerArguments peer;
    peer.spool = arguments.directory;
    return open_peer_alone(peer);
}

void print_damage(const std::vector<spool::Damage>& damage, bool json) {
    if (json) {
        for (const spool::Damage& each : damage) std::cout << to_json(each) << '\n';
        return;
    }
    for (const spool::Damage& each : damage) {
        std::cout << spool::to_string(each.kind) << "  " << printable(each.path) << " offset "
                  << each.offset << "  " << printable(each.text) << '\n';
    }
}

}  // namespace

int spool_repair(const SpoolArguments& arguments) {
    base::SystemFileSystem files;
    if (!arguments.yes) {
        const spool::Inspection inspection = inspect(arguments);
        print_damage(inspection.damage, arguments.json);
        if (inspection.damage.empty()) {
            note("nothing to repair");
            return kExitOk;
        }
        say_dry_run("mend " + plural(inspection.damage.size(), "finding") +
                    ": cut torn tails, write again what is whole, give up what cannot be read "
                    "(copies stay in quarantine/)");
        return kExitOk;
    }
    require_unused(inspect(arguments), arguments);
    base::SystemClock clock;
    base::SystemRandom random;
    const spool::RepairReport report = spool::repair(files, clock, random, arguments.directory, {});
    print_damage(report.found, arguments.json);
    note(report.found.empty()
             ? "nothing to repair"
             : plural(report.found.size(), "finding") + " mended, " +
                   plural(report.segments_rewritten, "segment") + " written again, " +
                   plural(report.records_lost, "message") + " lost");
    if (report.left.empty()) return kExitOk;
    for (const spool::Damage& damage : report.left) {
        warn("left for you: " + printable(damage.text.empty() ? damage.path : damage.text));
    }
    return kExitDamaged;
}

// --- import

namespace {

/// Posts what is read, one queue after the other, keeping what was given: id, key, headers.
class Importer {
public:
    explicit Importer(const SpoolArguments& arguments) : arguments_(arguments) {}

    int run() {
        BodyArguments input;
        input.files = arguments_.files;
        input.json = true;
        // What an export has written may be longer as JSON than it was.
        input.bytes_max = std::uint64_t{1} << 30;
        Bodies bodies(input);
        std::unique_ptr<Peer> peer;
        if (arguments_.yes) peer = open_spool(arguments_);
        Progress progress("importing", "message");
        Body body;
        while (bodies.next(body)) {
            take(peer.get(), body);
            progress.update(count_);
        }
        return finish(peer.get());
    }

private:
    void take(Peer* peer, const Body& body) {
        NewMessage message;
        try {
            message = message_of_json(body.bytes);
            if (!arguments_.queue.empty()) message.queue = arguments_.queue;
            if (message.queue.empty()) {
                throw std::runtime_error("names no queue: give --queue NAME");
            }
            // A dead letter comes back as a message of its queue: see redrive.
            if (message.queue.ends_with(kDeadSuffix)) {
                message.queue.resize(message.queue.size() - kDeadSuffix.size());
            }
        } catch (const std::runtime_error& error) {
            throw std::runtime_error(
                body.where + " " + error.what() +
                (count_ == 0 || !arguments_.yes
                     ? ""
                     : "; " + plural(count_, "message") + " before it are in"));
        }
        ++count_;
        ++queues_[message.queue];
        if (peer == nullptr) return;
        auto push = pushes_.find(message.queue);
        if (push == pushes_.end()) {
            push = pushes_.emplace(message.queue, peer->push(message.queue)).first;
        }
        const Message view = message.view();
        while (!push->second.try_post(view)) {
            if (stop_requested()) return;
            std::this_thread::sleep_for(1ms);
        }
    }

    int finish(Peer* peer) {
        std::string list;
        for (const auto& [queue, count] : queues_) {
            list += (list.empty() ? "" : ", ") + grouped(count) + " into " + printable(queue);
        }
        if (peer == nullptr) {
            say_dry_run("import " + plural(count_, "message") + (list.empty() ? "" : ": " + list));
            return kExitOk;
        }
        for (auto& [queue, push] : pushes_) (void)push.flush(Until::durable);
        pushes_.clear();
        (void)peer->close(5s);
        note(plural(count_, "message") + " imported" + (list.empty() ? "" : ": " + list));
        return stop_requested() ? Signals::instance().exit_code() : kExitOk;
    }

    const SpoolArguments& arguments_;
    std::uint64_t count_ = 0;
    std::map<std::string, std::uint64_t> queues_;
    std::map<std::string, Push> pushes_;
};

}  // namespace

int spool_import(const SpoolArguments& arguments) { return Importer(arguments).run(); }

// --- redrive

namespace {

/// Takes dead letters through the spool's own peer and posts them again; each is acked only once
/// its successor is durable, so that a crash may repeat one but loses none.
std::uint64_t move_dead_letters(const SpoolArguments& arguments, std::uint64_t wanted) {
    const std::unique_ptr<Peer> owner = open_spool(arguments);
    const std::string endpoint = "inproc://peermq-redrive-" + owner->id();
    Peer reader({.close_timeout = 5s});
    Push push = owner->push(arguments.queue);
    reader.connect(owner->bind(endpoint));
    Pull letters = reader.pull(arguments.queue + std::string(kDeadSuffix), {.prefetch = 256});
    Progress progress("redriving", "message", wanted);
    std::uint64_t moved = 0;
    int silent = 0;  // letters that were damaged never come
    while (moved < wanted && silent < 50 && !stop_requested()) {
        std::vector<Delivery> batch;
        Receipt last;
        while (batch.size() < 256 && moved + batch.size() < wanted) {
            auto letter = letters.receive(batch.empty() ? nanoseconds(100ms) : nanoseconds(0));
            if (!letter) break;
            last = push.post({.body = letter->body(),
                              .key = letter->key(),
                              .headers = letter->headers(),
                              .id = letter->id(),
                              .correlation_id = letter->correlation_id(),
                              .reply_to = letter->reply_to(),
                              .content_type = letter->content_type()});
            batch.push_back(std::move(*letter));
        }
        silent = batch.empty() ? silent + 1 : 0;
        if (batch.empty()) continue;
        (void)last.wait(Until::durable);
        for (Delivery& letter : batch) letter.ack();
        moved += batch.size();
        progress.update(moved);
    }
    letters.stop();
    (void)reader.close(10s);
    (void)owner->close(10s);
    return moved;
}

}  // namespace

int spool_redrive(const SpoolArguments& arguments) {
    SpoolArguments given = arguments;
    if (given.queue.ends_with(kDeadSuffix)) {
        given.queue.resize(given.queue.size() - kDeadSuffix.size());
    }
    SpoolArguments dead = given;
    dead.queue += kDeadSuffix;
    const spool::Inspection inspection = inspect(arguments);
    const spool::StreamSummary* stream = find_queue(inspection, dead.queue);
    if (stream == nullptr) return no_such_queue(given, inspection);
    const std::uint64_t wanted = given.count == 0 ? stream->unsettled
                                                  : std::min(given.count, stream->unsettled);
    const std::string what = plural(wanted, "dead letter") + " back into " + printable(given.queue);
    if (!given.yes) {
        say_dry_run("move " + what);
        return kExitOk;
    }
    require_unused(inspection, given);
    const std::uint64_t moved = wanted == 0 ? 0 : move_dead_letters(given, wanted);
    note(plural(moved, "dead letter") + " moved back into " + printable(given.queue));
    if (moved == wanted) return kExitOk;
    return stop_requested() ? Signals::instance().exit_code() : kExitFailed;
}

// --- purge

int spool_purge(const SpoolArguments& arguments) {
    const spool::Inspection inspection = inspect(arguments);
    const spool::StreamSummary* stream = find_queue(inspection, arguments.queue);
    if (stream == nullptr) return no_such_queue(arguments, inspection);
    const std::string of = " of " + printable(arguments.queue);
    if (!arguments.yes) {
        say_dry_run("remove " + plural(stream->unsettled, "message") + of);
        return kExitOk;
    }
    require_unused(inspection, arguments);
    base::SystemFileSystem files;
    base::SystemClock clock;
    base::SystemRandom random;
    const std::uint64_t purged = spool::purge(files, clock, random, arguments.directory, {},
                                              stream->info.kind, stream->info.name);
    note(plural(purged, "message") + of + " removed");
    return kExitOk;
}

}  // namespace peermq::tools
