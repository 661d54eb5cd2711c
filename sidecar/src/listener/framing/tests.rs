//! Where messages begin and end.
