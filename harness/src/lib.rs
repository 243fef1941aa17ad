//! Deterministic simulation of event-driven services: scenarios, faults, checkers, replay.
//!
//! A [`scenario`] file, its parameters put in, is a case; a case and a [`seed`] give a [`plan`](plan::Plan); the
//! [`world`] runs the plan and gives back a [`history`] and a [`trace`]; [`checker`]s judge the history, and
//! expectations ([`expect`]) turn that into a [`verdict`]. The front door is [`run::Runner`]; a user's own services
//! are registered with [`service::Services`]. The program `squall` is [`cli`] and nothing else.
//!
//! `ARCHITECTURE.md` has the map and what must stay true.

pub mod bus;
pub mod checker;
pub mod cli;
pub mod expect;
pub mod fault;
pub mod history;
pub mod mutants;
pub mod plan;
pub mod report;
pub mod run;
pub mod scenario;
pub mod seed;
pub mod service;
pub mod sim;
pub mod sink;
pub mod store;
pub mod system;
pub mod trace;
pub mod verdict;
pub mod world;
