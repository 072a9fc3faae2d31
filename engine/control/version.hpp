// Which nfsteer this is: the project's version, and of a checkout that is no release its last commit,
// 0.1.0~git20261125011543.cec96cab (version.cmake). Neither time, place nor host of the build is in it.
#pragma once

#include <string_view>

namespace nfsteer::control {

extern const std::string_view kVersion;

}  // namespace nfsteer::control
