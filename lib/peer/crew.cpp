#include "peer/crew.hpp"

#include <exception>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.hpp"
#include "peermq/error.hpp"

namespace peermq::detail {
namespace {

/// Threads that wait for the word to begin: should one of them not come to life, none has begun.
/// Destroying it waits for them; without the word they end without having worked.
class Crew {
public:
    Crew(std::string_view who, std::uint32_t size, const std::function<void()>& work) {
        const std::shared_future<bool> begun = begin_.get_future().share();
        try {
            while (threads_.size() < size) {
                threads_.emplace_back([begun, &work] {
                    if (begun.get()) work();
                });
            }
        } catch (const std::exception& error) {
            tell(false);
            throw Error(ErrorCode::io_error,
                        std::string(who) + ": cannot start thread " +
                            std::to_string(threads_.size() + 1) + " of " + std::to_string(size) +
                            " for handlers: " + error.what() +
                            "; lower RunOptions::concurrency or raise the system's limits");
        }
    }
    ~Crew() {
        if (!told_) tell(false);
    }
    void begin() { tell(true); }

private:
    void tell(bool begin) {
        told_ = true;
        begin_.set_value(begin);
    }

    std::promise<bool> begin_;
    bool told_ = false;
    std::vector<std::jthread> threads_;
};

}  // namespace

void check_concurrency(std::uint32_t concurrency) {
    if (concurrency == 0 || concurrency > base::limits::kConcurrencyMax) {
        throw Error(ErrorCode::invalid_argument,
                    "concurrency of " + std::to_string(concurrency) + ": 1 to 1,024 are possible");
    }
}

void work_together(std::string_view who, std::uint32_t concurrency,
                   const std::function<void()>& on_begin, const std::function<void()>& work) {
    std::mutex mutex;
    std::exception_ptr failure;
    const std::function<void()> guarded = [&] {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!failure) failure = std::current_exception();
        }
    };
    {
        Crew others(who, concurrency - 1, guarded);
        on_begin();
        others.begin();
        guarded();
    }
    if (!failure) return;
    try {
        std::rethrow_exception(failure);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::closed) throw;
    }
}

}  // namespace peermq::detail
