/* Of two backends that are drawn by weight, the one with fewer connections for its weight ("power of two choices",
 * Mitzenmacher 2001). It draws with the built-in weighted random, and looks at live state. */
#include <stdio.h>
#include <stdlib.h>

#include "nfsteer/policy.h"

struct backend {
  uint32_t weight;
  const nfsteer_live *live; /* the host's, until destroy() */
};

struct policy {
  const nfsteer_host *host;
  void *drawing; /* of the host, ours to give back */
  uint32_t count;
  struct backend backends[];
};

static void destroy(void *self) {
  struct policy *policy = self;
  if (policy->drawing != NULL) policy->host->builtin_destroy(policy->drawing);
  free(policy);
}

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  const uint32_t count = input->backend_count;
  if (count > 0 && input->backends[0].live == NULL) {
    snprintf(error, error_size, "connections are not counted: start nfsteer with track_connections");
    return NULL;
  }
  struct policy *policy = calloc(1, sizeof *policy + count * sizeof policy->backends[0]);
  if (policy == NULL) {
    snprintf(error, error_size, "no memory for %u backends", count);
    return NULL;
  }
  policy->host = input->host;
  policy->count = count;
  for (uint32_t index = 0; index < count; ++index)
    policy->backends[index] = (struct backend){input->backends[index].weight, input->backends[index].live};
  policy->drawing = input->host->builtin_create("weighted-random", input, error, error_size);
  if (policy->drawing == NULL) {
    destroy(policy);
    return NULL;
  }
  return policy;
}

static uint64_t load_of(const struct backend *backend) {
  return (uint64_t)nfsteer_active(backend->live) + nfsteer_pending(backend->live);
}

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  const struct policy *policy = self;
  const uint32_t one = policy->host->builtin_pick(policy->drawing, flow, context);
  const uint32_t two = policy->host->builtin_pick(policy->drawing, flow, context);
  if (one == NFSTEER_NO_BACKEND || one == two) return one;
  const struct backend *first = &policy->backends[one];
  const struct backend *second = &policy->backends[two];
  /* load / weight, without dividing: the new connection counts, so that an idle small one does not beat an idle big. */
  return (load_of(first) + 1) * second->weight <= (load_of(second) + 1) * first->weight ? one : two;
}

const nfsteer_policy *nfsteer_policy_entry(void) {
  static const nfsteer_policy table = {.abi = NFSTEER_POLICY_ABI,
                                       .struct_size = sizeof(nfsteer_policy),
                                       .name = "least of two",
                                       .flags = NFSTEER_USES_LIVE,
                                       .create = create,
                                       .pick = pick,
                                       .destroy = destroy};
  return &table;
}
