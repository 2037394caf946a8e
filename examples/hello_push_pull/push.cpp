/// Pushes ten durable greetings and waits until somebody has handled them.
#include <iostream>
#include <peermq/peermq.hpp>
#include <string>

int main(int argc, char** argv) try {
    peermq::Peer peer({.spool = argc > 2 ? argv[2] : "./hello.spool"});
    const std::string endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:7000";
    std::cout << "listening on " << peer.bind(endpoint) << std::endl;

    peermq::Push greetings = peer.push("greetings");
    for (int number = 1; number <= 10; ++number) {
        const std::string text = "hello " + std::to_string(number);
        greetings.send({.body = text});  // returns once it is safe on disk
        std::cout << "durable: " << text << std::endl;
    }
    std::cout << "waiting until all are handled; Ctrl-C is safe, the next run goes on" << std::endl;
    while (!greetings.flush(peermq::Until::acked, std::chrono::seconds(10))) {
        std::cout << greetings.stats().depth << " still to be handled" << std::endl;
    }
    std::cout << "all handled" << std::endl;
} catch (const peermq::Error& error) {
    std::cerr << "push: " << error.what() << '\n';
    return 1;
}
