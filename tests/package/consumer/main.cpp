#include <iostream>

#include <peermq/peermq.hpp>
#include <peermq/version.hpp>

namespace {

// Version and names come out of the library, and its exceptions are recognised here.
bool works() {
    if (peermq::kVersion != EXPECTED_VERSION || peermq::library_version() != EXPECTED_VERSION) {
        return false;
    }
    try {
        throw peermq::Error(peermq::ErrorCode::too_large, "on purpose");
    } catch (const peermq::Error& error) {
        return peermq::to_string(error.code()) == "too_large";
    }
}

}  // namespace

int main() {
    std::cout << "headers " << peermq::kVersion << ", library " << peermq::library_version()
              << '\n';
    return works() ? 0 : 1;
}
