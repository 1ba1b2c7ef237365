# jobq_room(NAME x SOURCES … LIBS …): the code of one room as an object library, hidden and position independent, so
# that tests reach private functions while what is shipped exports none of them.
function(jobq_room)
  cmake_parse_arguments(R "" "NAME" "SOURCES;LIBS" ${ARGN})
  add_library(room_${R_NAME} OBJECT ${R_SOURCES})
  set_target_properties(room_${R_NAME} PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(room_${R_NAME} PUBLIC jobq_flags ${R_LIBS})
endfunction()

# jobq_link(target room…): puts rooms into a program, a library or a test.
function(jobq_link target)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:jobq_flags>)
  foreach(room ${ARGN})
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:room_${room}>)
  endforeach()
endfunction()

# jobq_program(NAME x SOURCES … ROOMS … LIBS …): an executable, position independent.
function(jobq_program)
  cmake_parse_arguments(P "" "NAME" "SOURCES;ROOMS;LIBS" ${ARGN})
  add_executable(${P_NAME} ${P_SOURCES})
  set_target_properties(${P_NAME} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  jobq_link(${P_NAME} ${P_ROOMS})
  target_link_libraries(${P_NAME} PRIVATE ${P_LIBS})
endfunction()
