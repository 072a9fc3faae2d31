#include "api/explain.hpp"

#include <utility>

#include <boost/json/serialize.hpp>

#include "api/explain_query.hpp"
#include "explain/explain.hpp"
#include "explain/live.hpp"
#include "explain/world.hpp"

namespace nfsteer::api {
namespace {

namespace json = boost::json;

core::Result<explain::Explanation> explanation_of(control::Engine& engine, const core::FlowKey& flow) {
  const auto from_here = explain::is_own_address(flow.source_address());
  if (!from_here) return tl::unexpected(from_here.error());
  const auto to_here = explain::is_own_address(flow.destination_address());
  if (!to_here) return tl::unexpected(to_here.error());
  const auto rules = engine.rules();
  if (!rules) return tl::unexpected(rules.error());
  explain::ClientMemory memory = explain::kernel_memory();
  memory.policy = [&engine](const core::Service& service, const core::FlowKey& asked) {
    return engine.certain_choice(service.name, asked);
  };
  return explain::explain({flow, *from_here, *to_here}, engine.services(), engine.availability(), *rules,
                          memory);
}

}  // namespace

HttpResponse get_explanation(const ApiCall& call) {
  const auto query = parse_explain_query(call.request.target);
  if (!query) return failure_of(query.error());
  const auto explanation = explanation_of(call.engine, query->flow);
  if (!explanation) return failure_of(explanation.error());
  json::value answer = to_json(*explanation);
  if (query->live) {
    const auto found = explain::find_connections(query->flow);
    if (!found) return failure_of(found.error());
    answer.as_object()["live"] = to_json(explain::explain_live(*explanation, *found));
  }
  return {200, json::serialize(answer)};
}

}  // namespace nfsteer::api
