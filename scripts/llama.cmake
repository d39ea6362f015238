# llama-cpp-python turns llama.cpp's common library on; we use none of it, and it doubles the build.
set(LLAMA_BUILD_COMMON OFF)
