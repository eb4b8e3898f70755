//! `tidemark score`: the engine fold over a file, no AWS at all.
