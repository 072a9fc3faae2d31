/* Says of itself that it has failed. */
#include "base.h"

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  return base_spares((const struct base *)self, flow) ? base_pick(self, flow, context) : NFSTEER_FAILED;
}

POLICY(base_create, pick)
