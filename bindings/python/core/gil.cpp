#include "gil.hpp"

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace peermq::python {
namespace {

std::atomic<bool> closing{false};
std::atomic<bool> leaving{false};
/// The one that may go on when it has begun.
std::atomic<std::thread::id> leaver{};
/// Threads between asking for the lock and having it.
std::atomic<int> asking{0};

/// Daemon threads end with the process, wherever they are.
[[noreturn]] void park() noexcept {
    while (true) pause();
}

/// False: the interpreter ends, and this thread must not ask.
bool may_ask() noexcept {
    asking.fetch_add(1);
    if (!leaving.load() || leaver.load() == std::this_thread::get_id()) return true;
    asking.fetch_sub(1);
    return false;
}

}  // namespace

Unlocked::Unlocked() noexcept : state_(PyEval_SaveThread()) {}

Unlocked::~Unlocked() {
    if (!may_ask()) park();
    PyEval_RestoreThread(state_);
    asking.fetch_sub(1);
}

Locked::Locked() noexcept {
    if (!may_ask()) return;
    state_ = PyGILState_Ensure();
    held_ = true;
    asking.fetch_sub(1);
}

Locked::~Locked() {
    if (held_) PyGILState_Release(state_);
}

void begin_leaving() noexcept {
    leaver.store(std::this_thread::get_id());
    closing.store(true);
}

void park_if_leaving() noexcept {
    if (!closing.load() || leaver.load() == std::this_thread::get_id()) return;
    PyEval_SaveThread();
    park();
}

void leave_interpreter() {
    leaving.store(true);
    // Those who asked in time get the lock, and are parked the next time.
    const Unlocked unlocked;
    while (asking.load() > 0) std::this_thread::yield();
}

void after_fork_in_child() noexcept { asking.store(0); }

void check_signals() {
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
}

}  // namespace peermq::python
