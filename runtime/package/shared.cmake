# libckmap.so: what the two extension modules and the two programs of the wheel share. One copy of the code, and of plan.proto,
# which may be registered with protobuf only once in a process. It exports the public headers and the two programs alone.
set(script ${CMAKE_CURRENT_LIST_DIR}/shared.map)
set(exported ckmap_migrate ckmap_compiler_public ckmap_runtime_cli ckmap_compiler_cli)
set(objects ${exported})
list(TRANSFORM objects REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>")  # all of what is exported; what it needs comes from the archives
add_library(ckmap_shared SHARED ${objects})
set_target_properties(ckmap_shared PROPERTIES OUTPUT_NAME ckmap LINKER_LANGUAGE CXX LINK_DEPENDS ${script}
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python/ckmap)
target_include_directories(ckmap_shared INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/runtime/include ${PROJECT_SOURCE_DIR}/compiler/include)
target_compile_features(ckmap_shared INTERFACE cxx_std_20)
target_link_libraries(ckmap_shared PRIVATE ${exported})
target_link_options(ckmap_shared PRIVATE LINKER:--version-script=${script} LINKER:--gc-sections LINKER:-z,defs LINKER:--as-needed)
