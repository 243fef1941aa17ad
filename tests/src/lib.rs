//! Tests live in the `tests` folder of this package.
