/// Prints log lines whose topic matches, until Ctrl-C: live, or with a name as a durable
/// subscription, which goes on where its members have stopped.
///
///     log_tail_subscribe ENDPOINT PATTERN [NAME]

#include <iostream>
#include <string>

#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "usage: log_tail_subscribe ENDPOINT PATTERN [NAME]\n";
        return 2;
    }
    try {
        peermq::Peer peer({.on_event = [](const peermq::Event& event) {
            if (event.kind == peermq::EventKind::gap) std::cerr << event.text << std::endl;
        }});
        peer.connect(argv[1]);
        peermq::SubscriberOptions options;
        if (argc > 3) {
            options.name = argv[3];
            options.from = peermq::From::start();
        }
        peermq::Subscriber lines = peer.subscriber(argv[2], options);
        const StopSignal stop([&] { lines.stop(); });
        if (!lines.wait_for_publishers(1, std::chrono::seconds(30))) {
            std::cerr << "nobody publishes what matches " << argv[2] << '\n';
            return 1;
        }
        std::cout << "subscribed" << std::endl;
        std::size_t count = 0;
        for (auto& line : lines) {
            std::cout << line.topic() << ' ' << line.text() << std::endl;
            line.ack();  // of a live subscription there is nothing to settle
            ++count;
        }
        std::cout << "stopped after " << count << " lines, missed " << lines.missed() << std::endl;
    } catch (const peermq::Error& error) {
        std::cerr << "log_tail_subscribe: " << error.what() << '\n';
        return 1;
    }
}
