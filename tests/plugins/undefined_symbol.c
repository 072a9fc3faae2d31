/* Needs a function that nobody has. */
#include "base.h"

uint32_t nobody_has_this(const nfsteer_flow *flow);

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  (void)self;
  (void)context;
  return nobody_has_this(flow);
}

POLICY(base_create, pick)
