# Helper functions for Nora's CMake files: one library per domain, one test program per domain, fuzz targets that also replay.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug)
endif()
# -O1 even in Debug: the tests send real packets and walk real data.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")
if(NORA_SANITIZE AND NOT NORA_FUZZ)
  # The sanitizer trees only replay corpora and run tests: -O0 compiles in half the time (6.3 s against 13.8 s for one file with toml++).
  set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
  set(CMAKE_C_FLAGS_DEBUG "-O0 -g1")
endif()
# Warnings are errors with the release compiler; clang, which builds the sanitizer and fuzz trees, sees some that g++ 12 does not.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(warnings_are_errors -Werror)
endif()
add_compile_options(-Wall -Wextra ${warnings_are_errors} -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives in std::string and std::variant code at -O1 and above (GCC bugs 105329, 105562).
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict> $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>
                      $<$<COMPILE_LANGUAGE:CXX>:-Wno-stringop-overflow> $<$<COMPILE_LANGUAGE:CXX>:-Wno-array-bounds>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's own std::stable_sort calls the deprecated get_temporary_buffer; clang reports it in our name.
  add_compile_options(-Wno-deprecated-declarations)
endif()
if(NORA_SANITIZE)
  add_compile_options(-fsanitize=${NORA_SANITIZE} -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${NORA_SANITIZE})
endif()
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(LLD NAMES ld.lld)
# lld cannot read the intermediate code of g++ (release preset: link-time optimisation).
if(LLD AND NOT (CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_INTERPROCEDURAL_OPTIMIZATION))
  add_link_options(-fuse-ld=lld)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(module sodium=libsodium fmt=fmt sqlite=sqlite3 pq=libpq openssl=openssl pugixml=pugixml pcre2=libpcre2-8
               seccomp=libseccomp capng=libcap-ng nftables=libnftables curl=libcurl gmime=gmime-3.0 spdlog=spdlog simdjson=simdjson xdp=libxdp
               modbus=libmodbus bpf=libbpf re2=re2)
  string(REPLACE "=" ";" pair ${module})
  list(GET pair 0 name)
  list(GET pair 1 package)
  pkg_check_modules(${name} IMPORTED_TARGET GLOBAL ${package})
endforeach()
pkg_check_modules(hs IMPORTED_TARGET GLOBAL libhs)  # Hyperscan: x86 only; without it RE2::Set
find_library(BOOST_JSON boost_json REQUIRED)

# nora_library(law SOURCES mandate.cc … DEPS net base LIBS PkgConfig::sodium)
function(nora_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_library(nora_${name} STATIC ${A_SOURCES})
  target_include_directories(nora_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM A_DEPS PREPEND nora_)
  target_link_libraries(nora_${name} PUBLIC ${A_DEPS} ${A_LIBS})
endfunction()

# nora_program(nora-sender SOURCES sender_main.cc DEPS survey LIBS …)
function(nora_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  list(TRANSFORM A_DEPS PREPEND nora_)
  target_link_libraries(${name} PRIVATE ${A_DEPS} ${A_LIBS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
endfunction()

# nora_bpf(wall_xdp SOURCE wall_xdp.bpf.c): an eBPF object inside a library. Link it with DEPS bpf_wall_xdp and read it by
# NORA_BPF_OBJECT(wall_xdp) of net/bpf_object.h. Building needs no right to load eBPF. Headers of src/ may be included by the source.
find_program(NORA_BPF_CLANG NAMES clang-19 clang REQUIRED)
function(nora_bpf name)
  cmake_parse_arguments(A "" "SOURCE" "" ${ARGN})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${A_SOURCE})
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(embed ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.S)
  set(multiarch)
  if(CMAKE_LIBRARY_ARCHITECTURE)  # where this machine's compiler keeps asm/types.h
    set(multiarch -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
  # -g: the map definitions are BTF. The prefix map keeps the build folder out of the object.
  add_custom_command(OUTPUT ${object} DEPFILE ${object}.d DEPENDS ${source} VERBATIM
    COMMAND ${NORA_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -fdebug-compilation-dir=.
            -I${CMAKE_SOURCE_DIR}/src ${multiarch} -MD -MT ${object} -MF ${object}.d -c ${source} -o ${object}
    COMMENT "eBPF object ${name}")
  configure_file(${CMAKE_SOURCE_DIR}/cmake/bpf_object.S.in ${embed} @ONLY)
  set_source_files_properties(${embed} PROPERTIES OBJECT_DEPENDS ${object})  # .incbin is no include: no depfile names it
  add_library(nora_bpf_${name} STATIC ${embed})
  target_link_libraries(nora_bpf_${name} PUBLIC PkgConfig::bpf)
endfunction()

# nora_test(law_test SOURCES mandate_test.cc … DEPS law): GoogleTest + rapidcheck; each TEST is one ctest entry of the program.
function(nora_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LIBS;LABELS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  list(TRANSFORM A_DEPS PREPEND nora_)
  target_link_libraries(${name} PRIVATE ${A_DEPS} ${A_LIBS} gtest gtest_main rapidcheck Threads::Threads)
  target_compile_definitions(${name} PRIVATE NORA_SOURCE_DIR="${CMAKE_SOURCE_DIR}" NORA_BINARY_DIR="${CMAKE_BINARY_DIR}")
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${A_LABELS}")
endfunction()

# nora_fuzz(mandate SOURCES mandate_fuzz.cc DEPS law): with NORA_FUZZ a libFuzzer program, otherwise a replay of fuzz/corpus/<name>/* as a test.
function(nora_fuzz name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  list(TRANSFORM A_DEPS PREPEND nora_)
  if(NORA_FUZZ)
    add_executable(fuzz_${name} ${A_SOURCES})
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${A_SOURCES} ${CMAKE_SOURCE_DIR}/fuzz/replay_main.cc)
  endif()
  target_link_libraries(fuzz_${name} PRIVATE ${A_DEPS} ${A_LIBS})
  set_property(GLOBAL APPEND PROPERTY NORA_FUZZ_TARGETS fuzz_${name})
  add_test(NAME fuzz_replay_${name} COMMAND fuzz_${name} ${CMAKE_SOURCE_DIR}/fuzz/corpus/${name})
  if(NORA_FUZZ)
    set_tests_properties(fuzz_replay_${name} PROPERTIES ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")
    set_property(TEST fuzz_replay_${name} PROPERTY LABELS fuzz)
  endif()
endfunction()
