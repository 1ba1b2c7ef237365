# jobq_embed_lua(OUTPUT file.c SCRIPTS a.lua b.lua … LIBRARY common.lua): Lua files as C strings with their SHA-1, which is the
# name Redis knows a script by. A line "--@include name.lua" in a script is replaced by that file.
set(JOBQ_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/EmbedLua.cmake)
function(jobq_embed_lua)
  cmake_parse_arguments(E "" "OUTPUT;DIRECTORY" "SCRIPTS;INCLUDES" ${ARGN})
  set(inputs)
  foreach(name ${E_SCRIPTS} ${E_INCLUDES})
    list(APPEND inputs ${E_DIRECTORY}/${name}.lua)
  endforeach()
  string(REPLACE ";" "," names "${E_SCRIPTS}")
  add_custom_command(OUTPUT ${E_OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DDIRECTORY=${E_DIRECTORY} -DNAMES=${names} -DOUTPUT=${E_OUTPUT}
            -P ${JOBQ_EMBED_SCRIPT}
    DEPENDS ${inputs} ${JOBQ_EMBED_SCRIPT}
    VERBATIM)
endfunction()

# jobq_embed_text(OUTPUT file.c NAME symbol FILE path INCLUDES paths…): a text file as a C string. A line "--@include name" is
# replaced by that file of the same directory.
set(JOBQ_EMBED_TEXT_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/EmbedText.cmake)
function(jobq_embed_text)
  cmake_parse_arguments(E "" "OUTPUT;NAME;FILE" "INCLUDES" ${ARGN})
  add_custom_command(OUTPUT ${E_OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${E_FILE} -DNAME=${E_NAME} -DOUTPUT=${E_OUTPUT} -P ${JOBQ_EMBED_TEXT_SCRIPT}
    DEPENDS ${E_FILE} ${E_INCLUDES} ${JOBQ_EMBED_TEXT_SCRIPT}
    VERBATIM)
endfunction()
