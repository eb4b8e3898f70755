//! The contract, from outside: every refusal, card numbers, round trips, schemas, samples and documents.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aggregates;
mod arrives;
mod cards;
mod documents;
mod links;
mod payload;
mod properties;
mod refusals;
mod samples;
mod schemas;
