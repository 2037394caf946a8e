/// Runs a fuzz target without libFuzzer: every file of the corpus, then seeded mutations of them.
///
///     fuzz_NAME [--runs N] [--seed N] [file or directory ...]
///
/// An input that ends the program, or keeps it busy for long, is left in a file beside the program,
/// and the command that repeats it is printed. With --runs 0 only the files are run.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/fuzz.hpp"
#include "fuzz/mutator.hpp"

/// Present when a sanitizer is.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using peermq::test::Mutator;
namespace fs = std::filesystem;

constexpr unsigned kInputSecondsMax = 20;

struct Options {
    std::uint64_t runs = 0;
    std::uint64_t seed = 1;
    std::vector<fs::path> files;
};

/// What is being run, for the handler of its end.
std::string crash_file;
std::string replay;
const Mutator::Input* current = nullptr;

/// Only what a signal handler may do.
void keep_current() {
    if (current == nullptr) return;
    const int file = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ::write(file, current->data(), current->size()) < 0) return;
    static_cast<void>(::write(STDERR_FILENO, replay.data(), replay.size()));
}

void keep_and_die(int signal) {
    keep_current();
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

void run(const Mutator::Input& input) {
    current = &input;
    ::alarm(kInputSecondsMax);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    current = nullptr;
}

Mutator::Input load(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const auto bytes = peermq::base::as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

/// How many mutations are worth it: see PEERMQ_TEST_EFFORT in tests/CMakeLists.txt.
std::uint64_t usual_runs() {
    const char* set = std::getenv("PEERMQ_TEST_EFFORT");
    const std::string_view effort = set == nullptr ? "" : set;
    return effort == "short" ? 1'000 : effort == "long" ? 1'000'000 : 10'000;
}

Options parse(int argc, char** argv) {
    Options options;
    options.runs = usual_runs();
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--runs" && i + 1 < argc) {
            options.runs = std::strtoull(argv[++i], nullptr, 10);
        } else if (word == "--seed" && i + 1 < argc) {
            options.seed = std::strtoull(argv[++i], nullptr, 10);
        } else if (fs::is_directory(word)) {
            for (const auto& entry : fs::directory_iterator(word))
                options.files.push_back(entry.path());
        } else {
            options.files.emplace_back(word);
        }
    }
    std::sort(options.files.begin(), options.files.end());
    return options;
}

void watch(const char* program) {
    crash_file = std::string(program) + ".crash";
    replay = "the input is kept; repeat: " + std::string(program) + " --runs 0 " + crash_file +
             "\n";
    for (const int signal : {SIGABRT, SIGALRM}) ::signal(signal, keep_and_die);
    if (__sanitizer_set_death_callback != nullptr) {
        __sanitizer_set_death_callback(keep_current);
    } else {
        for (const int signal : {SIGSEGV, SIGBUS, SIGFPE}) ::signal(signal, keep_and_die);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    watch(argv[0]);
    std::vector<Mutator::Input> corpus;
    for (const fs::path& file : options.files) {
        if (!fs::is_regular_file(file)) {
            std::cerr << "no such file: " << file << '\n';
            return 2;
        }
        corpus.push_back(load(file));
        run(corpus.back());
    }
    const std::size_t inputs = corpus.size();
    Mutator mutator(std::move(corpus), options.seed);
    for (std::uint64_t i = 0; i < options.runs; ++i) run(mutator.next());
    std::cout << inputs << " inputs and " << options.runs << " mutations (seed " << options.seed
              << ")\n";
}
