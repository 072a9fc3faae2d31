# Read by cpack before it packs: what the packages are called, as the engine in them is, and how files are dated.
execute_process(COMMAND ${CPACK_NFSTEER_PROGRAM} --version OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "^nfsteer " "" CPACK_PACKAGE_VERSION "${said}")
include(${CPACK_NFSTEER_VERSION_FILE})  # NFSTEER_EPOCH: engine/control/version.cmake
if("$ENV{SOURCE_DATE_EPOCH}" STREQUAL "")
  if(NFSTEER_EPOCH STREQUAL "")  # no checkout
    file(STRINGS ${CPACK_NFSTEER_SOURCE}/CHANGELOG.md entry LIMIT_COUNT 1 REGEX "^## ")
    string(REGEX MATCH "[0-9]+-[0-9]+-[0-9]+$" day "${entry}")
    execute_process(COMMAND date -u -d ${day} +%s OUTPUT_VARIABLE NFSTEER_EPOCH OUTPUT_STRIP_TRAILING_WHITESPACE
                    COMMAND_ERROR_IS_FATAL ANY)
  endif()
  set(ENV{SOURCE_DATE_EPOCH} ${NFSTEER_EPOCH})
endif()
if(NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${CPACK_PACKAGE_CONTACT}")
