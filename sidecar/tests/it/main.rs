//! The real program on a free port, with a real upstream.
