//! What several tests and benches of this package share. The tests themselves live in its `tests` folder.

pub mod order_flow;
