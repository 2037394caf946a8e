#pragma once

/// The further threads of run(): all of them, or none.

#include <cstdint>
#include <functional>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "peermq/error.hpp"

namespace peermq::detail {

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

}  // namespace peermq::detail
