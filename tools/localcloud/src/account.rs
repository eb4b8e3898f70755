//! The account of the local AWS.

/// The account that local ARNs name.
pub(crate) const ACCOUNT: &str = "000000000000";
