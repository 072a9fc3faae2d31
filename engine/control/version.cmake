# Runs at each build, as cmake -P: writes which version the sources in SOURCE are to OUTPUT/version.cpp, for the
# program, and OUTPUT/version.cmake, for packages. PROJECT is the project's version. A file that would stay the same is not
# touched, so that a build after a commit compiles one file and links.
#
#   0.1.0                                      the commit that is tagged v0.1.0, or sources without a checkout
#   0.1.0~git20261125011543.cec96cab           a commit on the way to it: when it was made (UTC), and its name
#   0.1.0+git20261125011543.cec96cab           a commit after it
#   0.1.0+git20261125011543.cec96cab.modified  with changes that are not committed
#
# In dpkg's order they are as old as they are: it compares such texts from left to right, ~ is before the end and + after
# it. A checkout without the tag, as a shallow one may be, takes itself for one on the way.
# NFSTEER_EPOCH is what files of packages are dated: SOURCE_DATE_EPOCH of the environment, else the commit's time.
cmake_minimum_required(VERSION 3.25)

# git's answer in `variable`, empty if it has none. A checkout, which may be somebody else's (sudo), is only read here.
function(ask_git variable)
  execute_process(COMMAND git --no-optional-locks -c safe.directory=* -C ${SOURCE} ${ARGN} OUTPUT_VARIABLE answer ERROR_QUIET
                  RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    set(answer "")
  endif()
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()

set(version ${PROJECT})
set(epoch "$ENV{SOURCE_DATE_EPOCH}")
ask_git(top rev-parse --show-toplevel)
file(REAL_PATH ${SOURCE} source)
if(top STREQUAL source)  # not some checkout around a copy of the sources
  set(ENV{TZ} UTC)
  ask_git(commit show -s --date=format-local:%Y%m%d%H%M%S --format=%cd.%H HEAD)
  string(SUBSTRING "${commit}" 0 23 commit)  # %h is longer where another object of this checkout begins alike
  ask_git(time show -s --format=%ct HEAD)
  ask_git(head rev-parse HEAD)
  ask_git(released rev-parse --verify --quiet refs/tags/v${PROJECT}^{commit})
  ask_git(since merge-base HEAD refs/tags/v${PROJECT})
  ask_git(changes status --porcelain --untracked-files=no)
  if(NOT released OR NOT since STREQUAL released)
    string(APPEND version "~git${commit}")
  elseif(NOT head STREQUAL released OR changes)
    string(APPEND version "+git${commit}")
  endif()
  if(changes)
    string(APPEND version ".modified")
  endif()
  if(epoch STREQUAL "")
    set(epoch ${time})
  endif()
endif()

file(CONFIGURE OUTPUT ${OUTPUT}/version.cpp @ONLY CONTENT
"#include \"control/version.hpp\"

namespace nfsteer::control {

constinit const std::string_view kVersion = \"@version@\";

}  // namespace nfsteer::control
")
file(CONFIGURE OUTPUT ${OUTPUT}/version.cmake @ONLY CONTENT
"set(NFSTEER_VERSION \"@version@\")
set(NFSTEER_EPOCH \"@epoch@\")
")
