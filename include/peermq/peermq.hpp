#pragma once

/// Everything: durable queues between peers, without a server.

#include "peermq/control.hpp"
#include "peermq/delivery.hpp"
#include "peermq/error.hpp"
#include "peermq/events.hpp"
#include "peermq/message.hpp"
#include "peermq/notifier.hpp"
#include "peermq/options.hpp"
#include "peermq/peer.hpp"
#include "peermq/publisher.hpp"
#include "peermq/pull.hpp"
#include "peermq/push.hpp"
#include "peermq/receipt.hpp"
#include "peermq/replier.hpp"
#include "peermq/request.hpp"
#include "peermq/requester.hpp"
#include "peermq/stats.hpp"
#include "peermq/stats_fields.hpp"
#include "peermq/subscriber.hpp"
#include "peermq/version.hpp"
