//! The contract, from outside: every refusal, card numbers, round trips, schemas, samples and documents.
#![allow(missing_docs)]

mod cards;
mod documents;
mod payload;
mod properties;
mod refusals;
mod samples;
mod schemas;
