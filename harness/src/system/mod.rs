//! The reference systems: services written on the platform as a user would write them.
//!
//! They are what the shipped scenarios test, and the example to copy. They know nothing of the harness.

pub mod ledger;
pub mod mailer;
pub mod orders;
pub mod parcels;
pub mod prices;

use squall_core::point::Point;

/// The code points of these systems, besides the platform's own.
pub const POINTS: &[Point] = &[Point {
    name: ledger::BETWEEN_STEPS,
    stops: true,
    about: "A transfer is debited, under a lock, and not yet credited.",
}];
