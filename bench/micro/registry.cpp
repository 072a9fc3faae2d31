#include "registry.hpp"

#include <valgrind/callgrind.h>

namespace nfsteer::micro {

void Registry::begin_count() {
  CALLGRIND_ZERO_STATS;
}

void Registry::end_count(const std::string& name) {
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

}  // namespace nfsteer::micro
