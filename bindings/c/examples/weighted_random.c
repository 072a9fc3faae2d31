/* Weighted random, as the built-in does it: the alias method (Walker 1977, Vose 1991). A pick costs one random number
 * and one read of a table. */
#include <stdio.h>
#include <stdlib.h>

#include "nfsteer/policy.h"

/* Of one backend of positive weight: itself with probability keep / 2^32, else alias. */
struct column {
  uint32_t keep;
  uint32_t self; /* backend index */
  uint32_t alias;
};

struct policy {
  uint32_t count; /* of columns */
  struct column columns[];
};

/* Columns that hold less than their share, and those that hold more. */
struct lists {
  uint64_t *left; /* of each column; the share is the sum of all weights */
  uint32_t *small;
  uint32_t *large;
  uint32_t smalls;
  uint32_t larges;
};

static void sort_in(struct lists *lists, uint32_t column, uint64_t sum) {
  if (lists->left[column] < sum)
    lists->small[lists->smalls++] = column;
  else
    lists->large[lists->larges++] = column;
}

static void fill(struct policy *policy, struct lists *lists, const nfsteer_input *input, uint64_t sum) {
  for (uint32_t column = 0; column < policy->count; ++column) {
    lists->left[column] = (uint64_t)input->backends[policy->columns[column].self].weight * policy->count;
    sort_in(lists, column, sum);
  }
  while (lists->smalls > 0) {
    const uint32_t poor = lists->small[--lists->smalls];
    const uint32_t rich = lists->large[--lists->larges];
    policy->columns[poor].keep = (uint32_t)((lists->left[poor] << 32) / sum);
    policy->columns[poor].alias = policy->columns[rich].self;
    lists->left[rich] -= sum - lists->left[poor];
    sort_in(lists, rich, sum);
  }
}

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  const size_t count = input->backend_count;
  struct policy *policy = malloc(sizeof *policy + (count + 1) * sizeof policy->columns[0]);
  struct lists lists = {malloc((count + 1) * sizeof(uint64_t)), malloc((count + 1) * sizeof(uint32_t)),
                        malloc((count + 1) * sizeof(uint32_t)), 0, 0};
  if (policy != NULL && lists.left != NULL && lists.small != NULL && lists.large != NULL) {
    uint64_t sum = 0;
    policy->count = 0;
    for (uint32_t index = 0; index < input->backend_count; ++index) {
      if (input->backends[index].weight == 0) continue;
      sum += input->backends[index].weight;
      policy->columns[policy->count++] = (struct column){0, index, index};
    }
    fill(policy, &lists, input, sum);
  } else {
    snprintf(error, error_size, "no memory for %zu backends", count);
    free(policy);
    policy = NULL;
  }
  free(lists.left);
  free(lists.small);
  free(lists.large);
  return policy;
}

static uint32_t pick(void *self, const nfsteer_flow *flow, nfsteer_context *context) {
  const struct policy *policy = self;
  (void)flow;
  if (policy->count == 0) return NFSTEER_NO_BACKEND;
  const uint64_t bits = nfsteer_random_next(context->random);
  const struct column *column = &policy->columns[((bits >> 32) * policy->count) >> 32];
  return (uint32_t)bits < column->keep ? column->self : column->alias;
}

const nfsteer_policy *nfsteer_policy_entry(void) {
  static const nfsteer_policy table = {.abi = NFSTEER_POLICY_ABI,
                                       .struct_size = sizeof(nfsteer_policy),
                                       .name = "weighted random in C",
                                       .create = create,
                                       .pick = pick,
                                       .destroy = free};
  return &table;
}
