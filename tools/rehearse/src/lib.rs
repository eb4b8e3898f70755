//! The whole pipeline on one machine, with the real functions: what a rehearsal of the real thing needs, and the rehearsals.
//!
//! A [`stack`] is the pipeline. [`demo`] sends a simulated stream through it and gives the account, [`chaos`] does so while things
//! go wrong, a [`drill`] carries out a page of the runbook, and [`local`] keeps the pipeline up, with the page of [`web`]. [`player`]
//! sends a stream that somebody else made.

pub mod chaos;
pub mod demo;
pub mod drill;
pub mod local;
pub mod player;
pub mod stack;
pub mod web;
