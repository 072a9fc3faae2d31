# Runs at installation. file(INSTALL) puts $DESTDIR before every destination.
set(sbin "${CMAKE_INSTALL_PREFIX}/sbin")
set(share "${CMAKE_INSTALL_PREFIX}/share")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(etc "/etc/nfsteer")
  set(zsh "${share}/zsh/vendor-completions")  # where Debian's zsh looks
else()
  set(etc "${CMAKE_INSTALL_PREFIX}/etc/nfsteer")
  set(zsh "${share}/zsh/site-functions")
endif()

configure_file(${NFSTEER_SOURCES}/nfsteer.service.in ${NFSTEER_OUTPUT}/nfsteer.service @ONLY)
file(INSTALL ${NFSTEER_OUTPUT}/nfsteer.service DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system)

file(INSTALL ${NFSTEER_SOURCES}/nfsteer.yaml DESTINATION ${share}/doc/nfsteer/examples)
if(EXISTS "$ENV{DESTDIR}${etc}/nfsteer.yaml")
  message(STATUS "Kept, it is the operator's: ${etc}/nfsteer.yaml")
else()
  file(INSTALL ${NFSTEER_SOURCES}/nfsteer.yaml DESTINATION ${etc})
endif()

# The program prints these itself, so that they never say anything else than it does.
function(install_output name folder)
  execute_process(COMMAND ${NFSTEER_PROGRAM} ${ARGN} OUTPUT_FILE ${NFSTEER_OUTPUT}/${name} COMMAND_ERROR_IS_FATAL ANY)
  file(INSTALL ${NFSTEER_OUTPUT}/${name} DESTINATION ${folder})
endfunction()
install_output(nfsteer.8 ${share}/man/man8 man)
install_output(nfsteer ${share}/bash-completion/completions completion bash)
install_output(_nfsteer ${zsh} completion zsh)
install_output(nfsteer.fish ${share}/fish/vendor_completions.d completion fish)
