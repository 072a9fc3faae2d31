# The same sources make the same program wherever they lie: paths in it begin at the source folder, and the build
# tree's are build/... . The presets that are for debuggers and sanitizers keep the real ones.
add_compile_options("$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.>"
                    "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${CMAKE_BINARY_DIR}=build>")
