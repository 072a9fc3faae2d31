// A scenario from raw values: the parts of its reader, one source file each. README.md of engine/lab is the
// reference of the fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/places.hpp"
#include "config/raw.hpp"
#include "core/policy_spec.hpp"
#include "core/result.hpp"
#include "lab/scenario.hpp"

namespace nfsteer::experiment {

inline constexpr std::size_t kPoliciesMax = 64;
inline constexpr std::size_t kChangesMax = 10'000;
inline constexpr std::uint64_t kFlowsMax = 1'000'000'000;

// All of a document but its churn, which may need to know of backends that another file names.
struct Document {
  lab::Scenario scenario;
  lab::Server server;  // what its backends have in common
  std::vector<core::PolicySpec> policies;
};
// YAML; of an empty file, whose error would speak of a configuration, the error says `least` instead.
core::Result<config::RawValue> read_values(const std::string& text, const std::string& file,
                                           const char* least);

core::Result<Document> read_document(const config::RawValue& document, std::string_view file);

// The field `churn` of a document, if it has one: changes of scenario.servers, in the order of time.
core::Result<void> read_churn(const config::Place& document, const lab::Server& base,
                              lab::Scenario& scenario);
// A document that has nothing else.
core::Result<void> read_churn_script(const std::string& text, const std::string& file,
                                     const lab::Server& base, lab::Scenario& scenario);

core::Result<void> read_workload(const config::Place& place, lab::Workload& workload);

// `base`: what the fields that are not given are.
core::Result<lab::Server> read_server(const config::Place& place, const lab::Server& base);
core::Result<void> read_server_defaults(const config::Place& place, lab::Server& base);
// A list, or a number: so many, at addresses of their own.
core::Result<void> read_servers(const config::Place& place, Document& document);

}  // namespace nfsteer::experiment
