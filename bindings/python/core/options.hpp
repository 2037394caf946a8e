#pragma once

/// Keyword arguments to option structs. The Python side has named and typed them; what it leaves
/// out keeps the default of the C++ side, so that defaults stand in one place.

#include <nanobind/nanobind.h>

#include "peermq/options.hpp"
#include "peermq/replier.hpp"
#include "peermq/requester.hpp"

namespace peermq::python {

/// Throws Error invalid_argument: what, where, and what is possible.
[[nodiscard]] PeerOptions to_peer_options(const nanobind::dict& given);
[[nodiscard]] PushOptions to_push_options(const nanobind::dict& given);
[[nodiscard]] PublisherOptions to_publisher_options(const nanobind::dict& given);
[[nodiscard]] SubscriberOptions to_subscriber_options(const nanobind::dict& given);
[[nodiscard]] RequesterOptions to_requester_options(const nanobind::dict& given);
[[nodiscard]] ReplierOptions to_replier_options(const nanobind::dict& given);
[[nodiscard]] PullOptions to_pull_options(const nanobind::dict& given);

}  // namespace peermq::python
