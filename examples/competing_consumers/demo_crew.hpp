#pragma once

/// The demo's processes: one producer, some workers, one collector, and what each has told last.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <poll.h>

#include "demo_child.hpp"
#include "durable_file.hpp"

/// One role: a program that may be started again after its death.
struct Member {
    std::string name;
    Child child;
    std::string endpoint;                          ///< where it listens, once it has said so
    std::map<std::string, std::uint64_t> figures;  ///< the last ones it told
    bool is_expected_to_end = false;               ///< it was told to, or killed on purpose
    std::optional<int> exit_code;

    [[nodiscard]] std::uint64_t figure(const std::string& key) const {
        const auto found = figures.find(key);
        return found == figures.end() ? 0 : found->second;
    }

    /// "endpoint tcp://..." or "name value name value ...".
    void take(const std::string& line) {
        std::istringstream words(line);
        std::string key;
        while (words >> key) {
            if (key == "endpoint") {
                words >> endpoint;
                continue;
            }
            std::uint64_t value = 0;
            if (words >> value) figures[key] = value;
        }
    }
};

class Crew {
public:
    explicit Crew(std::string directory) : directory_(std::move(directory)) {
        bin_ = std::filesystem::read_symlink("/proc/self/exe").parent_path().native();
        collector.name = "collector";
        producer.name = "producer";
    }

    Member collector;
    Member producer;
    std::vector<Member> workers;

    void start(Member& member, const std::string& program,
               std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), bin_ + "/competing_consumers_" + program);
        member.exit_code.reset();
        member.is_expected_to_end = false;
        member.child = Child(arguments, log_of(member));
    }

    [[nodiscard]] std::vector<Member*> members() {
        std::vector<Member*> all{&producer, &collector};
        for (Member& worker : workers) all.push_back(&worker);
        return all;
    }

    [[nodiscard]] std::uint64_t sum_of_workers(const std::string& key) const {
        std::uint64_t sum = 0;
        for (const Member& worker : workers) sum += worker.figure(key);
        return sum;
    }

    /// Waits at most `timeout` for output or a signal on `signals`, and takes in what the members
    /// say. True when a signal has come.
    bool listen(int signals, std::chrono::milliseconds timeout) {
        std::vector<pollfd> polled{{signals, POLLIN, 0}};
        for (Member* member : members()) polled.push_back({member->child.output(), POLLIN, 0});
        ::poll(polled.data(), polled.size(), static_cast<int>(timeout.count()));
        for (Member* member : members()) {
            if (member->child.output() >= 0) take_output(*member);
        }
        return (polled[0].revents & POLLIN) != 0;
    }

    /// The end of what a member wrote to standard error, for the post-mortem.
    [[nodiscard]] std::string last_words(const Member& member) const {
        constexpr std::size_t bytes_max = 2000;
        std::string text = FileHandle(log_of(member), O_RDONLY).read_all();
        if (text.size() > bytes_max) text.erase(0, text.size() - bytes_max);
        return text;
    }

private:
    static void take_output(Member& member) {
        const bool goes_on = member.child.read();
        while (auto line = member.child.line()) member.take(*line);
        if (!goes_on) member.exit_code = member.child.wait();
    }

    [[nodiscard]] std::string log_of(const Member& member) const {
        return directory_ + "/" + member.name + ".log";
    }

    std::string directory_;
    std::string bin_;
};
