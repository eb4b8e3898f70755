//! A seeded stream of card events with fraud patterns, duplicates, late and broken events.
