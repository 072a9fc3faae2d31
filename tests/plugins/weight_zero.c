/* Picks a backend that may not be picked, if there is one. */
#include "base.h"

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  const struct base *base = (const struct base *)self;
  return base_spares(base, flow) || base->zero == NFSTEER_NO_BACKEND ? base_pick(self, flow, context) : base->zero;
}

POLICY(base_create, pick)
