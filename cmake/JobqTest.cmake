# TIMEOUT is what a test takes at most on a machine that is in order. One that is slow, or has more to do than it can,
# may take four times as long, and the whole program four times that: what hangs ends, what is slow is no failure.
# jobq_test(NAME x SOURCES … ROOMS … LABEL unit|redis|pg|e2e… TIMEOUT s [LIBS …] [DEFINES …]): one Criterion program and its ctest entry.
function(jobq_test)
  cmake_parse_arguments(T "" "NAME;LABEL;TIMEOUT" "SOURCES;ROOMS;LIBS;DEFINES" ${ARGN})
  add_executable(${T_NAME} ${T_SOURCES})
  set_target_properties(${T_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  jobq_link(${T_NAME} ${T_ROOMS})
  target_link_libraries(${T_NAME} PRIVATE jobq_test_support PkgConfig::CRITERION ${T_LIBS})
  target_compile_definitions(${T_NAME} PRIVATE ${T_DEFINES})
  math(EXPR longest "${T_TIMEOUT} * 4")
  math(EXPR whole "${T_TIMEOUT} * 16")
  add_test(NAME ${T_NAME} COMMAND ${T_NAME} --jobs 2 --timeout ${longest})
  set_tests_properties(${T_NAME} PROPERTIES LABELS "${T_LABEL}" TIMEOUT ${whole} ENVIRONMENT
    "JOBQ_TEST_BIN=${PROJECT_BINARY_DIR}/bin;JOBQ_TEST_LIB=${PROJECT_BINARY_DIR}/lib;JOBQ_TEST_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()
