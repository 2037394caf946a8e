#include <iostream>

#include <peermq/version.hpp>

int main() {
    std::cout << "headers " << peermq::kVersion << ", library " << peermq::library_version() << '\n';
    const bool same =
        peermq::kVersion == EXPECTED_VERSION && peermq::library_version() == EXPECTED_VERSION;
    return same ? 0 : 1;
}
