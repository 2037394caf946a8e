#include "scene.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>
#include <sstream>

#include "program.hpp"
#include "support/raw_socket.hpp"
#include "support/seeded_random.hpp"

namespace peermq::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kReadyLimit = 60s;
constexpr auto kEndLimit = 35s;  // close() has 25 s
constexpr std::size_t kEventsKept = 12;

/// The number after `name=`; 0 when it is not there.
std::uint64_t number_in(std::string_view text, std::string_view name) {
    const std::size_t at = text.find(name);
    if (at == std::string_view::npos) return 0;
    return std::strtoull(std::string(text.substr(at + name.size(), 24)).c_str(), nullptr, 10);
}

std::string rest_of(std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t second = line.find(' ', first + 1);
    return second == std::string_view::npos ? "" : std::string(line.substr(second + 1));
}

bool can_bind(unsigned port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(static_cast<std::uint16_t>(port));
    const int result = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::close(fd);
    return result == 0;
}

}  // namespace

unsigned free_port(std::uint64_t seed) {
    // The process id keeps two runs with one seed apart.
    SeededRandom random(seed ^ static_cast<std::uint64_t>(::getpid()) << 32);
    unsigned port = 0;
    do {
        port = static_cast<unsigned>(random.between(12'000, 31'000));
    } while (!can_bind(port));
    return port;
}

Scene::Scene(SceneOptions options) : options_(std::move(options)) {
    if (const char* path = std::getenv("PEERMQ_PROCESS_LOG")) log_.open(path);
    if (options_.spool.empty()) options_.spool = directory_ / "spool";
    bind_ = options_.ipc ? "ipc://" + (directory_ / "endpoint")
                         : "tcp://127.0.0.1:" + std::to_string(free_port(options_.seed));
}

std::unique_ptr<Actor> Scene::start(const std::string& program, std::vector<std::string> arguments,
                                    const ChildOptions& limits) {
    auto actor = std::make_unique<Actor>();
    actor->process = ++processes_;
    arguments.push_back("process=" + std::to_string(actor->process));
    arguments.push_back("seed=" + std::to_string(options_.seed * 1000 +
                                                 static_cast<std::uint64_t>(actor->process)));
    Actor* raw = actor.get();
    actor->child = std::make_unique<Child>(
        program, arguments, [this, raw](std::string_view line) { read_line(*raw, line); }, limits);
    return actor;
}

void Scene::start_producer(const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"spool=" + options_.spool, "bind=" + bind_};
    // The first of a name counts.
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.insert(arguments.end(), options_.producer.begin(), options_.producer.end());
    producer_ = start("process_producer", std::move(arguments), options_.producer_limits);
}

std::size_t Scene::add_worker(const std::vector<std::string>& more) {
    workers_.emplace_back();
    std::vector<std::string> arguments = more;
    arguments.push_back("connect=" + bind_);
    arguments.insert(arguments.end(), options_.worker.begin(), options_.worker.end());
    workers_.back() = start("process_worker", std::move(arguments), {});
    return workers_.size() - 1;
}

void Scene::restart_worker(std::size_t index) {
    std::vector<std::string> arguments{"connect=" + bind_};
    arguments.insert(arguments.end(), options_.worker.begin(), options_.worker.end());
    workers_[index] = start("process_worker", std::move(arguments), {});
}

void Scene::read_line(Actor& actor, std::string_view line) {
    if (log_.is_open()) log_ << actor.process << ' ' << line << '\n';
    LedgerEvent event;
    if (parse_event(line, actor.process, event)) {
        if (event.kind == "durable") ++actor.durable;
        if (event.kind == "fail") ++actor.failed;
        if (event.kind == "deliver") ++actor.deliveries;
        if (event.kind == "deliver") actor.idle = false;
        ledger_.add(event);
        return;
    }
    const std::string_view kind = line.substr(0, line.find(' '));
    const std::string rest = rest_of(line);
    if (kind == "open") actor.begun = true;
    if (kind == "opened") actor.opened = true;
    if (kind == "ready") actor.ready = true, actor.endpoint = rest;
    if (kind == "idle") actor.idle = true;
    if (kind == "closed") actor.closed = rest;
    if (kind == "error") actor.error = rest;
    if (kind == "reported") ++actor.reported;
    if (kind == "stats") {
        actor.stats = rest;
        actor.depth = number_in(rest, "depth=");
        actor.lost = number_in(rest, "lost=");
        ++actor.stats_count;
    }
    if (kind == "event" && (rest.starts_with("damage") || rest.starts_with("io_error"))) {
        alarms_.push_back(std::to_string(actor.process) + ' ' + rest);
    }
    // The usual dead letters of a run would crowd out what is rare.
    if ((kind == "event" && !rest.starts_with("dead_letter")) || kind == "trouble") {
        actor.events.push_back(rest);
        if (actor.events.size() > kEventsKept) actor.events.erase(actor.events.begin());
    }
}

void Scene::kill(Actor& actor, int signal) {
    const int status = actor.child->kill_and_reap(signal);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal)
        << "process " << actor.process << " ended with " << describe_status(status) << ": "
        << actor.error << actor.child->errors();
    LedgerEvent event;
    event.kind = "died";
    event.process = actor.process;
    event.begin = event.end = now_ns();
    if (log_.is_open()) log_ << actor.process << " died " << event.begin << '\n';
    ledger_.add(event);
}

std::vector<Child*> Scene::living() const {
    std::vector<Child*> children;
    if (producer_ && !producer_->child->ended()) children.push_back(producer_->child.get());
    for (const auto& worker : workers_) {
        if (worker && !worker->child->ended()) children.push_back(worker->child.get());
    }
    return children;
}

void Scene::expect_alive() {
    const auto check = [](Actor& actor) {
        if (actor.child->ended() || actor.child->output_fd() >= 0) return;
        const auto status = actor.child->wait(10s);
        ADD_FAILURE() << "process " << actor.process << " ended by itself with "
                      << (status ? describe_status(*status) : "closed pipes") << ": " << actor.error
                      << '\n'
                      << actor.child->errors();
    };
    if (producer_) check(*producer_);
    for (const auto& worker : workers_) {
        if (worker) check(*worker);
    }
}

void Scene::listen(std::chrono::nanoseconds time) {
    pump(living(), TestClock::now() + time);
    expect_alive();
}

bool Scene::until(const char* what, std::chrono::nanoseconds limit,
                  const std::function<bool()>& done) {
    const bool reached = pump(living(), TestClock::now() + limit,
                              [&] { return done() || ::testing::Test::HasFailure(); });
    expect_alive();
    if (reached && done()) return true;
    ADD_FAILURE() << "waited in vain: " << what << '\n' << state();
    return false;
}

bool Scene::until_ready(Actor& actor) {
    return until("ready", kReadyLimit, [&] { return actor.ready || !actor.error.empty(); });
}

bool Scene::drain(std::chrono::nanoseconds limit) {
    producer_->child->tell("stop");
    if (!until("all posted is durable", 60s, [&] { return producer_->idle; })) return false;
    const std::uint64_t seen = producer_->stats_count;
    return until("undrained: both queues empty, workers idle", limit, [&] {
        return producer_->depth == 0 && producer_->stats_count > seen + 1 &&
               std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) {
                   return worker->child->ended() || worker->idle;
               });
    });
}

void Scene::end_one(Actor& actor, int signal) {
    if (signal != 0) {
        actor.child->signal(signal);
    } else {
        actor.child->tell("quit");
    }
    pump(living(), TestClock::now() + kEndLimit,
         [&] { return actor.child->output_fd() < 0 && actor.child->error_fd() < 0; });
    const auto status = actor.child->wait(1s);
    EXPECT_TRUE(status.has_value()) << "process " << actor.process << " does not end\n" << state();
    if (!status) return;
    EXPECT_EQ(*status, 0) << "process " << actor.process << ": " << describe_status(*status) << ' '
                          << actor.closed << actor.error << '\n'
                          << actor.child->errors();
}

void Scene::end() {
    for (const auto& worker : workers_) {
        if (!worker->child->ended()) end_one(*worker);
    }
    if (!producer_->child->ended()) end_one(*producer_);
}

void Scene::finish(std::chrono::nanoseconds limit, const std::string& replay) {
    ASSERT_TRUE(drain(limit)) << "replay: " << replay;
    end();
    const LedgerVerdict verdict = judge(ledger_.events());
    EXPECT_TRUE(verdict.findings.empty()) << verdict.text() << '\n'
                                          << state() << "replay: " << replay;
    EXPECT_EQ(producer_->lost, 0u) << state();
    std::cout << verdict.text() << "\nreplay: " << replay << '\n';
}

std::string Scene::state() const {
    std::ostringstream out;
    const auto tell = [&](const char* role, const Actor& actor) {
        out << role << ' ' << actor.process << (actor.child->ended() ? " (ended)" : "")
            << (actor.ready ? " ready" : "") << (actor.idle ? " idle" : "") << ' ' << actor.stats
            << ' ' << actor.error << actor.closed << " durable=" << actor.durable
            << " failed=" << actor.failed << " deliveries=" << actor.deliveries << '\n';
        for (const std::string& event : actor.events) out << "    " << event << '\n';
        if (!actor.child->errors().empty()) out << "    stderr: " << actor.child->errors() << '\n';
    };
    if (producer_) tell("producer", *producer_);
    for (const auto& worker : workers_) tell("worker", *worker);
    for (const std::string& alarm : alarms_) out << "alarm: " << alarm << '\n';
    return out.str();
}

}  // namespace peermq::test
