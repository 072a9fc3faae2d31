/* Nothing is wrong with it: the last backend that may be picked. */
#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  struct base *self = (struct base *)base_create(input, error, error_size);
  for (uint32_t index = 0; self != NULL && index < input->backend_count; ++index)
    if (input->backends[index].weight > 0) self->first = index;
  return self;
}

POLICY(create, base_pick)
