#pragma once

/// An object that a process and the children it forks later see at the same time.

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <type_traits>

namespace peermq::bench {

/// Owns one zero-initialised T in shared memory; its atomics work across processes.
/// Make it before the children are forked; each process unmaps its own view.
template <typename T>
class SharedMemory {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    SharedMemory() {
        void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                            -1, 0);
        if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
        object_ = new (memory) T();
    }
    ~SharedMemory() { munmap(object_, sizeof(T)); }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    T& operator*() const { return *object_; }
    T* operator->() const { return object_; }

private:
    T* object_ = nullptr;
};

}  // namespace peermq::bench
