#----------------------------------------------------------------
# Generated CMake target import file for configuration "Release".
#----------------------------------------------------------------

# Commands may need to know the format version.
set(CMAKE_IMPORT_FILE_VERSION 1)

# Import target "peermq::peermq" for configuration "Release"
set_property(TARGET peermq::peermq APPEND PROPERTY IMPORTED_CONFIGURATIONS RELEASE)
set_target_properties(peermq::peermq PROPERTIES
  IMPORTED_LINK_INTERFACE_LANGUAGES_RELEASE "CXX"
  IMPORTED_LOCATION_RELEASE "${_IMPORT_PREFIX}/lib/libpeermq.a"
  )

list(APPEND _cmake_import_check_targets peermq::peermq )
list(APPEND _cmake_import_check_files_for_peermq::peermq "${_IMPORT_PREFIX}/lib/libpeermq.a" )

# Commands beyond this point should not need to know the version.
set(CMAKE_IMPORT_FILE_VERSION)
