//! Canonical JSON, event ids and the envelope, seen from outside the crate: against published vectors, other
//! implementations and other codecs.

mod canonical;
mod envelope;
mod identity;
mod numbers;
mod values;
