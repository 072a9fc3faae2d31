/* Ends the process in create(). */
#include "base.h"

static void *create(const nfsteer_input *input, char *error, size_t error_size) {
  (void)input;
  (void)error;
  (void)error_size;
  exit(3);
}

POLICY(create, base_pick)
