/// A pool of handlers in one process: eight at a time, failures are tried again, Ctrl-C lets the
/// jobs in hand finish and gives back the others.

#include <atomic>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"

namespace {

std::mutex print_mutex;

void print(const std::string& line) {
    const std::lock_guard lock(print_mutex);
    std::cout << line << std::endl;
}

/// Every tenth job fails at first, every fiftieth always.
void work(const std::string& job, std::uint32_t attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const int number = std::stoi(job);
    if (number % 50 == 0) throw std::runtime_error("job " + job + " can never work");
    if (number % 10 == 0 && attempt == 1) throw std::runtime_error("job " + job + " had bad luck");
}

}  // namespace

int main(int argc, char** argv) {
    const std::string endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:7001";
    try {
        peermq::Peer peer;
        peer.connect(endpoint);
        peermq::Pull jobs = peer.pull("jobs");
        const StopSignal stop([&jobs] {
            print("stopping: finishing what is in hand");
            jobs.stop();
        });

        std::atomic<int> done = 0;
        jobs.run(
            [&done](peermq::Delivery& delivery) {
                const std::string job(delivery.text());
                try {
                    work(job, delivery.attempt());
                } catch (const std::exception& error) {
                    print("attempt " + std::to_string(delivery.attempt()) + ": " + error.what());
                    throw;  // run() nacks with this text; the queue decides when it comes again
                }
                ++done;
            },
            {.concurrency = 8});
        print("stopped after " + std::to_string(done) + " jobs");
    } catch (const peermq::Error& error) {
        std::cerr << "work: " << error.what() << '\n';
        return 1;
    }
}
