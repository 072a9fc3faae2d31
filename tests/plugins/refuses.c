/* Refuses, in two lines. */
#include <stdio.h>

#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  snprintf(error, error_size, "%u backends are\nnot enough\n", input->backend_count);
  return NULL;
}

POLICY(create, base_pick)
