# The Debian packages, by cpack: nfsteer (the engine as a service), python3-nfsteer, nfsteer-dev. Each is a component of
# the installation: engine, python, dev. docker/package.sh builds and packs; see README.md here.
set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL engine dev)
if(DEFINED NFSTEER_PYTHON_MINOR)
  list(APPEND CPACK_COMPONENTS_ALL python)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_NAME nfsteer)
set(CPACK_PACKAGE_VENDOR nfsteer)
set(CPACK_PACKAGE_CONTACT "nfsteer maintainers <maintainers@nfsteer.invalid>")  # package.sh takes DEBFULLNAME, DEBEMAIL
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SOURCE nfsteer)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(here ${CMAKE_CURRENT_LIST_DIR})
set(CPACK_DEBIAN_ENGINE_PACKAGE_NAME nfsteer)
set(CPACK_DEBIAN_ENGINE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_ENGINE_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_ENGINE_PACKAGE_RECOMMENDS kmod)  # the unit has ip_tables loaded
set(CPACK_DEBIAN_ENGINE_PACKAGE_SUGGESTS "python3-nfsteer, nfsteer-dev, conntrack")
set(CPACK_DEBIAN_ENGINE_PACKAGE_CONTROL_EXTRA
    "${here}/engine/conffiles;${here}/engine/postinst;${here}/engine/prerm;${here}/engine/postrm")
set(CPACK_COMPONENT_ENGINE_DESCRIPTION
"packet steering engine for virtual IPs
The kernel hands the first packet of each connection to a virtual IP to
user space through NFQUEUE, a balancing policy picks a backend, and conntrack
carries the rest of the connection in the kernel. Rules of the legacy iptables
tables balance on when the engine is stopped or killed.
.
This package has the engine, the commands that control it, its service and the
simulator of balancing policies. Nothing is started until it is configured and
enabled.")

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-nfsteer)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS ON)
# The extension module is one of this minor version.
if(DEFINED NFSTEER_PYTHON_MINOR)
  math(EXPR python_next "${NFSTEER_PYTHON_MINOR} + 1")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "python3 (>= 3.${NFSTEER_PYTHON_MINOR}~), python3 (<< 3.${python_next})")
endif()
set(CPACK_DEBIAN_PYTHON_PACKAGE_ENHANCES nfsteer)
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA "${here}/python/postinst;${here}/python/prerm;${here}/python/postrm")
set(CPACK_COMPONENT_PYTHON_DESCRIPTION
"balancing policies for nfsteer in Python
The Python module nfsteer: balancing policies of one's own, the simulator to
try them in, and the engine in a Python program. With it, the service nfsteer
takes policies from Python files, too.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME nfsteer-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "nfsteer, pkg-config, cmake")
set(CPACK_COMPONENT_DEV_DESCRIPTION
"balancing policies for nfsteer in C and C++
The interface that a policy in a shared object implements, as a C header and
a C++ header over it, with examples. CMake finds it by find_package(nfsteer),
other builds by pkg-config.")

# What is known when packing only: the version, the dates, and Debian's own files.
set(CPACK_PROJECT_CONFIG_FILE ${here}/version.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${here}/stage.cmake)
set(CPACK_NFSTEER_PROGRAM ${CMAKE_BINARY_DIR}/engine/nfsteer)
set(CPACK_NFSTEER_VERSION_FILE ${CMAKE_BINARY_DIR}/engine/control/generated/version.cmake)
set(CPACK_NFSTEER_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_NFSTEER_PACKAGING ${here})
include(CPack)
