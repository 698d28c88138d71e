# What `cmake --install` puts where: the programs, the libraries with a CMake package, the packs with their rules and plans.
include(CMakePackageConfigHelpers)

install(TARGETS ckmap ckmapc RUNTIME)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/ckmap ${PROJECT_SOURCE_DIR}/compiler/include/ckmap TYPE INCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/rules/ DESTINATION ${CMAKE_INSTALL_DATADIR}/ckmap/packs
  FILES_MATCHING PATTERN "*.ckmap" PATTERN "pack.yaml")
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ckmap/packs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/ckmap/packs
  FILES_MATCHING PATTERN "*.ckplan")

set(ckmap_package ${CMAKE_INSTALL_LIBDIR}/cmake/ckmap)
install(EXPORT ckmapTargets NAMESPACE ckmap:: DESTINATION ${ckmap_package})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/ckmapConfig.cmake.in ${PROJECT_BINARY_DIR}/ckmapConfig.cmake
  INSTALL_DESTINATION ${ckmap_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ckmapConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ckmapConfig.cmake ${PROJECT_BINARY_DIR}/ckmapConfigVersion.cmake
  DESTINATION ${ckmap_package})

if(CKMAP_PYTHON)  # what the wheel carries beside the modules
  install(TARGETS ckmap_shared LIBRARY DESTINATION ckmap COMPONENT python)
  install(TARGETS ckmap ckmapc RUNTIME DESTINATION ckmap/bin COMPONENT python)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/rules/ DESTINATION ckmap/packs COMPONENT python FILES_MATCHING PATTERN "*.ckmap" PATTERN "pack.yaml")
  install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ckmap/packs/ DESTINATION ckmap/packs COMPONENT python FILES_MATCHING PATTERN "*.ckplan")
  set_target_properties(ckmap ckmapc PROPERTIES INSTALL_RPATH "$ORIGIN/..;$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()
