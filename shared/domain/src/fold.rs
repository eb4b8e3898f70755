//! Applying an event to a card's state: the fold that every path (live, redrive, file) goes through.
