# Run by cpack for each package between its installation into a folder and its archive: Debian's places and Debian's
# files. The folder's name is the component's. cpack itself dates them all by SOURCE_DATE_EPOCH.
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component})
  if(NOT IS_DIRECTORY ${root})
    continue()
  endif()
  string(TOUPPER ${component} upper)
  set(package ${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  execute_process(
    COMMAND ${CPACK_NFSTEER_PACKAGING}/stage.sh ${root} ${package}
            ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE} ${CPACK_PACKAGE_CONTACT} ${CPACK_NFSTEER_SOURCE}
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
