# Which folder may include which: the one table. lib/CMakeLists.txt turns it into include paths, so
# that an include against the arrows does not compile.
#
# A header may include the headers of the folders that it may use, so the paths are the closure of
# this table. What a file includes itself is held to the table line by line when this file is run as
# a script, which the test house.arrows does:  cmake -P lib/arrows.cmake
#
# Everyone may include the public headers ("peermq/error.hpp").

set(PEERMQ_LIB_FOLDERS base record wire spool delivery net peer)
set(PEERMQ_PATTERN_FOLDERS push_pull pub_sub req_rep)
set(PEERMQ_FOLDERS ${PEERMQ_LIB_FOLDERS} ${PEERMQ_PATTERN_FOLDERS})

set(PEERMQ_USES_base)
set(PEERMQ_USES_record base)
set(PEERMQ_USES_wire base record)
set(PEERMQ_USES_spool base record)
set(PEERMQ_USES_delivery base)
set(PEERMQ_USES_net base)
set(PEERMQ_USES_peer base record wire spool delivery net)
# Patterns stand on the peer; a message becomes a record there, base is for assertions and limits.
set(PEERMQ_USES_push_pull base record peer)
set(PEERMQ_USES_pub_sub base record peer)
set(PEERMQ_USES_req_rep base record peer)
# Clients see include/peermq only. The one exception: the offline commands of the tool
# (`peermq spool ...`) read and repair a spool directory without a peer.
set(PEERMQ_USES_tools base record spool)
set(PEERMQ_USES_bench)
set(PEERMQ_USES_bindings nanobind)
# Not a folder of lib: examples/common holds what several examples share.
set(PEERMQ_USES_examples common)

# The folder itself, then all that it may use, directly or through headers.
function(peermq_closure out folder)
    set(todo ${PEERMQ_USES_${folder}})
    set(result)
    while(todo)
        list(POP_FRONT todo next)
        if(NOT next IN_LIST result)
            list(APPEND result ${next})
            list(APPEND todo ${PEERMQ_USES_${next}})
        endif()
    endwhile()
    set(${out} ${result} PARENT_SCOPE)
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
    return()
endif()

cmake_minimum_required(VERSION 3.25)
get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(errors 0)

macro(complain file line why)
    file(RELATIVE_PATH shown "${root}" "${file}")
    message("${shown}: ${line}\n    ${why}")
    math(EXPR errors "${errors} + 1")
endmacro()

# folder: name in the table; own: may it include neighbours by plain name ("common.hpp")?
macro(check_files folder own files)
    foreach(file IN ITEMS ${files})
        file(STRINGS "${file}" lines REGEX "^[ \t]*#[ \t]*include[ \t]")
        foreach(line IN LISTS lines)
            string(STRIP "${line}" line)
            if(line MATCHES "[\"<]\\.\\./|/\\.\\./")
                complain("${file}" "${line}" "never include through ..")
            elseif(line MATCHES "\"([a-z_]+)/")
                set(target "${CMAKE_MATCH_1}")
                if(NOT target STREQUAL "peermq" AND NOT target STREQUAL "${folder}"
                   AND NOT target IN_LIST PEERMQ_USES_${folder})
                    list(JOIN PEERMQ_USES_${folder} " " uses)
                    complain("${file}" "${line}" "${folder} may use: peermq ${uses} (lib/arrows.cmake)")
                endif()
            elseif(line MATCHES "\"[^/]*\"" AND NOT ${own})
                complain("${file}" "${line}" "name the folder: \"${folder}/...\"")
            elseif(line MATCHES "[<\"]zmq" AND NOT "${folder}" MATCHES "^(net|bench)$")
                complain("${file}" "${line}" "only lib/net (and the raw reference in bench) may see libzmq")
            elseif("${folder}" STREQUAL "peermq" AND line MATCHES "<[^>]*[./]" AND NOT line MATCHES "<peermq/")
                complain("${file}" "${line}" "public headers include the standard library only")
            endif()
        endforeach()
    endforeach()
endmacro()

set(PEERMQ_USES_peermq)
file(GLOB files "${root}/include/peermq/*.hpp" "${root}/include/peermq/*.in")
check_files(peermq FALSE "${files}")
foreach(folder IN LISTS PEERMQ_LIB_FOLDERS)
    file(GLOB files "${root}/lib/${folder}/*.[ch]pp")
    check_files(${folder} FALSE "${files}")
endforeach()
foreach(folder IN LISTS PEERMQ_PATTERN_FOLDERS)
    file(GLOB files "${root}/patterns/${folder}/*.[ch]pp")
    check_files(${folder} FALSE "${files}")
endforeach()
foreach(folder tools examples bench bindings)
    file(GLOB_RECURSE files "${root}/${folder}/*.[ch]pp")
    check_files(${folder} TRUE "${files}")
endforeach()

if(errors GREATER 0)
    message(FATAL_ERROR "${errors} includes against the arrows")
endif()
message(STATUS "all includes follow the arrows")
