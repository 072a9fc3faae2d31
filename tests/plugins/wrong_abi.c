/* Made for a version of the interface that is not there yet. */
#include "base.h"

BASE_POLICY(7, sizeof(nfsteer_policy), base_create, base_pick, free)
