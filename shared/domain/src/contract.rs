//! The contract: bytes in, an [`Event`](crate::event::Event) or a [`Refusal`](crate::refusal::Refusal) out.
