/// Holds every COUNTth file below a directory, and tells which of them contain a word.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"

namespace {

/// The files whose place in the sorted list is `index`, `index` + `count` ...
std::map<std::string, std::string> read_share(const std::string& directory, std::size_t index,
                                              std::size_t count) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    std::map<std::string, std::string> files;
    for (std::size_t at = index; at < paths.size(); at += count) {
        std::ifstream file(paths[at], std::ios::binary);
        files[paths[at].string()] = std::string(std::istreambuf_iterator<char>(file), {});
    }
    return files;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 5) {
        std::cerr << "usage: searcher ENDPOINT DIRECTORY INDEX COUNT\n";
        return 2;
    }
    const auto files = read_share(argv[2], std::stoul(argv[3]), std::stoul(argv[4]));
    peermq::Peer peer;
    peer.connect(argv[1]);
    peermq::Replier replier = peer.replier("search");
    const StopSignal stop([&replier] { replier.stop(); });
    std::cout << "searching " << files.size() << " files" << std::endl;
    replier.run([&](peermq::Request& request) {
        std::string hits;
        for (const auto& [path, text] : files) {
            if (request.cancelled()) return;
            if (text.find(request.text()) != std::string::npos) hits += path + "\n";
        }
        request.reply(hits);
    });
} catch (const std::exception& error) {
    std::cerr << "searcher: " << error.what() << '\n';
    return 1;
}
