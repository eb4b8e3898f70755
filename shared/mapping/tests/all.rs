//! The tests of maps in one program.
