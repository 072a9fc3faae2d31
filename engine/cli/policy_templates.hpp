// The files that `nfsteer policy new` writes. They lie in bindings/templates and become part of the program.
#pragma once

#include <span>
#include <string_view>

namespace nfsteer::cli {

struct PolicyTemplate {
  std::string_view language;  // c, c++ or python
  std::string_view file;      // its path in the new directory
  // In both, @NAME@, @CLASS@ and @FILE@ (of the policy's source) are to be filled in.
  std::string_view text;
};

std::span<const PolicyTemplate> policy_templates();

}  // namespace nfsteer::cli
