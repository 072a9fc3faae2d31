// A balancing policy: built on the control thread from a service's backends, then asked by the workers. A
// policy object never changes; when the backends or their weights change a new one is built.
#pragma once

#include "core/picker.hpp"

namespace nfsteer::policy {

using Policy = core::Picker;

}  // namespace nfsteer::policy
