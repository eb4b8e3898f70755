//! `tidemark deploy` by the templates onto ministack: deployed, looked at, deployed again, changed, destroyed, and deployed again
//! into what was kept; upgraded under load; and what it says when something is in its way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "deploy/emulator.rs"]
mod emulator;
#[path = "deploy/on.rs"]
mod on;
#[path = "deploy/page.rs"]
mod page;
#[path = "deploy/refusing.rs"]
mod refusing;
#[path = "deploy/upgrade.rs"]
mod upgrade;
#[path = "deploy/whole.rs"]
mod whole;
