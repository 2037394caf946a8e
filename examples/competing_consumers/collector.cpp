/// Gathers the workers' rows in a table: one row per path, on disk before it is acked.

#include <atomic>
#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "common/stop_signal.hpp"
#include "peermq/peermq.hpp"
#include "report.hpp"
#include "table.hpp"

namespace {

constexpr std::size_t kBatchRows = 1024;
constexpr auto kCheckInterval = std::chrono::milliseconds(100);

constexpr std::string_view kUsage = R"(usage: competing_consumers_collector [options]

Writes a table of path, sha256, bytes, lines and words. It may be killed and started again at any
time: workers push again what it has not acked, and a path that it has already is filtered.

  --bind ENDPOINT     where workers connect to (tcp://127.0.0.1:*)
  --output FILE       the table, made or continued (./files.tsv)
  --expect N          end when the table has N rows and the last worker has gone
  --report-ms N       tell how it goes so often (1000)
)";

struct Options {
    std::string endpoint;
    std::string output;
    std::uint64_t expect = 0;
    std::chrono::milliseconds report_interval{};
};

Options parse(int argc, char** argv) {
    Arguments arguments(argc, argv, kUsage);
    Options options;
    options.endpoint = arguments.value("--bind", "tcp://127.0.0.1:*");
    options.output = arguments.value("--output", "./files.tsv");
    options.expect = arguments.number("--expect", UINT64_MAX);
    options.report_interval = std::chrono::milliseconds(arguments.number("--report-ms", 1000));
    if (!arguments.finish().empty()) arguments.fail("there are no plain arguments");
    return options;
}

class Collector {
public:
    explicit Collector(const std::string& output) : table_(output), rows_(table_.size()) {}

    /// Until `results` is stopped, or the table has `expect` rows and nobody is left who could wait
    /// for the ack of a duplicate.
    void run(peermq::Pull& results, std::uint64_t expect) {
        while (!results.stopped()) {
            std::optional<peermq::Delivery> first = results.receive(kCheckInterval);
            if (first) {
                store(gather(results, *std::move(first)));
            } else if (rows_ >= expect && results.stats().producers == 0) {
                return;
            }
        }
    }

    [[nodiscard]] ReportFields report() const {
        return {{"rows", rows_}, {"duplicates", duplicates_}, {"refused", refused_}};
    }

private:
    /// All that is there already: one sync for many rows.
    static std::vector<peermq::Delivery> gather(peermq::Pull& results, peermq::Delivery first) {
        std::vector<peermq::Delivery> batch;
        batch.push_back(std::move(first));
        while (batch.size() < kBatchRows) {
            std::optional<peermq::Delivery> next = results.receive(std::chrono::nanoseconds(0));
            if (!next) break;
            batch.push_back(*std::move(next));
        }
        return batch;
    }

    void store(std::vector<peermq::Delivery> batch) {
        for (peermq::Delivery& delivery : batch) {
            const std::optional<Row> row = parse_row(delivery.text());
            if (!row) {
                ++refused_;
                delivery.reject("not a row");
            } else if (!table_.add(*row)) {
                ++duplicates_;
            }
        }
        table_.sync();
        for (peermq::Delivery& delivery : batch) {
            if (!delivery.settled()) delivery.ack();
        }
        rows_ = table_.size();
    }

    Table table_;
    std::atomic<std::uint64_t> rows_;
    std::atomic<std::uint64_t> duplicates_ = 0;
    std::atomic<std::uint64_t> refused_ = 0;
};

void run(const Options& options) {
    Collector collector(options.output);
    peermq::Peer peer;
    std::cout << "endpoint " << peer.bind(options.endpoint) << std::endl;
    peermq::Pull results = peer.pull("results", {.prefetch = 2 * kBatchRows});

    const StopSignal stop([&results] { results.stop(); });
    Reporter reporter(options.report_interval, [&collector] { return collector.report(); });
    collector.run(results, options.expect);
    reporter.finish();
    std::cout << "done" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    try {
        run(options);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "collector: " << error.what() << '\n';
        return 1;
    }
}
