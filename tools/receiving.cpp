#include "receiving.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include "exit_codes.hpp"
#include "quantities.hpp"
#include "talk.hpp"

namespace peermq::tools {
namespace {

constexpr auto kCloseTimeout = std::chrono::seconds(5);
/// Messages that are printed with one write, and acked only then.
constexpr std::size_t kPrintedMax = 256;
constexpr std::size_t kPrintedBytesMax = 64 * 1024;

/// A message that was settled by being received needs nothing more.
template <typename Settle>
void settle_once(Delivery& delivery, Settle&& how) {
    if (!delivery.settled()) how(delivery);
}

}  // namespace

void add_receive_options(CLI::App& app, ReceiveArguments& arguments, bool has_end) {
    add_take_options(app, arguments.take, has_end);
    add_format_options(app, arguments.format);
    app.add_option("-x,--exec", arguments.exec,
                   "Run COMMAND (by sh) for each message: body on its standard input, the rest in "
                   "PEERMQ_ID, PEERMQ_KEY, PEERMQ_ATTEMPT, ...; 0 acks, all else gives the message "
                   "back as failed")
        ->type_name("COMMAND");
    add_count(app, "--reject-on", arguments.reject_on,
              "Exit code of COMMAND that means: never again; the message goes to the dead letters",
              1, 255);
    add_count(app, "-j,--concurrency", arguments.concurrency,
              "Commands that run at the same time; default 1", 1, 1024);
    add_count(app, "--prefetch", arguments.prefetch,
              "Most messages held here; default 1,024, with --exec twice the concurrency", 1,
              1'000'000);
    add_bytes(app, "--prefetch-bytes", arguments.prefetch_bytes,
              "Most bytes held here; default 64M");
    add_duration(app, "--max-processing", arguments.max_processing,
                 "Longest time for one message, then it goes to others; default 30m");
}

void check(const ReceiveArguments& arguments) {
    if (!arguments.exec.empty() && arguments.format.given()) {
        throw UsageError(
            "--exec and --format, --json or --delimiter exclude each other: the output is what "
            "COMMAND prints");
    }
    if (arguments.exec.empty() && (arguments.concurrency > 1 || arguments.reject_on != 0)) {
        throw UsageError((arguments.concurrency > 1 ? "--concurrency" : "--reject-on") +
                         std::string(" is for --exec"));
    }
}

std::uint32_t prefetch_of(const ReceiveArguments& arguments) {
    std::uint64_t prefetch = arguments.prefetch;
    if (prefetch == 0 && !arguments.exec.empty()) prefetch = arguments.concurrency * 2;
    if (prefetch == 0) prefetch = kPrintedMax * 4;
    // A count takes from other consumers no more than it will use.
    if (arguments.take.count != 0) prefetch = std::min(prefetch, arguments.take.count);
    return static_cast<std::uint32_t>(prefetch);
}

Receiver::Receiver(const ReceiveArguments& arguments, Source source)
    : arguments_(arguments),
      source_(std::move(source)),
      format_(arguments.format),
      taker_(source_, arguments.take) {}

int Receiver::run(Peer& peer) {
    bool reader_gone = false;
    try {
        arguments_.exec.empty() ? print() : execute();
    } catch (const ReaderGone&) {
        reader_gone = true;
    }
    source_.stop();
    const bool closed = peer.close(kCloseTimeout);
    if (reader_gone) end_by_sigpipe();
    if (taker_.end() == Taker::End::timeout) {
        note("no message for " + short_duration(*arguments_.take.timeout) + "; " +
             plural(handled_.load(), "message") + " handled");
    }
    if (!closed) warn("a producer left before it confirmed the last acks: they may come again");
    if (failed_.load() > 0) {
        note(plural(failed_.load(), "message") + " given back as failed, " +
             grouped(handled_.load()) + " handled");
    }
    const int code = taker_.exit_code();
    return code == kExitOk && failed_.load() > 0 ? kExitRefused : code;
}

/// Prints what is there with one write; only then is it acked.
void Receiver::print() {
    std::vector<Delivery> printed;
    std::string text;
    while (std::optional<Delivery> delivery = taker_.next()) {
        do {
            format_.append(*delivery, text);
            printed.push_back(std::move(*delivery));
            if (printed.size() >= kPrintedMax || text.size() >= kPrintedBytesMax) break;
            delivery = taker_.next_now();
        } while (delivery);
        const bool written = write(text, printed);
        for (Delivery& each : printed) {
            settle_once(each, [&](Delivery& it) { written ? it.ack() : it.release(); });
        }
        if (written) handled_ += printed.size();
        printed.clear();
        text.clear();
    }
}

bool Receiver::write(const std::string& text, std::vector<Delivery>& printed) {
    try {
        return output_.write(text);
    } catch (...) {
        for (Delivery& each : printed) settle_once(each, [](Delivery& it) { it.release(); });
        throw;
    }
}

void Receiver::execute() {
    std::vector<std::jthread> workers;
    for (std::uint64_t i = 1; i < arguments_.concurrency; ++i) {
        workers.emplace_back([this] { work(); });
    }
    work();
}

void Receiver::work() {
    while (std::optional<Delivery> delivery = taker_.next()) {
        try {
            settle(*delivery, run_child(arguments_.exec, delivery->text(),
                                        environment_of(*delivery), ChildOutput::inherit, 0));
        } catch (const std::exception& error) {
            complain(error.what());
            settle_once(*delivery, [&](Delivery& it) { it.nack({}, error.what()); });
            ++failed_;
        }
    }
}

void Receiver::settle(Delivery& delivery, const ChildResult& result) {
    if (result.status == 0) {
        settle_once(delivery, [](Delivery& it) { it.ack(); });
        ++handled_;
        return;
    }
    ++failed_;
    note("message " + delivery.id() + ", attempt " + std::to_string(delivery.attempt()) +
         ": the command ended with " + result.reason());
    const bool never_again = arguments_.reject_on != 0 &&
                             static_cast<std::uint64_t>(result.status) == arguments_.reject_on;
    settle_once(delivery, [&](Delivery& it) {
        const std::string reason = "command: " + result.reason();
        never_again ? it.reject(reason) : it.nack({}, reason);
    });
}

}  // namespace peermq::tools
