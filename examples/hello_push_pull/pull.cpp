/// Handles greetings, ten unless told otherwise, and ends.

#include <cstdlib>
#include <iostream>
#include <string>

#include "peermq/peermq.hpp"

int main(int argc, char** argv) {
    const std::string endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:7000";
    const int count = argc > 2 ? std::atoi(argv[2]) : 10;
    try {
        peermq::Peer peer;       // no spool: this end has nothing to remember
        peer.connect(endpoint);  // may run before the other end listens
        peermq::Pull greetings = peer.pull("greetings");

        int handled = 0;
        for (peermq::Delivery& delivery : greetings) {
            std::cout << delivery.text() << (delivery.redelivered() ? " (redelivered)" : "")
                      << std::endl;
            delivery.ack();  // from here on it never comes again
            if (++handled >= count) greetings.stop();
        }
        std::cout << handled << " handled" << std::endl;
    } catch (const peermq::Error& error) {
        std::cerr << "pull: " << error.what() << '\n';
        return 1;
    }
}
