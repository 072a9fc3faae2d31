// The question of GET /v1/explain, read from the query of its target:
//
//   protocol      tcp, udp, sctp or icmp (of either family; an echo request)
//   source        ADDR:PORT, [ADDR]:PORT for IPv6; ADDR for icmp
//   destination   the same, of the same family
//   live          true or false; false where it is missing
#pragma once

#include <string_view>

#include "core/flow.hpp"
#include "core/result.hpp"

namespace nfsteer::api {

struct ExplainQuery {
  core::FlowKey flow;
  bool live = false;
};

// Errors name the parameter; each is there at most once, and there is no other.
core::Result<ExplainQuery> parse_explain_query(std::string_view target);

}  // namespace nfsteer::api
