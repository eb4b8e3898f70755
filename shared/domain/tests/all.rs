//! Every test of the crate in one program: it is linked once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod card_number_rates;
mod contract;
mod features_oracle;
mod fold;
mod head_bytes;
mod hot;
mod hot_reading;
mod links;
mod listed;
mod listed_cards;
mod outcome;
mod policy_refusals;
mod policy_schema;
mod rates;
mod ruled;
mod score_golden;
mod segments;
mod state;
mod state_golden;
mod state_size;
mod told_apart;
mod trees;
mod written_again;
