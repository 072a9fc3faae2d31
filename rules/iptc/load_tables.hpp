// Where the legacy tables are a module: has it loaded. A kernel that is asked for a table or an extension
// loads that one's module by itself, but only once ip_tables or ip6_tables is there, which it never loads by
// itself (nf_getsockopt answers ENOPROTOOPT). So iptables runs modprobe, and so do we.
#pragma once

#include "plan/rule_set.hpp"

namespace nfsteer::rules {

// Nothing happens where the tables answer already. Whether it helped, kernel_has() tells.
void load_tables(Family family);

}  // namespace nfsteer::rules
