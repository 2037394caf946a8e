/// Makes a spool for the tests of `peermq spool`, through the public API:
///     tools_spool DIR [--crash]
/// Queue "orders": 400 messages with key and header, the first 100 settled. Queue "odd": bytes that
/// are no text. With --crash it leaves without closing.

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "peermq/peermq.hpp"

namespace {

constexpr int kOrders = 400;
constexpr int kSettled = 100;
constexpr auto kPatience = std::chrono::seconds(30);

void push_all(peermq::Peer& peer) {
    peermq::Push orders = peer.push("orders");
    for (int number = 1; number <= kOrders; ++number) {
        const std::string body = "order " + std::to_string(number) + " " + std::string(200, 'x');
        const std::string key = "customer-" + std::to_string(number % 7);
        static_cast<void>(orders.post({.body = body, .key = key, .headers = {{"tenant", "a"}}}));
    }
    peermq::Push odd = peer.push("odd");
    odd.send({.body = std::string_view("\x1b[31mred\n\x80\xff\0end", 15)});
    odd.send({.body = "gr\xc3\xbc\xc3\x9f", .content_type = "text/plain"});
    if (!orders.flush(peermq::Until::durable, kPatience)) throw std::runtime_error("not durable");
}

void settle_some(const std::string& endpoint) {
    peermq::Peer consumer;
    consumer.connect(endpoint);
    peermq::Pull orders = consumer.pull("orders", {.prefetch = kSettled});
    std::vector<peermq::Settlement> settlements;
    for (int i = 0; i < kSettled; ++i) {
        auto delivery = orders.receive(kPatience);
        if (!delivery) throw std::runtime_error("no message came");
        settlements.push_back(delivery->ack());
    }
    for (const peermq::Settlement& settlement : settlements) {
        if (settlement.wait(kPatience) != peermq::SettlementState::accepted) {
            throw std::runtime_error("an ack was not accepted");
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 64;
    try {
        peermq::Peer peer({.spool = argv[1], .segment_bytes = 16 * 1024});
        push_all(peer);
        settle_some(peer.bind("tcp://127.0.0.1:*"));
        if (argc > 2 && std::string_view(argv[2]) == "--crash") std::_Exit(0);
        return peer.close(kPatience) ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "tools_spool: " << error.what() << '\n';
        return 1;
    }
}
