#pragma once

/// How the programs of this folder tell how far they are: lines of "name value name value ..." on
/// standard output, read by people and by the demo alike.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using ReportFields = std::vector<std::pair<std::string_view, std::uint64_t>>;

/// Prints what `fields` returns at every interval, when it has changed, and once at the end.
/// Nothing is printed when it throws: then the peer is closed, and the last figures stand.
class Reporter {
public:
    Reporter(std::chrono::milliseconds interval, std::function<ReportFields()> fields)
        : fields_(std::move(fields)), thread_([this, interval](const std::stop_token& stop) {
              std::unique_lock lock(mutex_);
              while (!stop.stop_requested()) {
                  print();
                  wake_.wait_for(lock, stop, interval, [] { return false; });
              }
          }) {}
    Reporter(const Reporter&) = delete;
    Reporter& operator=(const Reporter&) = delete;
    ~Reporter() { finish(); }

    /// Prints the last figures; nothing is printed afterwards.
    void finish() {
        if (!thread_.joinable()) return;
        thread_.request_stop();
        thread_.join();
        print();
    }

private:
    void print() {
        ReportFields fields;
        try {
            fields = fields_();
        } catch (const std::exception&) {
            return;
        }
        std::string line;
        for (const auto& [name, value] : fields) {
            if (!line.empty()) line += ' ';
            line.append(name).append(" ").append(std::to_string(value));
        }
        if (line == last_) return;
        std::cout << line << std::endl;
        last_ = std::move(line);
    }

    std::function<ReportFields()> fields_;
    std::string last_;
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_;
};
