#pragma once

/// What the commands `peermq spool ...` are given, and one function for each. They throw
/// peermq::Error when the directory is no spool or cannot be read.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "spool/inspect.hpp"

namespace peermq::tools {

struct SpoolArguments {
    std::string directory;
    std::string queue;  ///< only this one; empty = all
    std::vector<std::string> files;
    std::string pattern;
    std::uint64_t count = 0;  ///< 0: no limit
    bool json = false;
    bool bodies = false;
    bool all = false;  ///< settled ones too
    bool yes = false;
    bool fixed = false;  ///< grep: the pattern is plain text
    bool ignore_case = false;
};

// spool_look.cpp
[[nodiscard]] int spool_ls(const SpoolArguments& arguments);
[[nodiscard]] int spool_stat(const SpoolArguments& arguments);
[[nodiscard]] int spool_dump(const SpoolArguments& arguments);
[[nodiscard]] int spool_verify(const SpoolArguments& arguments);
// spool_messages.cpp
[[nodiscard]] int spool_peek(const SpoolArguments& arguments);
[[nodiscard]] int spool_grep(const SpoolArguments& arguments);
[[nodiscard]] int spool_export(const SpoolArguments& arguments);
// spool_change.cpp
[[nodiscard]] int spool_repair(const SpoolArguments& arguments);
[[nodiscard]] int spool_import(const SpoolArguments& arguments);
[[nodiscard]] int spool_redrive(const SpoolArguments& arguments);
[[nodiscard]] int spool_purge(const SpoolArguments& arguments);

/// Reads the whole spool, with progress.
[[nodiscard]] spool::Inspection inspect(
    const SpoolArguments& arguments, const std::function<void(const spool::LogEntry&)>& visit = {});
/// Notes on standard error about a running owner and about damage.
void tell_owner(const spool::Inspection& inspection);
void tell_damage(const spool::Inspection& inspection);
[[nodiscard]] const spool::StreamSummary* find_queue(const spool::Inspection& inspection,
                                                     const std::string& name);
/// 4, after saying that there is no queue of this name, and which there are.
[[nodiscard]] int no_such_queue(const SpoolArguments& arguments,
                                const spool::Inspection& inspection);

}  // namespace peermq::tools
