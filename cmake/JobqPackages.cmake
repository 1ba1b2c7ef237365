# Debian packages by CPack, one for each install component; scripts/package builds them.
#
# With JOBQ_INSTALL_SYSTEM (preset package) also what belongs into the system's own directories is installed, wherever the
# prefix is: the unit, its user, the sample configuration. Without it an installation stays below its prefix.
option(JOBQ_INSTALL_SYSTEM "Install the unit, its user and the configuration into the system's directories" OFF)

set(debian ${PROJECT_SOURCE_DIR}/contrib/debian)
set(debian_version ${PROJECT_VERSION}-1)
set(debian_same "(= ${debian_version})")
set(doc ${CMAKE_INSTALL_DATADIR}/doc)

# The file of Debian's own changes names the version that it is about.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${debian}/changelog)
file(STRINGS ${debian}/changelog first LIMIT_COUNT 1)
if(NOT first MATCHES "^jobq \\(${debian_version}\\) ")
  message(FATAL_ERROR "contrib/debian/changelog begins with another version than ${debian_version}: ${first}")
endif()

# jobq_package(COMPONENT PACKAGE SECTION DEPENDS SUMMARY DESCRIPTION)
macro(jobq_package component package section depends summary description)
  string(TOUPPER ${component} upper)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${depends}")
  set(CPACK_DEBIAN_${upper}_DESCRIPTION "${summary}\n${description}")
  if(JOBQ_INSTALL_SYSTEM)
    install(FILES ${debian}/copyright DESTINATION ${doc}/${package} COMPONENT ${component})
    install(FILES ${debian_changelog} RENAME changelog.Debian.gz DESTINATION ${doc}/${package} COMPONENT ${component})
    install(FILES ${upstream_changelog} RENAME changelog.gz DESTINATION ${doc}/${package} COMPONENT ${component})
  endif()
endmacro()

if(JOBQ_INSTALL_SYSTEM)
  # What depends on the prefix for /usr, and only there.
  set(JOBQ_SYSCONFDIR ${CMAKE_INSTALL_FULL_SYSCONFDIR})
  set(debian_changelog ${PROJECT_BINARY_DIR}/changelog.Debian.gz)
  set(upstream_changelog ${PROJECT_BINARY_DIR}/changelog.gz)
  foreach(pair "${debian}/changelog;${debian_changelog}" "${PROJECT_SOURCE_DIR}/CHANGELOG.md;${upstream_changelog}")
    list(GET pair 0 from)
    list(GET pair 1 to)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${from})
    execute_process(COMMAND gzip -9nc ${from} OUTPUT_FILE ${to} COMMAND_ERROR_IS_FATAL ANY)
  endforeach()
endif()

jobq_package(library libjobq0 libs "" "client library of the jobq job queue"
  "Enqueues jobs into Redis Streams, and gives an honest answer within a deadline.")
jobq_package(devel libjobq-dev libdevel "libjobq0 ${debian_same}, libhiredis-dev"
  "client library of the jobq job queue, for development"
  "Headers, also that of handler modules, the static library, and the files of\nCMake and pkg-config.")
# Modules are no libraries to link with: only this one is named to dpkg-shlibdeps.
file(WRITE ${PROJECT_BINARY_DIR}/debian/shlibs
  "libjobq ${PROJECT_VERSION_MAJOR} libjobq0 (>= ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${debian}/triggers ${PROJECT_BINARY_DIR}/debian/shlibs)

if(JOBQ_BUILD_WORKER)
  jobq_package(worker jobd misc passwd "worker daemon of the jobq job queue"
    "Takes jobs from Redis Streams and runs them in executor processes. Brings the\nmodules that need no more than PostgreSQL.")
  set(CPACK_DEBIAN_WORKER_PACKAGE_SUGGESTS "jobctl, jobd-mail, jobd-avatar, redis-server, postgresql")
  set(CPACK_DEBIAN_WORKER_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
  if(TARGET mail)
    jobq_package(worker_mail jobd-mail misc "jobd ${debian_same}" "worker daemon of the jobq job queue, module mail"
      "Sends a forum's notifications by mail: the handlers, and the templates in every\nlanguage there is.")
  endif()
  if(TARGET avatar)
    jobq_package(worker_avatar jobd-avatar misc "jobd ${debian_same}" "worker daemon of the jobq job queue, module avatar"
      "Makes the pictures of a forum's users in the sizes it wants, by libvips.")
  endif()
  if(JOBQ_INSTALL_SYSTEM)
    set(systemd ${PROJECT_SOURCE_DIR}/contrib/systemd)
    configure_file(${systemd}/jobd@.service.in ${PROJECT_BINARY_DIR}/jobd@.service @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/jobd@.service DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/systemd/system COMPONENT worker)
    install(FILES ${systemd}/jobq.sysusers RENAME jobq.conf DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/sysusers.d COMPONENT worker)
    install(FILES ${systemd}/jobq.tmpfiles RENAME jobq.conf DESTINATION ${CMAKE_INSTALL_PREFIX}/lib/tmpfiles.d COMPONENT worker)
    install(FILES ${PROJECT_SOURCE_DIR}/contrib/jobd.conf DESTINATION ${JOBQ_SYSCONFDIR}/jobq COMPONENT worker)
  endif()
endif()
if(JOBQ_BUILD_ADMIN)
  jobq_package(admin jobctl admin "" "looks at the jobq job queue and acts on it"
    "Shows queues, jobs, dead letters and workers, makes the tables that jobd needs,\nand finds what is wrong with a deployment.")
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_IGNORE_GROUPS ON)
set(CPACK_PACKAGE_NAME jobq)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The jobq authors <jobq@localhost>")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
# Absolute directories go below the package's root too.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_VERSION ${debian_version})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_STRIP_FILES ON)
include(CPack)
