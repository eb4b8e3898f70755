//! What happens to a batch: decode → plan → actions, guardrails as values, and one thin async driver over the ports.
//!
//! This crate never names an AWS type, never reads a clock or draws a random number except through its ports.

pub mod port;
