# llama-cpp-python turns llama.cpp's common library on; we use none of it, and it doubles the build.
set(LLAMA_BUILD_COMMON OFF)

# Some virtual machines show AMX and then stop its tile instructions as illegal; nothing here is faster by it.
include(CheckCCompilerFlag)
check_c_compiler_flag(-mno-amx-tile KNOWS_AMX)
if(KNOWS_AMX)
    add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-mno-amx-tile>
                        $<$<COMPILE_LANGUAGE:C,CXX>:-mno-amx-int8>
                        $<$<COMPILE_LANGUAGE:C,CXX>:-mno-amx-bf16>)
endif()
