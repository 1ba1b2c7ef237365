# Warnings, sanitizers and hardening, in one interface target that every target of ours links.
add_library(jobq_flags INTERFACE)
target_include_directories(jobq_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(jobq_flags INTERFACE _GNU_SOURCE)
target_compile_options(jobq_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wundef -Wwrite-strings -fno-common)
if(JOBQ_WERROR)
  target_compile_options(jobq_flags INTERFACE -Werror)
endif()
if(JOBQ_CRASH_POINTS)
  target_compile_definitions(jobq_flags INTERFACE JOBQ_CRASH_POINTS)
endif()
if(JOBQ_SANITIZE)
  target_compile_options(jobq_flags INTERFACE -fsanitize=${JOBQ_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=undefined)
  target_link_options(jobq_flags INTERFACE -fsanitize=${JOBQ_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(jobq_flags INTERFACE -O2 -g1 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
    -fstack-protector-strong -fstack-clash-protection)
  target_link_options(jobq_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
endif()
if(JOBQ_BUILD_FUZZ)
  target_compile_options(jobq_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
