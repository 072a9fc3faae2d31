# find_package(nfsteer) for policies in C and C++:
#
#   find_package(nfsteer 0.1 REQUIRED)
#   nfsteer_add_policy(mine mine.c)      # makes mine.so, for `nfsteer policy SERVICE ./mine.so`
#
# nfsteer::policy has the headers alone, for a target that is made otherwise.
if(NOT TARGET nfsteer::policy)
  get_filename_component(_nfsteer_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
  add_library(nfsteer::policy INTERFACE IMPORTED)
  set_target_properties(nfsteer::policy PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_nfsteer_prefix}/include")
  unset(_nfsteer_prefix)
endif()

# A policy as a shared object called after the target, without a prefix; only its entry point is visible.
function(nfsteer_add_policy target)
  add_library(${target} MODULE ${ARGN})
  target_link_libraries(${target} PRIVATE nfsteer::policy)
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX .so C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(NOT CMAKE_CXX_STANDARD)
    set_target_properties(${target} PROPERTIES CXX_STANDARD 17)
  endif()
  # Else no engine can put another build of the same C++ policy in its place: see nfsteer/policy.hpp.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-gnu-unique>)
  endif()
endfunction()
