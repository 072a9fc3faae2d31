// Policies in Python through their host, as the engine asks them: names as of the built-in ones (policy.cpp).
#include <dlfcn.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "core/random.hpp"
#include "fixtures.hpp"
#include "nfsteer/policy.h"
#include "registry.hpp"

namespace nfsteer::micro {
namespace {

struct Variant {
  const char* name;
  const char* class_name;  // in python_policies.py
};
constexpr Variant kVariants[] = {{"policy_python_table", "ByTable"},
                                 {"policy_python_refreshed", "Refreshed"},
                                 {"policy_python_per_flow", "PerFlow"}};

// Null: there is no host.
const nfsteer_policy* host() {
  void* library = dlopen(NFSTEER_PYTHON_HOST, RTLD_NOW | RTLD_LOCAL);
  void* entry = library == nullptr ? nullptr : dlsym(library, "nfsteer_policy_entry");
  if (entry == nullptr) return nullptr;
  return reinterpret_cast<const nfsteer_policy* (*)()>(entry)();
}

using Made = std::shared_ptr<void>;

Made create(const nfsteer_policy& policy, const char* class_name, std::uint32_t count) {
  std::vector<nfsteer_backend> given;
  for (const core::Backend& each : backends(core::Family::ipv4, count)) {
    nfsteer_backend backend{};
    std::copy(each.address.bytes().begin(), each.address.bytes().end(), backend.address);
    backend.family = NFSTEER_IPV4;
    backend.weight = each.weight;
    backend.data = "";
    given.push_back(backend);
  }
  const nfsteer_option options[] = {{"file", NFSTEER_PYTHON_POLICIES}, {"class", class_name}};
  nfsteer_host functions{};
  functions.abi = NFSTEER_POLICY_ABI;
  functions.struct_size = sizeof functions;
  nfsteer_input input{};
  input.struct_size = sizeof input;
  input.workers = 1;
  input.backend_count = count;
  input.option_count = 2;
  input.backends = given.data();
  input.options = options;
  input.host = &functions;
  char error[512] = "";
  void* self = policy.create(&input, error, sizeof error);
  if (self == nullptr) {
    std::cerr << "nfsteer-micro: " << NFSTEER_PYTHON_POLICIES << ": " << error << '\n';
    std::exit(1);
  }
  return {self, policy.destroy};
}

nfsteer_flow first_flow() {
  const core::FlowKey key = parsed(sample("TCP SYN")).flow;
  nfsteer_flow flow{};
  std::copy(key.source.begin(), key.source.end(), flow.source);
  std::copy(key.destination.begin(), key.destination.end(), flow.destination);
  flow.source_port = key.source_port;
  flow.destination_port = key.destination_port;
  flow.protocol = key.protocol;
  flow.family = NFSTEER_IPV4;
  return flow;
}

}  // namespace

void add_python(const Registry& registry) {
  const nfsteer_policy* policy = host();
  if (policy == nullptr) {
    std::cerr << "nfsteer-micro: no policies in Python: " << NFSTEER_PYTHON_HOST << " is not there\n";
    return;
  }
  for (const Variant& variant : kVariants)
    for (const std::uint32_t count : kBackendCounts)
      registry.add(std::string(variant.name) + "/" + std::to_string(count), [policy, variant, count] {
        return [policy, made = create(*policy, variant.class_name, count), flow = first_flow(),
                random = nfsteer_random{{1, 2, 3, 4}}]() mutable {
          ++flow.source_port;
          nfsteer_context context{&random, 0, 0};
          benchmark::DoNotOptimize(policy->pick(made.get(), &flow, &context));
        };
      });
}

}  // namespace nfsteer::micro
