//! What is said about each mistake, and where.
