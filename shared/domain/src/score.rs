//! The score: an additive model of surprise.
