// Throws a C++ exception through the C interface.
#include <stdexcept>

#include "base.h"

namespace {

uint32_t pick(void* self, const nfsteer_flow* flow, nfsteer_context* context) {
  if (base_spares(static_cast<const base*>(self), flow)) return base_pick(self, flow, context);
  throw std::runtime_error("this should not get out");
}

}  // namespace

POLICY(base_create, pick)
