// Throws a C++ exception out of create().
#include <stdexcept>

#include "base.h"

namespace {

void* create(const nfsteer_input*, char*, size_t) {
  throw std::runtime_error("no such table");
}

}  // namespace

POLICY(create, base_pick)
