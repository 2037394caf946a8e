#include "net/resolver.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

#include "base/signal_mask.hpp"

namespace peermq::net {
namespace {

/// Round-robin records can be many; a round over more than this would take minutes.
constexpr std::size_t kAddressesMax = 16;

}  // namespace

bool is_numeric_host(const std::string& host) {
    in_addr v4{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return true;
    in6_addr v6{};
    return inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &v6) == 1;
}

Resolution resolve_now(const std::string& host) {
    Resolution result;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int rc = getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (rc != 0) {
        const std::string why = rc == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(rc);
        result.error = "cannot resolve \"" + host + "\": " + why;
        return result;
    }
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0,
                        NI_NUMERICHOST) != 0) {
            continue;
        }
        const bool known = std::find(result.addresses.begin(), result.addresses.end(), text) !=
                           result.addresses.end();
        if (!known && result.addresses.size() < kAddressesMax) result.addresses.emplace_back(text);
    }
    freeaddrinfo(list);
    if (result.addresses.empty()) result.error = "\"" + host + "\" has no address";
    return result;
}

struct Resolver::Shared {
    explicit Shared(std::shared_ptr<Wakeup> to_wake) : wakeup(std::move(to_wake)) {}

    std::shared_ptr<Wakeup> wakeup;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::pair<std::uint64_t, std::string>> requests;
    std::vector<Resolution> results;
    std::atomic<bool> has_results{false};
    bool busy = false;
    bool stopping = false;
};

Resolver::Resolver(std::shared_ptr<Wakeup> wakeup)
    : shared_(std::make_shared<Shared>(std::move(wakeup))) {}

Resolver::~Resolver() {
    if (!thread_.joinable()) return;
    bool busy;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        busy = shared_->busy;
    }
    shared_->changed.notify_all();
    // getaddrinfo cannot be interrupted; what it uses is kept alive by the thread itself.
    if (busy) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

void Resolver::ask(std::uint64_t request, std::string host) {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->requests.emplace_back(request, std::move(host));
    }
    if (!thread_.joinable()) {
        const base::AllSignalsBlocked blocked;
        thread_ = std::thread([shared = shared_] { run(shared); });
    }
    shared_->changed.notify_one();
}

bool Resolver::has_results() const noexcept { return shared_->has_results.load(); }

std::vector<Resolution> Resolver::take() {
    if (!has_results()) return {};
    const std::lock_guard lock(shared_->mutex);
    shared_->has_results.store(false);
    return std::exchange(shared_->results, {});
}

void Resolver::run(const std::shared_ptr<Shared>& shared) {
    pthread_setname_np(pthread_self(), "peermq-names");
    std::unique_lock lock(shared->mutex);
    for (;;) {
        shared->changed.wait(lock, [&] { return shared->stopping || !shared->requests.empty(); });
        if (shared->stopping) return;
        const auto [request, host] = std::move(shared->requests.front());
        shared->requests.pop_front();
        shared->busy = true;
        lock.unlock();
        Resolution result = resolve_now(host);
        result.request = request;
        lock.lock();
        shared->busy = false;
        if (shared->stopping) return;
        shared->results.push_back(std::move(result));
        shared->has_results.store(true);
        shared->wakeup->wake();
    }
}

}  // namespace peermq::net
