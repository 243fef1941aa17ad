//! No input makes the loader panic or hang.
