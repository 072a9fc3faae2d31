// The kernel's part of session affinity (core::Affinity): which client went to which backend, remembered by
// the `recent` match in one list per backend. The rule that gives a connection to a backend enters the client
// into the backend's list, whether the ladder chose the backend or the engine did; and before the ladder
// chooses, the lists are asked. So a client keeps its backend in every mode and without an engine.
//
// Backends that may take no connections have no rule that names their list, so the kernel forgets it.
//
// Asking costs a test per backend and new connection, in chains that only the packets of such a service
// enter. And a test costs more the more lists there are, because the kernel finds a list by comparing names
// one after the other: 64 backends ask for some 20 us, 500 would for 4 ms. So a service of many backends has
// its clients in lists of groups of backends as well, of which there are few: then 500 cost 40 us, at the
// price that the kernel remembers no more clients than fit these lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "core/service.hpp"
#include "plan/chain_names.hpp"
#include "plan/rule_set.hpp"

namespace nfsteer::rules {

inline constexpr std::size_t kAffinityListMax =
    64;  // a service of more backends, of whatever weight, has groups
inline constexpr std::uint32_t kAffinityGroups = 32;

// The name of a backend's list: the same in every plan as long as service, backend and prefix are, since a
// list keeps the mask that it was made with. No two backends share one. The service has affinity.
std::string affinity_list(const core::Service& service, const core::Backend& backend);

// Enters the client into the backend's list, and into that of its group; always matches.
void add_affinity_entry(const core::Service& service, const core::Backend& backend, Rule& rule);

// Adds the chain that leads clients to their backends and the others on to `ladder`; returns its name. The
// service has affinity and a usable backend.
std::string add_affinity_lookup(const core::Service& service, const std::string& ladder, ChainNames& names,
                                std::map<std::string, Chain>& chains);

// Adds the chains that bind connections which the engine has steered to a usable backend, and enter their
// clients; returns the name of the first. To be entered by a jump: who is for another backend comes back. The
// service has affinity and a usable backend.
std::string add_affinity_bindings(const core::Service& service, ChainNames& names,
                                  std::map<std::string, Chain>& chains);

}  // namespace nfsteer::rules
