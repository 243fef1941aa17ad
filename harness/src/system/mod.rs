//! The reference systems: services written on the platform as a user would write them.
//!
//! They are what the shipped scenarios test, and the example to copy. They know nothing of the harness.

pub mod orders;
