//! What an operator does with a deployment, by a verb each: send to it, import history, label its events, watch it, explain a card, steer it, audit it, look into
//! its queues, redrive.
//!
//! A verb has its arguments in `args`; it reads and writes through [`tidemark_aws::admin`], names the deployment by [`places`],
//! and reads outcomes as [`outcome::SentOutcome`]. What an audit judges is the crate `reconcile`.

pub mod account;
pub mod audit;
pub mod control;
pub mod dlq;
pub mod explain;
pub mod explain_ids;
pub mod explain_outcome;
pub mod explain_view;
pub mod import;
pub mod label;
mod lists;
mod maps;
mod models;
pub mod outcome;
pub mod page;
pub mod places;
pub mod quarantine;
pub mod redrive;
pub mod send;
pub mod watch;
