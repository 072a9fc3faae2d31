// From services to rules: the one place that knows what has to stand in the kernel for traffic to be steered.
//
//   mangle  PREROUTING, OUTPUT -> NFSTEER        which packets go to which queues of the engine
//   nat     PREROUTING, OUTPUT -> NFSTEER        binds steered connections, leads the others to the ladder
//   nat     POSTROUTING -> NFSTEER-MASQ          only with services that masquerade
//   filter  INPUT, FORWARD, OUTPUT -> NFSTEER    only with services that have no usable backend
//
// The binding rule is `! -d VIP, conntrack original destination VIP -> NETMAP --to 0.0.0.0/0`: a first packet
// that was opened to the VIP and carries another destination was rewritten by the engine, and NETMAP with an
// empty prefix makes conntrack translate the connection to that destination. It needs no mark and no rule per
// backend, except where clients are to be kept with their backends (plan/affinity.hpp).
//
// Of the services on one VIP the most specific takes a packet, in every table and whatever its mode.
#pragma once

#include <span>

#include "core/queue_layout.hpp"
#include "core/service.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

struct PlanOptions {
  bool queueing = true;  // false: nothing goes to the engine, the ladder carries every service
  bool spread_by_port =
      true;  // false: for kernels without the bpf match; one client then keeps to one worker
};

// Pure and deterministic; the order of `services` does not matter. Each VIP, protocol and port occurs once;
// backends are of their VIP's family; a backend port needs a service port.
RuleSet plan(std::span<const core::Service> services, const core::QueueLayout& queues,
             const PlanOptions& options);

}  // namespace nfsteer::rules
