/// Asks for prices, article by article: with a deadline, so that nobody waits for ever; idempotent,
/// so that another server answers when one dies; behind a circuit breaker, so that a service that is
/// down is not asked in vain.

#include <iostream>
#include <string>
#include <thread>

#include "peermq/peermq.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    peermq::Peer peer;
    std::cout << "listening on " << peer.bind(argc > 1 ? argv[1] : "tcp://127.0.0.1:7002")
              << std::endl;
    peermq::Requester prices = peer.requester(
        "price", {.timeout = 5s, .breaker_failures = 3, .breaker_wait = 500ms});
    int cents = 0;
    int failed = 0;
    for (std::string article; std::cin >> article;) {
        while (true) {
            try {
                const peermq::Reply reply = prices.call({.body = article}, {.idempotent = true});
                std::cout << article << " " << reply.text() << std::endl;
                cents += std::stoi(std::string(reply.text()));
                break;
            } catch (const peermq::RemoteError& error) {
                std::cout << article << " refused: " << error.remote_code() << std::endl;
                ++failed;
                break;  // the service has spoken: asking again changes nothing
            } catch (const peermq::Error& error) {
                std::cout << article << " not yet: " << to_string(error.code()) << std::endl;
                if (error_class(error.code()) == peermq::ErrorClass::fix_the_call) throw;
                std::this_thread::sleep_for(200ms);
            }
        }
    }
    std::cout << "total " << cents << " refused " << failed << " retries " << prices.stats().retries
              << std::endl;
} catch (const peermq::Error& error) {
    std::cerr << "ask: " << error.what() << '\n';
    return 1;
}
