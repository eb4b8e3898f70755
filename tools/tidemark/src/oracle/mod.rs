//! An independent, naive recomputation of what the system should have done.
