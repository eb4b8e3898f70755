//! The protocol of a card's commits as a model: stateright takes every step that could come next, in every order, until
//! no new state is found.
//!
//! The worker of the model is no drawing of the engine, it is the engine: [`process`] runs `Engine::process` on the
//! answers that the model chose so far and sees which call it makes next. What is modelled around it is in [`world`]: the
//! store, the scores stream, the mapping and a redrive that deliver, and what can go wrong, with its states in [`state`]. The properties are in
//! [`property`]. docs/concepts/protocol-model.md says what is left out.

pub mod item;
pub mod labelled;
pub mod process;
pub mod property;
pub mod scenario;
mod search;
pub mod state;
pub mod world;
