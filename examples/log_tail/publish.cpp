/// Publishes the lines of log files, each under "logs.<file>.<level>", and goes on with what is
/// appended, until Ctrl-C. After a restart it goes on behind the last line that is durable.
///
///     log_tail_publish ENDPOINT DIRECTORY FILE...

#include <array>
#include <atomic>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"

namespace {

using namespace std::chrono_literals;

/// A file name as one token of a topic.
std::string token_of(const std::filesystem::path& file) {
    std::string token = file.stem().string();
    for (char& c : token) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    }
    return token.empty() ? "_" : token;
}

std::string_view level_of(std::string_view line) {
    static constexpr std::array kWords{std::pair{"error", "error"}, std::pair{"fail", "error"},
                                       std::pair{"warn", "warning"}};
    std::string lower(line);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const auto& [word, level] : kWords) {
        if (lower.find(word) != std::string::npos) return level;
    }
    return "info";
}

/// One file and how far it was published.
class Tail {
public:
    Tail(std::filesystem::path file, const std::filesystem::path& directory)
        : file_(std::move(file)), position_(directory / (token_of(file_) + ".position")) {
        std::ifstream(position_) >> offset_;
    }

    /// Posts the whole lines that are new; how many.
    std::size_t post_new(peermq::Publisher& logs) {
        std::ifstream in(file_, std::ios::binary);
        std::error_code missing;
        if (std::filesystem::file_size(file_, missing) < offset_ || missing) offset_ = 0;
        in.seekg(static_cast<std::streamoff>(offset_));
        std::size_t count = 0;
        for (std::string line; std::getline(in, line) && !in.eof(); ++count) {
            const std::string topic = "logs." + token_of(file_) + "." + std::string(level_of(line));
            // Whoever must not see a line twice finds it by this id.
            const std::string id = file_.string() + ":" + std::to_string(offset_);
            logs.post(topic, {.body = line, .headers = {{"file", file_.string()}}, .id = id});
            offset_ += line.size() + 1;
        }
        return count;
    }
    /// Once all that was posted is durable.
    void keep_position() const {
        const std::filesystem::path fresh = position_.string() + ".new";
        std::ofstream(fresh) << offset_ << '\n';
        std::filesystem::rename(fresh, position_);
    }

private:
    std::filesystem::path file_;
    std::filesystem::path position_;
    std::uint64_t offset_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: log_tail_publish ENDPOINT DIRECTORY FILE...\n";
        return 2;
    }
    try {
        const std::filesystem::path directory = argv[2];
        std::filesystem::create_directories(directory);
        peermq::Peer peer({.spool = directory / "spool"});
        // The last hour stays for subscribers that ask for it.
        peermq::Publisher logs = peer.publisher("logs", {.retain = {.age = 1h}});
        std::vector<Tail> tails;
        for (int i = 3; i < argc; ++i) tails.emplace_back(argv[i], directory);
        std::cout << "publishing at " << peer.bind(argv[1]) << std::endl;

        std::atomic<bool> stopping = false;
        const StopSignal stop([&] { stopping = true; });
        std::size_t published = 0;
        while (!stopping) {
            std::size_t fresh = 0;
            for (Tail& tail : tails) fresh += tail.post_new(logs);
            if (fresh == 0) {
                std::this_thread::sleep_for(100ms);
                continue;
            }
            if (!logs.flush()) return 1;
            for (const Tail& tail : tails) tail.keep_position();
            published += fresh;
            std::cout << "published " << published << " lines" << std::endl;
        }
        std::cout << "stopped after " << published << " lines" << std::endl;
    } catch (const std::exception& error) {
        std::cerr << "log_tail_publish: " << error.what() << '\n';
        return 1;
    }
}
