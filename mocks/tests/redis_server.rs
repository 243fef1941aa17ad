//! A server with real clients: see the trials.
