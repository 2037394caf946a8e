/// Searches files that are spread over several processes: each searcher holds a share of them, and
/// every question goes to all.

#include <algorithm>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "peermq/peermq.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
    if (argc < 4) {
        std::cerr << "usage: search ENDPOINT SEARCHERS WORD...\n";
        return 2;
    }
    peermq::Peer peer;
    std::cout << "listening on " << peer.bind(argv[1]) << std::endl;
    peermq::Requester search = peer.requester("search");
    while (search.stats().repliers < std::stoul(argv[2])) std::this_thread::sleep_for(10ms);
    for (int i = 3; i < argc; ++i) {
        const peermq::Gathered gathered = search.scatter({.body = argv[i]}, 30s);
        std::vector<std::string> hits;
        for (const peermq::Reply& reply : gathered.replies) {
            std::string_view rest = reply.text();
            while (!rest.empty()) {
                const std::size_t end = rest.find('\n');
                hits.emplace_back(rest.substr(0, end));
                rest.remove_prefix(end + 1);
            }
        }
        std::sort(hits.begin(), hits.end());
        for (const std::string& hit : hits) std::cout << argv[i] << ": " << hit << '\n';
        std::cout << argv[i] << ": " << hits.size() << " files, " << gathered.replies.size() << " of "
                  << gathered.asked << " searchers" << std::endl;
    }
} catch (const std::exception& error) {
    std::cerr << "search: " << error.what() << '\n';
    return 1;
}
