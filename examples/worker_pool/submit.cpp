/// Pushes numbered jobs for the pool and tells how they ended.

#include <cstdlib>
#include <iostream>
#include <string>

#include "peermq/peermq.hpp"

int main(int argc, char** argv) {
    const int count = argc > 1 ? std::atoi(argv[1]) : 100;
    const std::string endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:7001";
    const std::string spool = argc > 3 ? argv[3] : "./jobs.spool";
    try {
        peermq::Peer peer({.spool = spool});
        std::cout << "listening on " << peer.bind(endpoint) << std::endl;

        // A job that failed comes again after 200 ms, then 400 ms; the third failure is the last.
        peermq::Push jobs = peer.push(
            "jobs", {.max_attempts = 3, .retry_wait_min = std::chrono::milliseconds(200)});
        for (int number = 1; number <= count; ++number) {
            const std::string text = std::to_string(number);
            static_cast<void>(jobs.post({.body = text}));
        }
        if (!jobs.flush()) return 1;
        std::cout << count << " jobs are durable" << std::endl;

        while (!jobs.flush(peermq::Until::acked, std::chrono::seconds(5))) {
            std::cout << jobs.stats().depth << " jobs left" << std::endl;
        }
        const peermq::PushStats stats = jobs.stats();
        std::cout << "acked " << stats.acked << ", failed attempts " << stats.nacked
                  << ", given up " << stats.dead << " (to be read from jobs.dead)" << std::endl;
    } catch (const peermq::Error& error) {
        std::cerr << "submit: " << error.what() << '\n';
        return 1;
    }
}
