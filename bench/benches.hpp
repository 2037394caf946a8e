#pragma once

/// The measurements that the command line can name. Each runs its rounds, interleaved with those of
/// its reference, and reports. They throw when something fails that a user could not ignore: a
/// message missing, twice or changed, a process that dies, an operation that does not end.

#include "report.hpp"
#include "settings.hpp"

namespace peermq::bench {

void bench_push_pull(const Settings& settings, const Report& report);
void bench_pub_sub(const Settings& settings, const Report& report);
void bench_workers(const Settings& settings, const Report& report);
void bench_queues(const Settings& settings, const Report& report);
void bench_fairness(const Settings& settings, const Report& report);
void bench_latency(const Settings& settings, const Report& report);
void bench_req_rep(const Settings& settings, const Report& report);
void bench_send(const Settings& settings, const Report& report);
void bench_failover(const Settings& settings, const Report& report);
void bench_backlog(const Settings& settings, const Report& report);
void bench_connected(const Settings& settings, const Report& report);
void bench_idle(const Settings& settings, const Report& report);

}  // namespace peermq::bench
