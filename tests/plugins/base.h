/* A policy that is right, and the parts of it that each fixture replaces by something wrong. It picks the first backend
 * whose weight is positive.
 *
 * With the option spare=N it misbehaves only for flows whose source address does not begin with the byte N: one with
 * spare=198 is right in its trial (whose clients are of 198.18.0.0/15), and wrong in traffic. */
#ifndef NFSTEER_TESTS_PLUGINS_BASE_H
#define NFSTEER_TESTS_PLUGINS_BASE_H

#include <stdlib.h>
#include <string.h>

#include "nfsteer/policy.h"

struct base {
  uint32_t count; /* of backends */
  uint32_t first; /* of positive weight; NFSTEER_NO_BACKEND: none */
  uint32_t zero;  /* of weight 0; NFSTEER_NO_BACKEND: none */
  int spared;     /* first byte of a source address; -1: nobody is spared */
};

static inline void *base_create(const nfsteer_input *input, char *error, size_t error_size) {
  struct base *self = (struct base *)malloc(sizeof *self);
  (void)error;
  (void)error_size;
  if (self == NULL) return NULL;
  self->count = input->backend_count;
  self->first = self->zero = NFSTEER_NO_BACKEND;
  self->spared = -1;
  for (uint32_t index = input->backend_count; index > 0; --index) {
    if (input->backends[index - 1].weight > 0)
      self->first = index - 1;
    else
      self->zero = index - 1;
  }
  for (uint32_t index = 0; index < input->option_count; ++index)
    if (strcmp(input->options[index].name, "spare") == 0) self->spared = atoi(input->options[index].value);
  return self;
}

static inline int base_spares(const struct base *self, const nfsteer_flow *flow) {
  return self->spared == flow->source[0];
}

static inline uint32_t base_pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  (void)flow;
  (void)context;
  return ((const struct base *)self)->first;
}

#ifdef __cplusplus
#define BASE_ENTRY extern "C" NFSTEER_EXPORT
#else
#define BASE_ENTRY
#endif

#define BASE_POLICY(abi, size, create, pick, destroy)                                                             \
  BASE_ENTRY const nfsteer_policy *nfsteer_policy_entry(void) {                                                   \
    static const nfsteer_policy table = {(abi), (uint32_t)(size), "fixture", 0, 0, (create), (pick), (destroy), NULL}; \
    return &table;                                                                                                \
  }
#define POLICY(create, pick) BASE_POLICY(NFSTEER_POLICY_ABI, sizeof(nfsteer_policy), create, pick, free)

#endif
