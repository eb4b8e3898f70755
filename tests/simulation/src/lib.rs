//! Deterministic simulation: the real engine and the real semantics of the mapping under one seeded scheduler, in virtual
//! time, with everything that goes wrong between them. docs/concepts/simulation-proof.md says what is covered and what is not.
//!
//! A seed decides everything: traffic, options, which faults there are and how many, and in which order calls end. So a
//! seed that fails is a test case, and two runs of it leave the same trace.

pub mod audit;
pub mod check;
pub mod crash;
pub mod dice;
pub mod draws;
pub mod imports;
pub mod lists;
pub mod operator;
pub mod policies;
pub mod ports;
pub mod run;
pub mod stream;
pub mod traffic;
pub mod violations;
pub mod world;
