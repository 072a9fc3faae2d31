/* A struct_size that leaves its functions out. */
#include "base.h"

BASE_POLICY(NFSTEER_POLICY_ABI, 16, base_create, base_pick, free)
