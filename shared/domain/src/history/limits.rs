//! What a history may take at most.

/// A state never takes more than this, bytes: three quarters of what a DynamoDB item can hold. Only states that carry
/// feature values can come near; they seal their oldest events earlier.
pub const STATE_BYTES_MAX: usize = 300 * 1024;
/// The most events that a history's head may keep by any policy.
pub const HEAD_EVENTS_LIMIT: usize = 400;
/// The most entries that a state may hold, in every version of its bytes.
pub const ENTRIES_MAX: usize = 400;
/// The most features that an outcome in a state may hold.
pub const FEATURES_MAX: usize = 255;
/// Nothing longer is decoded, bytes: what a DynamoDB item can hold.
pub const DECODE_BYTES_MAX: usize = 400 * 1024;
