/// Accounts whose only store is the log of what happened to them: the state is rebuilt from it at
/// every start.
///
///     event_sourcing_accounts DIRECTORY
///
/// Commands, one per line of standard input: deposit NAME AMOUNT, withdraw NAME AMOUNT, show.

#include <chrono>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "peermq/peermq.hpp"

namespace {

using namespace std::chrono_literals;

class Accounts {
public:
    explicit Accounts(const std::string& directory)
        : peer_({.spool = directory}),
          events_(peer_.publisher("accounts", {.retain = {.everything = true}})) {}

    /// Applies all that ever happened, as any other reader of the log would.
    std::size_t rebuild() {
        const peermq::PublisherStats log = events_.stats();
        if (log.first > log.last) return 0;  // nothing has happened yet
        peermq::Peer reader;
        reader.connect(peer_.bind("inproc://accounts"));
        peermq::Subscriber history = reader.subscriber("accounts.#",
                                                       {.from = peermq::From::start()});
        std::size_t count = 0;
        for (auto& event : history) {
            apply(event.topic(), event.key(), std::stoll(std::string(event.text())));
            ++count;
            if (event.sequence() == log.last) break;
        }
        return count;
    }

    void run(std::string_view what, const std::string& name, long long amount) {
        if (amount <= 0) throw std::invalid_argument("amounts are positive");
        if (what == "withdraw" && balances_[name] < amount)
            throw std::invalid_argument(name + " has only " + std::to_string(balances_[name]));
        // What is not durable has not happened.
        const std::string topic = "accounts." + std::string(what);
        events_.publish(topic, {.body = std::to_string(amount), .key = name});
        apply(topic, name, amount);
    }

    [[nodiscard]] const std::map<std::string, long long>& balances() const { return balances_; }

private:
    void apply(std::string_view topic, std::string_view name, long long amount) {
        const bool in = topic == "accounts.deposit";
        balances_[std::string(name)] += in ? amount : -amount;
    }

    peermq::Peer peer_;
    peermq::Publisher events_;
    std::map<std::string, long long> balances_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: event_sourcing_accounts DIRECTORY\n";
        return 2;
    }
    try {
        Accounts accounts(argv[1]);
        std::cout << "rebuilt from " << accounts.rebuild() << " events" << std::endl;
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream words(line);
            std::string what;
            std::string name;
            long long amount = 0;
            words >> what >> name >> amount;
            try {
                if (what == "show") {
                    for (const auto& [owner, balance] : accounts.balances())
                        std::cout << owner << ' ' << balance << '\n';
                } else if (what == "deposit" || what == "withdraw") {
                    accounts.run(what, name, amount);
                } else {
                    throw std::invalid_argument("deposit, withdraw or show");
                }
                std::cout << "done" << std::endl;
            } catch (const std::invalid_argument& error) {
                std::cout << "refused: " << error.what() << std::endl;
            }
        }
    } catch (const peermq::Error& error) {
        std::cerr << "event_sourcing_accounts: " << error.what() << '\n';
        return 1;
    }
}
