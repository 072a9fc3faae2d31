/* Picks a backend that is not there. */
#include "base.h"

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  const struct base *base = (const struct base *)self;
  return base_spares(base, flow) ? base_pick(self, flow, context) : base->count + 41;
}

POLICY(base_create, pick)
