#include "exit_codes.hpp"

#include <array>

namespace peermq::tools {
namespace {

constexpr std::array kExitCodes{
    ExitCode{kExitOk, "done"},
    ExitCode{kExitTornTail,
             "torn tail or repaired damage: normal after a crash, nothing is missing"},
    ExitCode{kExitDamaged, "damage: something that was durable cannot be read"},
    ExitCode{kExitFailed, "failed: the system, the spool or the other side; the text says why"},
    ExitCode{kExitNotFound, "what was named is not there"},
    ExitCode{kExitTimeout, "the time given was over first"},
    ExitCode{kExitRefused, "a handler or the other side failed at a message"},
    ExitCode{kExitLocked, "another process has the spool open"},
    ExitCode{kExitUsage, "wrong command line"},
    ExitCode{kExitOutput, "standard output cannot be written"},
    ExitCode{kExitInterrupted, "ended by Ctrl-C before it was done"},
    ExitCode{kExitTerminated, "ended by SIGTERM before it was done"},
};

}  // namespace

std::span<const ExitCode> exit_codes() noexcept { return kExitCodes; }

std::string_view exit_meaning(int code) noexcept {
    for (const ExitCode& entry : kExitCodes) {
        if (entry.code == code) return entry.meaning;
    }
    return {};
}

}  // namespace peermq::tools
