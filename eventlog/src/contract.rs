//! The suite that every body of the log passes.
