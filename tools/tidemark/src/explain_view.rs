//! A card, its windows and an outcome in words for a terminal.
