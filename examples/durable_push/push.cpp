/// Pushes numbered orders; with --crash it dies in the middle, without closing anything. Without
/// --crash it also handles everything that is there, and counts what is missing: nothing.

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include "peermq/peermq.hpp"

namespace {

constexpr auto kPatience = std::chrono::seconds(30);

struct Options {
    std::string spool = "./orders.spool";
    std::uint64_t count = 1000;
    bool crash = false;
};

Options parse(int argc, char** argv) {
    Options options;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--crash") {
            options.crash = true;
        } else if (arguments[i] == "--spool" && i + 1 < arguments.size()) {
            options.spool = arguments[++i];
        } else if (arguments[i] == "--count" && i + 1 < arguments.size()) {
            options.count = std::strtoull(arguments[++i].c_str(), nullptr, 10);
        } else {
            std::cerr << "usage: durable_push_push [--spool DIR] [--count N] [--crash]\n";
            std::exit(arguments[i] == "--help" ? 0 : 64);
        }
    }
    return options;
}

/// Waits for the first half only; what comes after it may or may not be stored when we die.
[[noreturn]] void crash_in_the_middle(const std::vector<peermq::Receipt>& receipts) {
    const std::size_t half = receipts.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
        if (!receipts[i].wait(peermq::Until::durable, kPatience)) std::exit(1);
    }
    std::cout << "durable: " << half << " of them; dying now, as if by kill -9" << std::endl;
    ::kill(::getpid(), SIGKILL);
    std::abort();
}

/// Handles orders 1 to `last` through a second peer; returns how many of them never came.
std::uint64_t drain(const std::string& endpoint, std::uint64_t last) {
    peermq::Peer consumer;
    consumer.connect(endpoint);
    peermq::Pull orders = consumer.pull("orders", {.prefetch = 1000});

    std::vector<bool> seen(last + 1, false);
    std::uint64_t distinct = 0;
    std::uint64_t again = 0;
    while (distinct < last) {
        std::optional<peermq::Delivery> delivery = orders.receive(kPatience);
        if (!delivery) break;
        const std::uint64_t number = std::stoull(std::string(delivery->text()));
        if (number == 0 || number > last) throw std::runtime_error("an order nobody pushed");
        if (seen[number]) ++again;
        if (!seen[number]) ++distinct;
        seen[number] = true;
        delivery->ack();
    }
    std::cout << "handled: " << distinct << ", twice: " << again << ", lost: " << last - distinct
              << std::endl;
    return last - distinct;
}

int run(const Options& options) {
    peermq::Peer peer({.spool = options.spool});
    const std::string endpoint = peer.bind("tcp://127.0.0.1:*");
    peermq::Push orders = peer.push("orders");

    // Nothing is handled before the last run, so what the spool holds are orders 1 to depth.
    const std::uint64_t kept = orders.stats().depth;
    const std::uint64_t last = kept + options.count;
    std::cout << "kept from earlier runs: " << kept << std::endl;
    std::cout << "pushing: " << kept + 1 << " to " << last << std::endl;

    std::vector<peermq::Receipt> receipts;
    for (std::uint64_t number = kept + 1; number <= last; ++number) {
        receipts.push_back(orders.post({.body = std::to_string(number)}));
    }
    if (options.crash) crash_in_the_middle(receipts);

    const std::uint64_t lost = drain(endpoint, last);
    const bool settled = orders.flush(peermq::Until::acked, kPatience);
    std::cout << "left in the spool: " << orders.stats().depth << std::endl;
    return lost == 0 && settled ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(parse(argc, argv));
    } catch (const std::exception& error) {
        std::cerr << "durable_push_push: " << error.what() << '\n';
        return 1;
    }
}
