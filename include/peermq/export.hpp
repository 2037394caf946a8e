#pragma once

/// Marks what a program that links peermq may use; everything else is hidden in the library.
///
/// Put it on every public class and free function. Exception classes need it too: without it a
/// `catch` in the program would not recognise what the library throws.
#define PEERMQ_EXPORT __attribute__((visibility("default")))
