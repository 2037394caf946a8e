/// Answers "price": reads "name cents" lines, adds the quantity that a request asks for.

#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"

namespace {

std::map<std::string, int> read_prices(const std::string& path) {
    std::ifstream file(path);
    std::map<std::string, int> prices;
    std::string name;
    for (int cents = 0; file >> name >> cents;) prices[name] = cents;
    if (prices.empty()) throw std::runtime_error("no prices in " + path + ": lines \"name cents\"");
    return prices;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 3) {
        std::cerr << "usage: serve ENDPOINT PRICES\n";
        return 2;
    }
    const std::map<std::string, int> prices = read_prices(argv[2]);
    peermq::Peer peer;
    peer.connect(argv[1]);
    peermq::Replier replier = peer.replier("price");
    const StopSignal stop([&replier] { replier.stop(); });
    std::cout << "serving " << prices.size() << " prices" << std::endl;
    replier.run(
        [&](peermq::Request& request) {
            const auto price = prices.find(std::string(request.text()));
            if (price == prices.end())
                return request.fail("unknown_article", "no price of " + std::string(request.text()));
            request.reply(std::to_string(price->second));
        },
        {.concurrency = 4});
    std::cout << "answered " << replier.stats().replies << std::endl;
} catch (const std::exception& error) {
    std::cerr << "serve: " << error.what() << '\n';
    return 1;
}
